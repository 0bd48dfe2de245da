/* SPDX-License-Identifier: Apache-2.0 */
/*
 * APR's allocator takes 8 KiB at a time from the system, as a mapping of its
 * own where it was built so (Debian's is): a config of 5,000 routes costs some
 * hundred mmap() and munmap() calls, a third of the time of its reload. It
 * takes larger nodes from its free list if it finds some there, so they are
 * put there first. What is not touched of them costs nothing.
 */
#include "master/memory.h"

#include <apr_allocator.h>

#include "util/check.h"

enum {
    /* The largest that the free list holds by size, its own head and all. */
    NODE_BYTES = 80 * 1024,
    HEAD_BYTES = 64, /* at least APR_MEMNODE_T_SIZE, rounded up again by APR */
    NODES_MAX = 1024
};

static void stock(apr_allocator_t *allocator, size_t bytes)
{
    size_t count = bytes / NODE_BYTES;
    apr_memnode_t *nodes = NULL;

    count = count < NODES_MAX ? count : NODES_MAX;
    while (count-- > 0) {
        apr_memnode_t *node = apr_allocator_alloc(allocator, NODE_BYTES - HEAD_BYTES);

        if (node == NULL) {
            break;
        }
        node->next = nodes;
        nodes = node;
    }
    if (nodes != NULL) {
        apr_allocator_free(allocator, nodes);
    }
}

apr_pool_t *memory_pool(size_t expected)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    INS_CHECK(apr_allocator_create(&allocator) == APR_SUCCESS);
    stock(allocator, expected);
    INS_CHECK(apr_pool_create_ex(&pool, NULL, NULL, allocator) == APR_SUCCESS);
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

void memory_expect(size_t expected)
{
    apr_pool_t *pool;

    INS_CHECK(apr_pool_create(&pool, NULL) == APR_SUCCESS);
    stock(apr_pool_allocator_get(pool), expected);
    apr_pool_destroy(pool);
}
