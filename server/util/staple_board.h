/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP responses in shared memory of the master's, so that all workers have them and
 * a new generation finds what the last one fetched. One process of the serving
 * generation writes, at a reload two for a moment; workers read without waiting. What is in
 * here was verified by its writer, and is verified again by the clients that it is for.
 *
 * A tag stands for a certificate and the responder that is asked about it.
 */
#ifndef UTIL_STAPLE_BOARD_H
#define UTIL_STAPLE_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STAPLE_BOARD_VERSION = 1,
    STAPLE_SLOTS = 512,
    STAPLE_MAX = 12 * 1024,     /* bytes of a response */
    STAPLE_KEPT_SECONDS = 86400 /* a slot that nobody has asked for so long may go to another */
};

struct staple_slot {
    _Atomic uint64_t sequence;  /* odd: being written */
    _Atomic uint64_t tag;       /* 0: free */
    _Atomic int64_t used;       /* these are times: seconds since 1970 */
    _Atomic int64_t good_until; /* 0: no response */
    _Atomic int64_t due;        /* when to ask again; 0: now */
    _Atomic uint64_t len;
    _Atomic uint64_t words[STAPLE_MAX / 8];
};

/* Version and size come first, for a reader of another binary. */
struct staple_board {
    uint32_t version, size;
    struct staple_slot slots[STAPLE_SLOTS];
};

/* In a memfd (CLOEXEC), untouched pages of which cost nothing. fd: as another binary of this
 * server left it, or -1; taken over. NULL with errno. */
struct staple_board *staple_board_open(int *fd);

/* The tag's slot, a new one if need be; -1 where all are in use. */
int staple_slot_find(struct staple_board *board, uint64_t tag, int64_t now);
/* Keeps the slot. False where it is another's by now. */
bool staple_slot_use(struct staple_board *board, int slot, uint64_t tag, int64_t now);
/* When to ask again. */
int64_t staple_due(const struct staple_board *board, int slot);
void staple_set_due(struct staple_board *board, int slot, int64_t due);

/* False where it does not fit, or the slot is another's. */
bool staple_put(struct staple_board *board, int slot, uint64_t tag, const void *data, size_t len,
                int64_t good_until);
/* Until when there is a response; 0: there is none. */
int64_t staple_good_until(const struct staple_board *board, int slot);
/* Into out, STAPLE_MAX bytes; the length, 0 where there is none that is good now. */
size_t staple_get(const struct staple_board *board, int slot, uint64_t tag, int64_t now,
                  unsigned char *out);

#endif
