/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket on its way to another worker, and from one. */
#ifndef WORKER_SOCKET_MOVE_H
#define WORKER_SOCKET_MOVE_H

#include "worker/socket.h"

/* Could it move, as things stand? Its module may have to freeze it first. */
bool socket_movable(const struct conn *c);
/* Has its module frozen what it keeps, or nothing to freeze? */
bool socket_has_frozen(const struct conn *c);
/* The loop lets it; the connection is parked again behind that. */
void socket_begin_freeze(struct worker *w, struct conn *c);
/* Nothing is put into its queue from now on: the bytes that socket_pack() will write, 0 where
 * it cannot move just now. */
size_t socket_seal(struct conn *c);
void socket_pack(const struct conn *c, char *out);
/* Nobody has taken it: it goes on here. */
void socket_unseal(struct conn *c);
/* In the other worker, by its loop. False: refused, and nothing of it stays. */
bool socket_unpack(struct worker *w, struct conn *c, const void *data, size_t len);

#endif
