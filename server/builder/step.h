/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a compiler, as a process group of its own. */
#ifndef BUILDER_STEP_H
#define BUILDER_STEP_H

#include <sys/types.h>

#include "builder/jail.h"

struct step_command {
    char **argv;
    char **envp;
    const char *folder; /* to run in */
    int folder_fd;      /* where it was opened before; -1 */
    const int *fds;     /* what the compiler inherits beside 0-2 */
    int fd_count;
    const struct jail_limits *limits;
};

struct step_process {
    pid_t pid; /* the guard, and the group */
    int pidfd; /* readable when it has ended */
    int out;   /* what the compiler says; non-blocking */
};

/* 0 or errno. */
int step_start(const struct step_command *command, struct step_process *process);
/* Ends the group and reaps the guard. The compiler's exit status, or 128 and its
 * signal; what was said can still be read from out. */
int step_end(struct step_process *process);
void step_close(struct step_process *process);

#endif
