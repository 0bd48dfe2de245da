/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handover on the wire: CONN_OFFER carries records, then for each in the
 * same order its strings (unread bytes, TLS session, WebSocket), with one descriptor a record;
 * CONN_TAKEN says which of them the receiver has adopted. The sender keeps each connection until
 * then. Where a TLS session is among them, both sides wipe the message.
 */
#ifndef WORKER_HANDOVER_H
#define WORKER_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/record.h"

enum {
    OFFER_MAX = 64,               /* connections a message */
    OFFER_STRINGS_MAX = 64 * 1024 /* bytes of strings a message */
};

struct offer_header {
    uint64_t number; /* the answer names it */
    uint32_t count;
    uint32_t record_size;
};

/* What offer_next() finds. Pointers go into the message. */
struct offered {
    struct record record;
    const unsigned char *unread, *tls, *socket;
};

/* Walks an offer, whoever sent it. */
struct offer_walk {
    struct offer_header header;
    const unsigned char *records, *strings;
    uint32_t next;
};

/* False where lengths do not add up, or count is not the number of descriptors: nothing of the
 * message may be used then, but header.number, which is 0 if there was none. */
bool offer_check(struct offer_walk *walk, const void *message, size_t len, int fd_count);
/* The next record and its strings, which lie within the message; false behind the last. */
bool offer_next(struct offer_walk *walk, struct offered *one);
/* Can this release go on with it at all? */
bool offer_readable(const struct record *r);

struct offer_answer {
    uint64_t number;
    uint64_t taken; /* bit n: record n was adopted */
};

#endif
