/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and strings as bytes, and back. The reader trusts no length: what does
 * not fit makes it bad for good, and every answer from then on is 0 or NULL.
 */
#ifndef MASTER_PACK_H
#define MASTER_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_pools.h>

struct pack {
    apr_pool_t *pool;
    char *bytes;
    size_t length, size;
};
void pack_start(struct pack *pack, size_t expected, apr_pool_t *pool);
void pack_number(struct pack *pack, uint64_t number);
/* NULL is told from "". */
void pack_string(struct pack *pack, const char *text);
void pack_bytes(struct pack *pack, const char *bytes, size_t length);

struct unpack {
    const char *at;
    size_t left;
    bool bad;
};
uint64_t unpack_number(struct unpack *from);
/* A count of things that take at least a byte each. */
int unpack_count(struct unpack *from);
/* In pool, NUL-terminated; NULL where NULL was packed. length may be NULL. */
const char *unpack_string(struct unpack *from, size_t *length, apr_pool_t *pool);
/* Into an array of fixed size, cut where it is too long. */
void unpack_into(struct unpack *from, char *into, size_t size);

#endif
