/* SPDX-License-Identifier: Apache-2.0 */
/* The logs of a generation: opened by the master (which may still be root), written by its
 * children. A reload opens files anew, which rotates them; a draining
 * generation goes on in the file it has. `reopen` gives all of them new files:
 * a log keeps its descriptor's number for life, the new file is put over it. */
#ifndef CONFIG_LOGS_H
#define CONFIG_LOGS_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_pools.h>

#include "config/log_spec.h"
#include "util/log_sink.h"

struct conf;
struct diags;

struct log_entry {
    const char *path; /* a log_spec's key */
    int fd;           /* CLOEXEC; O_APPEND where it is a file */
    const struct log_spec *spec;
    struct log_sink sink; /* once somebody asked for it */
};
struct log_set {
    int count;
    struct log_entry *list; /* ordered by path */
    const char *server_root, *syslog_socket;
    bool buffered;       /* BufferedLogs */
    int64_t flush_ms;    /* LogFlushInterval */
    size_t buffer_bytes; /* LogBufferSize; 0: as little as possible */
};

/* The writing end of a command's pipe, which becomes the set's; -1: *why says why not, in
 * pool. */
typedef int (*log_command_fn)(void *ctx, const struct log_spec *spec, const char **why,
                              apr_pool_t *pool);

/* Opens all of conf's logs; one that cannot be opened is a diagnostic (stage
 * start) at its directive. The set lives in pool; its descriptors are closed by
 * a cleanup of pool. */
struct log_set *logs_open(const struct conf *conf, log_command_fn command, void *ctx,
                          struct diags *diags, apr_pool_t *pool);
/* What a configtest can say without leaving traces: a log that is a folder, or whose folder is
 * missing (unless a start makes it), a program that is not there, are the same diagnostic. */
void logs_check(const struct conf *conf, struct diags *diags);
/* The descriptor; text as the directive spells it (ServerRoot-relative), or a key. -1 where it
 * is none of the set. */
int logs_find(const struct log_set *set, const char *text);
/* The same log, to be written to by this process; NULL. */
struct log_sink *logs_sink(const struct log_set *set, const char *text);

/* ---- Opening anew ------------------------------------------------------- */

/* A file by its path: -1 with errno. */
int logs_open_file(const char *path);
/* Puts fd, which stays the caller's, over the descriptor of the log with this key. False: the set
 * has none. */
bool logs_replace(const struct log_set *set, const char *key, int fd);

#endif
