/* SPDX-License-Identifier: Apache-2.0 */
/* What the master writes on the scoreboard, so that workers can tell of it: its step, the
 * generations' deadlines, the last outcome, and its own counters. */
#ifndef MASTER_BOARD_H
#define MASTER_BOARD_H

#include "master/state.h"

/* Once a turn of the loop: whatever has changed meanwhile. */
void board_publish(struct master *m);
/* A start, reload, ... has ended so. */
void board_outcome(struct master *m, const struct outcome *outcome);
/* Counts it where nobody had asked for that; status as from waitpid(). */
void board_worker_down(struct master *m, const struct generation *gen, int status);
/* reason: enum ipc_spent_reason, a child's word. */
void board_worker_replaced(struct master *m, uint32_t reason);
void board_generation_down(struct master *m);
/* why: "reload", "restart", ... */
void board_drain_begins(const struct generation *gen, const char *why);
void board_drain_cut(struct master *m);

#endif
