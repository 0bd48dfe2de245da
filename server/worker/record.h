/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of a connection: what a successor needs to go on with it, as
 * plain data without pointers that matter. It is one slot of the worker's
 * shared slab while the connection lives, and the same bytes cross to another
 * worker at a handover. Version and size let the next release read it.
 */
#ifndef WORKER_RECORD_H
#define WORKER_RECORD_H

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>

/* 2: tls, 3: socket, which older records have as 0. They are read too. */
enum { RECORD_VERSION = 3, RECORD_OLDEST = 1, RECORD_SIZE = 256 };

enum record_protocol { RECORD_HTTP1 = 1, RECORD_WEBSOCKET = 2 };

union record_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct record {
    uint32_t sequence; /* odd: being changed, not adoptable */
    uint16_t version, size;
    uint8_t protocol;
    uint8_t reserved[3];
    uint32_t keepalives;  /* requests answered */
    uint64_t id;          /* of the connection, unique in the server's life */
    uint64_t listener_id; /* struct listener's */
    int64_t idle_since;   /* CLOCK_MONOTONIC ms; of the last answer or the accept */
    int64_t idle_allowed; /* ms; not above 0: as the address's default host says */
    int64_t head_since;   /* of the unread head's first byte; 0: no unread bytes */
    uint32_t unread;      /* bytes that ride along: the head that nobody has answered yet */
    uint16_t peer_len;    /* 0 on a unix socket */
    uint16_t local_len;
    union record_address peer, local;
    uint32_t tls;    /* bytes behind the unread ones: the TLS session (tls_freeze()); 0: plain */
    uint32_t socket; /* and behind that: the WebSocket (socket_pack()); 0: none */
    uint8_t room[RECORD_SIZE - 128];
};

static_assert(sizeof(struct record) == RECORD_SIZE, "a record fills its slot");

#endif
