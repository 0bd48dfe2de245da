/* SPDX-License-Identifier: Apache-2.0 */
/* What log_commands.c and log_commands_carry.c share. */
#ifndef MASTER_LOG_COMMAND_STATE_H
#define MASTER_LOG_COMMAND_STATE_H

#include "master/log_commands.h"
#include "master/state.h"

struct log_command {
    struct log_command *next;
    char *key, *text, *shell, *folder;
    int shares;
    int read_fd, write_fd; /* write_fd -1: it is leaving */
    pid_t pid;             /* 0: not running */
    int64_t started, pause;
    int last_tries;
    struct timer timer;
};

/* A timer's. */
void log_command_start_again(struct master *m, void *ctx);

#endif
