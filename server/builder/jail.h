/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a compiler may do: write below its work folder and nowhere else, no
 * network, no new privileges, bounded memory, time and processes.
 */
#ifndef BUILDER_JAIL_H
#define BUILDER_JAIL_H

#include <stdbool.h>
#include <stdint.h>

struct jail_limits {
    int64_t memory;    /* bytes of address space, each process */
    int64_t seconds;   /* of CPU time, each process */
    int64_t processes; /* of this user, on the whole machine; 0: as it is */
};

/* In the master: what the kernel has not got, as words for the log; NULL where all is there. */
const char *jail_missing(void);
/* In the builder process, or where a compiler is asked for its version; for it and all
 * below: no new privileges, no writing outside work_fd (-1: nowhere). Best effort. */
void jail_enter(int work_fd);
/* A bound for RLIMIT_NPROC: those that are there now, and some. */
int64_t jail_processes(void);
/* In a compiler's process, before exec: limits and system call filter. */
void jail_close(const struct jail_limits *limits);

/* seccomp.c: the filter. 0 or errno. */
int seccomp_install(void);
bool seccomp_possible(void);

#endif
