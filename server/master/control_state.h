/* SPDX-License-Identifier: Apache-2.0 */
/* What control.c and control_carry.c share. */
#ifndef MASTER_CONTROL_STATE_H
#define MASTER_CONTROL_STATE_H

#include <limits.h>

#include "master/control.h"

enum { CONTROL_ASK_MS = 5000, CONTROL_READ_MS = 30000 };

struct control {
    struct source source;
    struct source by_config; /* the second way in: see socket_path_of_config() */
    struct control_client *clients;
    int client_count;
    int spare; /* given up for a moment when descriptors have run out */
    pid_t owner;
    dev_t dev;
    ino_t inode;
    char path[PATH_MAX];
};

void control_drop(struct master *m, struct control_client *client);
/* Sends what is left of its answer; drops it at the end. */
void control_send_more(struct master *m, struct control_client *client);
/* Acts on its request if all of that is there. */
void control_take_line(struct master *m, struct control_client *client);

/* Of sources and timers. */
void control_accept_ready(struct master *m, void *ctx, uint32_t events);
void control_client_ready(struct master *m, void *ctx, uint32_t events);
void control_overdue(struct master *m, void *ctx);

#endif
