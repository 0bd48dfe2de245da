/* SPDX-License-Identifier: Apache-2.0 */
/* What instar's and instarctl's command lines have in common: the options that
 * name a server, asking it, and the words when that does not work. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>

#include <apr_pools.h>

#include "config/conf.h"
#include "master/control_client.h"

struct cli {
    apr_pool_t *pool;
    struct conf_options conf;
    bool json, colour;
    bool words; /* say on stdout how it went when it went well */
};

/* Called first: a standard stream that the caller closed is /dev/null from here
 * on, or what is opened next would take its number. */
void cli_open_streams(void);
/* Sets the defaults: the built-in paths, colour on a terminal. */
void cli_init(struct cli *cli, apr_pool_t *pool);
/* -f, -d, -D, -c; false where option is none of them. */
bool cli_option(struct cli *cli, int option, const char *arg);

/* Prints what the server (or somebody in its place) answered; returns code. */
int cli_print(const struct cli *cli, int code, const char *text);
/* As a failed outcome with this one error. */
__attribute__((format(printf, 3, 4))) int cli_problem(const struct cli *cli, int code,
                                                      const char *format, ...);
/* Asks the running server (w->pid is not 0) and prints its answer; returns the exit code. */
int cli_ask(const struct cli *cli, const struct whereabouts *w, const char *verb);
/* As cli_ask() for stop: returns when the process is gone. */
int cli_stop(const struct cli *cli, const struct whereabouts *w);

#endif
