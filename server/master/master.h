/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master: listening sockets, signals, generations, control socket, log
 * files. Single-threaded, small, fit to be pid 1. It never runs module code
 * and never dies of what a child says.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>

#include "config/conf.h"
#include "ipc/launch.h"

struct master_options {
    struct conf_options conf;
    bool foreground; /* -DFOREGROUND, -X or a container */
    bool json;       /* outcomes that the process itself prints */
    bool colour;
    const char *binary; /* what was started, absolute: an upgrade executes it again */
    char *const *argv;  /* with these words */
    int report_fd;      /* -k start's pipe: the outcome of the first start goes there; -1 none */
};

/* Runs until stopped. Returns the process's exit status. The outcome of the
 * first start goes to report_fd as on the control socket (a line with the
 * exit code, then text); without one, a failure is printed on stderr. */
int master_run(const struct master_options *options, const struct launch_ops *ops);

/* The same process goes on as this binary (upgrade.h), with the state in fd. */
int master_resume(int fd, const char *prefix, char *const *argv, const struct launch_ops *ops);
/* Can this binary go on with it? Says so; the exit status. */
int master_read_state(int fd);

/* instar -t, -S, -M, -L: reads, builds, tries; binds nothing, needs no root.
 * Prints the verdict (JSON on stdout, text on stderr); with a dump only what
 * is wrong. */
int master_check(const struct master_options *options, const struct launch_ops *ops,
                 enum launch_dump dump);

/* -X: everything in this process (the compiler apart), for a debugger. */
int master_single(const struct master_options *options, const struct launch_ops *ops);

#endif
