/* SPDX-License-Identifier: Apache-2.0 */
/* The slab of connections. Both arrays are mapped for the whole capacity and
 * cost memory only where they have been used; the records lie in a memfd, so
 * that they can be shared with the processes that outlive a worker. */
#include "worker/conn.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/check.h"

/* The tag's upper byte is left for the loop's other sources. */
static const uint32_t TAG_GENERATION = 0xffffff;

static void *map_private(size_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
}

static void *map_shared(size_t bytes)
{
    void *map;
    int fd = memfd_create("instar-connections", MFD_CLOEXEC);

    if (fd < 0) {
        return MAP_FAILED;
    }
    if (ftruncate(fd, (off_t)bytes) < 0) {
        (void)close(fd);
        return MAP_FAILED;
    }
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return map;
}

int conn_slab_create(struct conn_slab *slab, uint32_t capacity)
{
    *slab = (struct conn_slab){ .capacity = capacity };
    slab->list = map_private(sizeof(*slab->list) * capacity);
    slab->free_next = map_private(sizeof(*slab->free_next) * capacity);
    slab->records = map_shared(sizeof(*slab->records) * capacity);
    if (slab->list == MAP_FAILED || slab->free_next == MAP_FAILED || slab->records == MAP_FAILED) {
        return errno;
    }
    return 0;
}

struct conn *conn_take(struct conn_slab *slab)
{
    struct conn *c;
    uint32_t index, generation;

    if (slab->free_first != 0) {
        index = slab->free_first - 1;
        slab->free_first = slab->free_next[index];
    }
    else if (slab->used < slab->capacity) {
        index = slab->used++;
    }
    else {
        return NULL;
    }
    c = &slab->list[index];
    INS_CHECK(c->state == CONN_FREE);
    generation = c->generation;
    memset(c, 0, sizeof(*c));
    c->generation = generation;
    c->fd = -1;
    slab->living++;
    return c;
}

void conn_give(struct conn_slab *slab, struct conn *c)
{
    uint32_t index = conn_index(slab, c);

    INS_CHECK(c->state != CONN_FREE);
    c->state = CONN_FREE;
    c->generation++;
    slab->free_next[index] = slab->free_first;
    slab->free_first = index + 1;
    slab->living--;
}

uint64_t conn_tag(const struct conn_slab *slab, const struct conn *c)
{
    return ((uint64_t)(c->generation & TAG_GENERATION) << 32) | (conn_index(slab, c) + 1);
}

struct conn *conn_from_tag(const struct conn_slab *slab, uint64_t tag)
{
    uint32_t index = (uint32_t)tag - 1;
    struct conn *c;

    if (index >= slab->used) {
        return NULL;
    }
    c = &slab->list[index];
    return c->state != CONN_FREE && (c->generation & TAG_GENERATION) == tag >> 32 ? c : NULL;
}

void record_change(struct record *r)
{
    r->sequence |= 1;
    atomic_thread_fence(memory_order_release);
}

void record_settle(struct record *r)
{
    atomic_thread_fence(memory_order_release);
    r->sequence = (r->sequence | 1) + 1;
}
