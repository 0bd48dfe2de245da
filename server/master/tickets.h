/* SPDX-License-Identifier: Apache-2.0 */
/* The session ticket keys' rotation. */
#ifndef MASTER_TICKETS_H
#define MASTER_TICKETS_H

#include "master/state.h"

struct conf;
struct control_client;

/* Keeps the interval that the serving config asks for. */
void tickets_follow(struct master *m, const struct conf *conf);
/* By hand: instarctl rotate-ticket-keys. */
void tickets_rotate(struct master *m, struct control_client *client);

#endif
