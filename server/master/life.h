/* SPDX-License-Identifier: Apache-2.0 */
/* The ends and the middle of a master's life, for those who begin it in different ways. */
#ifndef MASTER_LIFE_H
#define MASTER_LIFE_H

#include "master/state.h"

struct image;

/* Loop, signals, scoreboard, keys: new, or those of the image. 0 or errno. */
int master_make(struct master *m, const struct master_options *options,
                const struct launch_ops *ops, const struct image *from);
void master_run_loop(struct master *m);
void master_take_down(struct master *m);

#endif
