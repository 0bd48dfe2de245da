/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that read a log ("|command"): children of the master, one for each
 * distinct command line, whatever generations write to it. The master holds both
 * ends of the pipe as well, so lines wait in it while a command that died is
 * started again. A command that no generation writes to any more reads what is
 * left, then its end of input.
 */
#ifndef MASTER_LOG_COMMANDS_H
#define MASTER_LOG_COMMANDS_H

#include <stdbool.h>
#include <sys/types.h>

#include <apr_pools.h>
#include <apr_tables.h>

struct image;
struct log_set;
struct log_spec;
struct master;

/* A log_command_fn; ctx is the master. Runs the command unless it runs already. */
int log_command_open(void *ctx, const struct log_spec *spec, const char **why, apr_pool_t *pool);

/* What a manifest or a generation has of logs: shares of commands, and the keys by
 * which its logs are opened anew. */
struct log_command;
struct log_hold {
    int count;
    struct log_held {
        const char *key;
        bool is_file;
        struct log_command *command; /* NULL none */
    } list[];
};
/* NULL where memory is out. Commands that nobody has taken a share of end. */
struct log_hold *log_hold_take(struct master *m, const struct log_set *set);
void log_hold_drop(struct master *m, struct log_hold *hold);

/* For and from another binary: commands go on as they are. logs: struct image_log. */
void log_commands_save(const struct master *m, struct image *image);
void log_commands_adopt(struct master *m, const struct image *image);
struct log_hold *log_hold_adopt(struct master *m, const apr_array_header_t *logs);

/* A child was reaped: true if it was one of these. */
bool log_command_exited(struct master *m, pid_t pid, int status);
/* The server ends: all get their end of input, and a moment to write what they have. The error log
 * must not be used behind this. */
void log_commands_end(struct master *m);

#endif
