/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind ErrorLog and CustomLog: a file, stderr, a command, syslog. */
#ifndef CONFIG_LOG_SPEC_H
#define CONFIG_LOG_SPEC_H

#include <apr_pools.h>

enum log_kind { LOG_FILE, LOG_STDERR, LOG_COMMAND, LOG_SYSLOG };

struct log_spec {
    enum log_kind kind;
    /* The same for all that means the same; what logs are found and re-opened by: an absolute
     * path, "stderr", "|$ command", "| command args", "syslog:FACILITY:TAG". */
    const char *key;
    const char *command; /* LOG_COMMAND: without its bars */
    const char *shell;   /* "/bin/sh", where one runs it; else NULL */
    int facility;        /* LOG_SYSLOG */
    const char *tag;
};

/* NULL, or what is wrong with text. Memory: pool. */
const char *log_spec_read(struct log_spec *spec, const char *server_root, const char *text,
                          apr_pool_t *pool);

#endif
