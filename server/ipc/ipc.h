/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the server's processes: SOCK_SEQPACKET pairs, one message a
 * packet, descriptors riding along. A receiver treats what it gets as gossip:
 * a message that is malformed, of another version or with the wrong number of
 * descriptors is dropped whole, its descriptors closed.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stddef.h>
#include <stdint.h>

#include <apr_errno.h>

#include "ipc/messages.h"

enum { IPC_VERSION = 1, IPC_MAX_PAYLOAD = 96 * 1024, IPC_MAX_FDS = 128 };

struct ipc_header {
    uint16_t version, type;
    uint32_t length;     /* of the payload */
    uint64_t generation; /* the sender's */
};

struct ipc_message {
    struct ipc_header header;
    int fd_count;
    int fds[IPC_MAX_FDS]; /* CLOEXEC; the receiver's to close */
    unsigned char payload[IPC_MAX_PAYLOAD] __attribute__((aligned(16)));
};

/* A connected pair, both ends CLOEXEC and non-blocking, buffers raised to what
 * a full window needs. */
apr_status_t ipc_pair(int pair[2]);

/* APR_EAGAIN where the peer's queue is full (poll for output and try again),
 * APR_EOF where it is gone. EINTR and, within a bound, ETOOMANYREFS are retried inside. The
 * sender keeps its descriptors. For an ipc_empty, payload may be NULL with length 0. */
apr_status_t ipc_send(int fd, uint64_t generation, enum ipc_type type, const void *payload,
                      size_t length, const int *fds, int fd_count);

/* Receives one message. APR_EAGAIN: none there; APR_EOF: the peer is gone;
 * APR_EGENERAL: dropped as malformed, descriptors closed, go on
 * with the next; APR_ENOSPC (MSG_CTRUNC): descriptors were lost, closed the rest; the
 * header and payload are valid so that it can be refused by its number. */
apr_status_t ipc_recv(int fd, struct ipc_message *into);

const char *ipc_type_name(enum ipc_type type);

#endif
