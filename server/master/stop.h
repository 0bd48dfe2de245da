/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a server ends. */
#ifndef MASTER_STOP_H
#define MASTER_STOP_H

#include "master/state.h"

void stop_now(struct master *m);
void stop_gracefully(struct master *m);
/* The first start failed: what is wrong was reported, the exit status is 1. */
void stop_failed_start(struct master *m);
/* instar -t has its verdict. */
void stop_after_check(struct master *m, const struct outcome *outcome);
/* True when nobody is left to wait for. */
bool stop_is_complete(const struct master *m);

#endif
