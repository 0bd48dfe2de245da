/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of session tickets: made and rotated by the master, read by every
 * worker of every generation, so that a client resumes wherever it comes. They
 * live in a memfd of the master's. Others see it through a mapping that cannot be
 * made writable; no core dump holds either.
 *
 * A reader never waits: it copies a key, and again where the master has changed
 * something meanwhile.
 */
#ifndef UTIL_TICKET_RING_H
#define UTIL_TICKET_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TICKET_RING_VERSION = 1, TICKET_NAME_SIZE = 16, TICKET_SECRET_SIZE = 32 };

/* The next one is made a rotation ahead. The current one encrypts, all of them decrypt. */
enum ticket_place { TICKET_NEXT, TICKET_CURRENT, TICKET_PREVIOUS, TICKET_PLACES };

struct ticket_secret {
    unsigned char name[TICKET_NAME_SIZE];
    unsigned char aes[TICKET_SECRET_SIZE], hmac[TICKET_SECRET_SIZE];
};

enum { TICKET_WORDS = sizeof(struct ticket_secret) / sizeof(uint64_t) };

/* In the memfd: version and size come first, for a reader of another binary. */
struct ticket_ring {
    uint32_t version, size;
    _Atomic uint64_t sequence;  /* odd: being changed */
    _Atomic uint64_t rotations; /* since the keys were made */
    _Atomic int64_t rotated_ms; /* CLOCK_MONOTONIC: the last one */
    _Atomic uint64_t words[TICKET_PLACES][TICKET_WORDS];
};

/* The master's mapping, which no child inherits, and the one that all inherit. */
struct ticket_keys {
    int fd; /* CLOEXEC; -1: none */
    struct ticket_ring *ring;
    const struct ticket_ring *view;
};

/* New keys, or with fd >= 0 those that another binary of this server has left there (fd is
 * taken over; of another version or size they are made anew). 0 or errno. */
int ticket_keys_open(struct ticket_keys *keys, int fd, int64_t now_ms);
/* Wipes. */
void ticket_keys_close(struct ticket_keys *keys);
/* The next becomes the current one, that the previous one, which is forgotten. 0 or errno. */
int ticket_ring_rotate(struct ticket_ring *ring, int64_t now_ms);

/* A copy of the key at a place, to be wiped by the caller. */
void ticket_ring_get(const struct ticket_ring *ring, enum ticket_place place,
                     struct ticket_secret *out);
/* A copy of the key of this name; false where none has it (out is wiped). */
bool ticket_ring_find(const struct ticket_ring *ring, const unsigned char *name,
                      struct ticket_secret *out, enum ticket_place *place);

#endif
