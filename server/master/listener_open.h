/* SPDX-License-Identifier: Apache-2.0 */
/* Making one listening socket. */
#ifndef MASTER_LISTENER_OPEN_H
#define MASTER_LISTENER_OPEN_H

#include "master/state.h"

/* Opens, binds and listens at b->listener.addr; ours: every socket that we hold already, any
 * of which may stand in the way without being in the way. retry_ms: how long
 * an address in use is tried again. 0, or errno with the step that failed in
 * *step ("bind to"); nothing stays open then. */
int listener_open(struct bound *b, struct bound *ours, int64_t retry_ms, const char **step);
/* Closes; a unix socket's file goes too where it is still the one we made. */
void listener_close(struct bound *b);

#endif
