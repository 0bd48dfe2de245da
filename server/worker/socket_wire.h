/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a WebSocket that ride along behind its record: a struct socket_wire, then the
 * strings whose lengths it has, in their order there.
 */
#ifndef WORKER_SOCKET_WIRE_H
#define WORKER_SOCKET_WIRE_H

#include "websocket/deflate.h"

struct socket_wire {
    uint32_t size;          /* of this structure: the version, so to speak */
    uint32_t state_version; /* the module's */
    int64_t opened;         /* us, time of day */
    int64_t heard;          /* ms, CLOCK_MONOTONIC */
    uint64_t bytes_out;
    int64_t head_bytes;
    struct ws_parser parser;
    struct ws_terms terms;
    uint8_t pinged;
    uint32_t head, id, user, protocol; /* texts; the last three with their NUL, 0: none */
    uint32_t message;                  /* of one that has come in part */
    uint32_t output;                   /* not yet sent */
    uint32_t window;                   /* of inflate */
    uint32_t state;                    /* the module's, from freeze */
};

/* What socket_wire_read() finds; pointers go into the bytes. */
struct socket_strings {
    const char *head, *id, *user, *protocol, *message, *output, *window, *state;
};

/* False where lengths do not add up or a value is none that we would have written. */
bool socket_wire_read(struct socket_wire *wire, struct socket_strings *strings, const void *data,
                      size_t len);

#endif
