/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets: opened and closed by the master alone, kept over a
 * reload where the config still names them. */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "ipc/messages.h"
#include "master/state.h"

/* Fills manifest->listeners and ->bound from its config: sockets that exist
 * are shared, new ones are opened. before: the manifest that serves now, or
 * NULL. Errors (stage start) go to diags; false then. */
bool listeners_open(struct master *m, struct manifest *manifest, const struct manifest *before,
                    struct diags *diags);
/* Gives up the manifest's share; a socket that nobody else names is closed. */
void listeners_release(struct master *m, struct manifest *manifest);
/* after serves now, before did: what after lacks is closed here for good, and
 * named in drain, so that the old workers take what waits in its queue. */
void listeners_removed(struct master *m, struct manifest *before, const struct manifest *after,
                       struct ipc_drain *drain);
/* The last step of a removal, once the workers have been told. */
void listeners_close_dead(struct master *m);
/* ListenBacklog of the sockets that were kept. */
void listeners_refresh(const struct manifest *manifest);

#endif
