/* SPDX-License-Identifier: Apache-2.0 */
/* The switch from one generation to the next: first the old workers stop
 * accepting, then the new ones begin. New connections wait in the kernel
 * meanwhile; none is refused, and no old answer follows a new one. */
#ifndef MASTER_SWITCH_H
#define MASTER_SWITCH_H

#include "master/state.h"

/* Ends in reload_switched() or reload_switch_failed(). */
void switch_begin(struct master *m, struct job *job, struct generation *gen);
/* The new generation died in the middle: the old one accepts again. */
void switch_resume(struct master *m);
/* The server stops in the middle of it. */
void switch_forget(struct master *m);
/* A graceful stop: the serving generation's workers stop accepting. */
void switch_stop_accepting(struct master *m);

/* Told by workers.c. */
void switch_worker_stopped(struct master *m, struct worker_pair *w, uint64_t number);
void switch_worker_lost(struct master *m);
/* A worker of the serving generation that came up later. */
void switch_worker_joined(struct master *m, struct worker_pair *w);

#endif
