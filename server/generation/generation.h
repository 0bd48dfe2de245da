/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generation process: reads the rest of the config, loads the modules,
 * runs their set-up, forks the workers from that warm image and minds them.
 * Immutable from birth to exit; whatever module code breaks, it breaks here or below.
 */
#ifndef GENERATION_GENERATION_H
#define GENERATION_GENERATION_H

#include "ipc/launch.h"

/* The body of the process. Leaves by _exit(). */
void generation_run(const struct launch *launch) __attribute__((noreturn));

/* -X: no fork; load, then run one worker in this process until it is told to
 * stop by SIGINT or SIGTERM. Returns the exit status. */
int generation_run_single(const struct launch *launch);

#endif
