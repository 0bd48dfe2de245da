/* SPDX-License-Identifier: Apache-2.0 */
/* A listening socket as master, generation and worker know it. The master
 * opens and closes it; children inherit the descriptor and only poll and
 * accept. Never re-opened while it lives: a reload keeps what is unchanged. */
#ifndef UTIL_LISTENER_H
#define UTIL_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct listener {
    uint64_t id; /* of this socket, never reused while the master lives */
    int fd;
    bool https; /* Listen ... https */
    int backlog;
    socklen_t addr_len;
    struct sockaddr_storage addr;
    char name[160]; /* "0.0.0.0:80", "[::]:443", "unix:/run/x.sock" */
};

struct listener_set {
    int count;
    struct listener *list;
};

#endif
