/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket's other side: how instarctl and instar -k find a server
 * and ask it. */
#ifndef MASTER_CONTROL_CLIENT_H
#define MASTER_CONTROL_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include <apr_pools.h>

#include "config/conf.h"

/* Where a server of this config would be. */
struct whereabouts {
    const struct conf_options *options;
    const char *config; /* the config file, absolute */
    const char *pid_file;
    const char *control_socket;
    pid_t pid;      /* of the one that runs; 0 none */
    bool by_config; /* it is where the config says no longer */
};

/* Reads of the config what can be read; what cannot has its default. */
void whereabouts_find(struct whereabouts *w, const struct conf_options *options, apr_pool_t *pool);

struct control_answer {
    int code;         /* enum, master/verbs.h */
    const char *text; /* what to print */
};

/* Sends the request line (without its newline) and waits for the answer, however long
 * the server takes. 0, or errno: ENOENT or ECONNREFUSED where nobody answers. */
int control_ask(const struct whereabouts *w, const char *request, struct control_answer *answer,
                apr_pool_t *pool);
/* Until the process is gone, at most timeout_ms; false where it is not. */
bool control_wait_gone(pid_t pid, int timeout_ms);

#endif
