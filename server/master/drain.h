/* SPDX-License-Identifier: Apache-2.0 */
/* Draining: old generations hand over what can move, finish, and exit. */
#ifndef MASTER_DRAIN_H
#define MASTER_DRAIN_H

#include "master/state.h"

/* After a switch: old (NULL: there was none) drains towards the serving
 * generation; cut: with a deadline of now, as all that drain already. */
void drain_after_switch(struct master *m, struct generation *old, bool cut);
/* A graceful stop: nothing moves. */
void drain_for_stop(struct master *m, struct generation *gen);
/* Has some draining worker not said yet that what was idle has moved? */
bool drain_is_moving(const struct master *m);
/* A new worker of the serving generation can take connections from all that
 * drain. */
void drain_worker_joined(struct master *m, struct worker_pair *w);
/* A worker that came up in a generation that drains already. */
void drain_worker_late(struct generation *gen, struct worker_pair *w);
/* Cuts the oldest draining generation where one more would be too many. 0: go
 * on; else milliseconds to wait, since it still owes its clients an answer. */
int64_t drain_make_room(struct master *m, const struct manifest *next);
/* As another binary had it: its deadline, and when it is killed (0 never). */
void drain_adopt(struct master *m, struct generation *gen, int64_t deadline, int64_t kill_due);

#endif
