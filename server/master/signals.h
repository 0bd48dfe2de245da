/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: blocked from main's first line, read from a descriptor. */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

#include "master/state.h"

/* main's first line. */
void signals_block(void);
/* For a process that only waits, and for -X. */
void signals_unblock(void);
/* 0 or errno. */
int signals_open(struct master *m);

#endif
