/* SPDX-License-Identifier: Apache-2.0 */
/* Pools that cost few system calls. */
#ifndef MASTER_MEMORY_H
#define MASTER_MEMORY_H

#include <stddef.h>

#include <apr_pools.h>

/* A pool with an allocator of its own: destroying it gives all memory back.
 * expected: how much will be taken from it, about; 0 little. */
apr_pool_t *memory_pool(size_t expected);
/* The same for all pools that are made without an allocator from now on. */
void memory_expect(size_t expected);

#endif
