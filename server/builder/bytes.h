/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow, in a pool. */
#ifndef BUILDER_BYTES_H
#define BUILDER_BYTES_H

#include <stddef.h>

#include <apr_pools.h>

struct bytes {
    apr_pool_t *pool;
    char *data; /* NUL behind len once something was added */
    size_t len, room;
};

void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_add_text(struct bytes *bytes, const char *text);

#endif
