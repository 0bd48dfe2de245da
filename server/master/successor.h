/* SPDX-License-Identifier: Apache-2.0 */
/* When the serving generation's process dies, its workers serve on, and the
 * same config and builds are started again, without a look at the disk. */
#ifndef MASTER_SUCCESSOR_H
#define MASTER_SUCCESSOR_H

#include "master/state.h"

void successor_wanted(struct master *m, const struct generation *gen, int status);
/* None is running: start it, or set the timer where it died repeatedly. */
void successor_due(struct master *m);
/* A generation serves again; by_successor: it is one. */
void successor_settled(struct master *m, bool by_successor);

#endif
