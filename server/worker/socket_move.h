/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket on its way to another worker: the bytes that ride along behind its record. They are
 * a struct socket_wire, then the strings whose lengths it has, in their order there.
 */
#ifndef WORKER_SOCKET_MOVE_H
#define WORKER_SOCKET_MOVE_H

#include "worker/socket.h"

struct socket_wire {
    uint32_t size;          /* of this structure: the version, so to speak */
    uint32_t state_version; /* the module's */
    int64_t opened;         /* us, time of day */
    int64_t heard;          /* ms, CLOCK_MONOTONIC */
    uint64_t bytes_out;
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
