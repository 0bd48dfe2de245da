/* SPDX-License-Identifier: Apache-2.0 */
/* The ring is a sequence lock over atomic words: one writer, any number of readers in other
 * processes, who never hold it up. */
#include "util/ticket_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Reading ------------------------------------------------------------ */

void ticket_ring_get(const struct ticket_ring *ring, enum ticket_place place,
                     struct ticket_secret *out)
{
    uint64_t words[TICKET_WORDS] = { 0 }, before;

    do {
        before = atomic_load_explicit(&ring->sequence, memory_order_acquire);
        for (int i = 0; i < TICKET_WORDS; i++) {
            words[i] = atomic_load_explicit(&ring->words[place][i], memory_order_relaxed);
        }
        atomic_thread_fence(memory_order_acquire);
    } while ((before & 1) || before != atomic_load_explicit(&ring->sequence, memory_order_relaxed));
    memcpy(out, words, sizeof(*out));
    explicit_bzero(words, sizeof(words));
}

bool ticket_ring_find(const struct ticket_ring *ring, const unsigned char *name,
                      struct ticket_secret *out, enum ticket_place *place)
{
    static const enum ticket_place order[] = { TICKET_CURRENT, TICKET_PREVIOUS, TICKET_NEXT };
    uint64_t before;

    /* A key that moves while it is looked for may be met at neither place. */
    do {
        before = atomic_load_explicit(&ring->sequence, memory_order_acquire);
        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
            ticket_ring_get(ring, order[i], out);
            if (memcmp(name, out->name, sizeof(out->name)) == 0) {
                *place = order[i];
                return true;
            }
        }
    } while (before != atomic_load_explicit(&ring->sequence, memory_order_acquire));
    explicit_bzero(out, sizeof(*out));
    return false;
}

/* ---- Writing ------------------------------------------------------------ */

static int make_words(uint64_t words[TICKET_WORDS])
{
    const size_t size = sizeof(struct ticket_secret);

    return getrandom(words, size, 0) == (ssize_t)size ? 0 : errno;
}

static void begin(struct ticket_ring *ring)
{
    atomic_fetch_add_explicit(&ring->sequence, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end(struct ticket_ring *ring)
{
    atomic_fetch_add_explicit(&ring->sequence, 1, memory_order_release);
}

static void put(struct ticket_ring *ring, enum ticket_place place, const uint64_t *words)
{
    for (int i = 0; i < TICKET_WORDS; i++) {
        atomic_store_explicit(&ring->words[place][i], words[i], memory_order_relaxed);
    }
}

static void move(struct ticket_ring *ring, enum ticket_place to, enum ticket_place from)
{
    for (int i = 0; i < TICKET_WORDS; i++) {
        atomic_store_explicit(&ring->words[to][i],
                              atomic_load_explicit(&ring->words[from][i], memory_order_relaxed),
                              memory_order_relaxed);
    }
}

int ticket_ring_rotate(struct ticket_ring *ring, int64_t now_ms)
{
    uint64_t words[TICKET_WORDS];
    int error = make_words(words);

    if (error != 0) {
        return error;
    }
    begin(ring);
    move(ring, TICKET_PREVIOUS, TICKET_CURRENT);
    move(ring, TICKET_CURRENT, TICKET_NEXT);
    put(ring, TICKET_NEXT, words);
    end(ring);
    atomic_store(&ring->rotated_ms, now_ms);
    atomic_fetch_add(&ring->rotations, 1);
    explicit_bzero(words, sizeof(words));
    return 0;
}

/* ---- The memory --------------------------------------------------------- */

/* Opened for reading alone: such a mapping cannot be made writable. */
static const struct ticket_ring *map_view(int fd)
{
    const void *view;
    char path[64];
    int reader;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    reader = open(path, O_RDONLY | O_CLOEXEC);
    view =
        mmap(NULL, sizeof(struct ticket_ring), PROT_READ, MAP_SHARED, reader < 0 ? fd : reader, 0);
    if (reader >= 0) {
        (void)close(reader);
    }
    return view == MAP_FAILED ? NULL : view;
}

static int map(struct ticket_keys *keys)
{
    const size_t size = sizeof(struct ticket_ring);
    void *ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, keys->fd, 0);

    if (ring == MAP_FAILED) {
        return errno;
    }
    keys->ring = ring;
    keys->view = map_view(keys->fd);
    if (!keys->view) {
        return errno;
    }
    (void)madvise(ring, size, MADV_DONTDUMP);
    (void)madvise(ring, size, MADV_DONTFORK);
    (void)madvise((void *)(uintptr_t)keys->view, size, MADV_DONTDUMP);
    return 0;
}

static bool is_readable(int fd)
{
    struct {
        uint32_t version, size;
    } head = { 0, 0 };
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct ticket_ring) &&
           pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
           head.version == TICKET_RING_VERSION && head.size == sizeof(struct ticket_ring);
}

/* Each place gets a key of its own, the previous one too: no name is ever all noughts. */
static int fill(struct ticket_ring *ring, int64_t now_ms)
{
    int error = 0;

    ring->version = TICKET_RING_VERSION;
    ring->size = sizeof(*ring);
    for (int i = 0; i < TICKET_PLACES && error == 0; i++) {
        error = ticket_ring_rotate(ring, now_ms);
    }
    atomic_store(&ring->rotations, 0);
    return error;
}

int ticket_keys_open(struct ticket_keys *keys, int fd, int64_t now_ms)
{
    bool kept = fd >= 0 && is_readable(fd);
    int error;

    *keys = (struct ticket_keys){ .fd = kept ? fd : -1 };
    if (!kept) {
        if (fd >= 0) {
            (void)close(fd);
        }
        keys->fd = memfd_create("instar-ticket-keys", MFD_CLOEXEC);
        if (keys->fd < 0 || ftruncate(keys->fd, sizeof(struct ticket_ring)) != 0) {
            return errno;
        }
    }
    error = map(keys);
    return error == 0 && !kept ? fill(keys->ring, now_ms) : error;
}

void ticket_keys_close(struct ticket_keys *keys)
{
    if (keys->ring) {
        explicit_bzero(keys->ring, sizeof(*keys->ring));
        (void)munmap(keys->ring, sizeof(*keys->ring));
    }
    if (keys->view) {
        (void)munmap((void *)(uintptr_t)keys->view, sizeof(*keys->view));
    }
    if (keys->fd >= 0) {
        (void)close(keys->fd);
    }
    *keys = (struct ticket_keys){ .fd = -1 };
}
