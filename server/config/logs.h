/* SPDX-License-Identifier: Apache-2.0 */
/* The log files of a generation: opened by the master (which may still be
 * root), written by its children. A reload opens them anew, which is how they
 * are rotated; a draining generation goes on in the file it has. */
#ifndef CONFIG_LOGS_H
#define CONFIG_LOGS_H

#include <apr_pools.h>

struct conf;
struct diags;

struct log_entry {
    const char *path; /* as in struct conf_log */
    int fd;           /* O_APPEND, CLOEXEC */
};
struct log_set {
    int count;
    struct log_entry *list; /* ordered by path */
    const char *server_root;
};

/* Opens all of conf's logs; one that cannot be opened is a diagnostic (stage
 * start) at its directive. The set lives in pool; its descriptors are closed by
 * a cleanup of pool. */
struct log_set *logs_open(const struct conf *conf, struct diags *diags, apr_pool_t *pool);
/* What a configtest can say without leaving traces: a log that is a folder, or whose folder is
 * missing (unless a start makes it) is the same diagnostic. */
void logs_check(const struct conf *conf, struct diags *diags);
/* A log's path as log sets know it: "stderr", or absolute. */
const char *logs_path(const char *server_root, const char *text, apr_pool_t *pool);
/* The descriptor; path as the directive spells it (ServerRoot-relative) or
 * absolute. -1 where it is none of the set. */
int logs_find(const struct log_set *set, const char *path);

#endif
