/* SPDX-License-Identifier: Apache-2.0 */
/* Each slot is a sequence lock. A writer may be killed while it writes: who comes next waits a
 * moment, then takes the lock over; readers do without. */
#include "util/staple_board.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PROBES = STAPLE_SLOTS, WRITER_TRIES = 100, WRITER_WAIT_NS = 1000000, READER_TRIES = 1000 };

/* ---- The memory -------------------------------------------------------------- */

static bool is_board(int fd)
{
    struct {
        uint32_t version, size;
    } head = { 0, 0 };
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof(struct staple_board) &&
           pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
           head.version == STAPLE_BOARD_VERSION && head.size == sizeof(struct staple_board);
}

struct staple_board *staple_board_open(int *fd)
{
    struct staple_board *board;

    if (*fd >= 0 && !is_board(*fd)) {
        (void)close(*fd);
        *fd = -1;
    }
    if (*fd < 0) {
        *fd = memfd_create("instar-staples", MFD_CLOEXEC);
        if (*fd < 0 || ftruncate(*fd, sizeof(*board)) != 0) {
            return NULL;
        }
    }
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (board == MAP_FAILED) {
        return NULL;
    }
    board->version = STAPLE_BOARD_VERSION;
    board->size = sizeof(*board);
    return board;
}

/* ---- Writing ----------------------------------------------------------------- */

static void lock(struct staple_slot *s)
{
    const struct timespec pause = { 0, WRITER_WAIT_NS };
    int tries = 0;

    for (;;) {
        uint64_t seen = atomic_load(&s->sequence);

        if ((seen & 1) == 0 && atomic_compare_exchange_strong(&s->sequence, &seen, seen + 1)) {
            break;
        }
        if ((seen & 1) && tries++ >= WRITER_TRIES &&
            atomic_compare_exchange_strong(&s->sequence, &seen, seen + 2)) {
            break; /* its holder is dead */
        }
        if (seen & 1) {
            (void)nanosleep(&pause, NULL);
        }
    }
    atomic_thread_fence(memory_order_release);
}

static void unlock(struct staple_slot *s)
{
    atomic_fetch_add_explicit(&s->sequence, 1, memory_order_release);
}

bool staple_put(struct staple_board *board, int slot, uint64_t tag, const void *data, size_t len,
                int64_t good_until)
{
    struct staple_slot *s = &board->slots[slot];
    const char *bytes = data;
    bool ours;

    if (len > STAPLE_MAX) {
        return false;
    }
    lock(s);
    ours = atomic_load(&s->tag) == tag;
    for (size_t at = 0; ours && at < len; at += sizeof(uint64_t)) {
        uint64_t word = 0;

        memcpy(&word, bytes + at, len - at < sizeof(word) ? len - at : sizeof(word));
        atomic_store_explicit(&s->words[at / sizeof(word)], word, memory_order_relaxed);
    }
    if (ours) {
        atomic_store(&s->len, len);
        atomic_store(&s->good_until, good_until);
    }
    unlock(s);
    return ours;
}

void staple_set_due(struct staple_board *board, int slot, int64_t due)
{
    atomic_store(&board->slots[slot].due, due);
}

/* ---- Slots --------------------------------------------------------------------- */

/* False where another was quicker. */
static bool claim(struct staple_slot *s, uint64_t was, uint64_t tag, int64_t now)
{
    bool ours;

    lock(s);
    ours = atomic_load(&s->tag) == was;
    if (ours) {
        atomic_store(&s->good_until, 0);
        atomic_store(&s->due, 0);
        atomic_store(&s->len, 0);
        atomic_store(&s->used, now);
        atomic_store(&s->tag, tag);
    }
    unlock(s);
    return ours;
}

int staple_slot_find(struct staple_board *board, uint64_t tag, int64_t now)
{
    for (uint64_t i = 0; i < PROBES; i++) {
        int slot = (int)((tag + i) % STAPLE_SLOTS);

        if (staple_slot_use(board, slot, tag, now)) {
            return slot;
        }
    }
    for (uint64_t i = 0; i < PROBES; i++) {
        int slot = (int)((tag + i) % STAPLE_SLOTS);
        struct staple_slot *s = &board->slots[slot];
        uint64_t was = atomic_load(&s->tag);

        if ((was == 0 || atomic_load(&s->used) + STAPLE_KEPT_SECONDS < now) &&
            claim(s, was, tag, now)) {
            return slot;
        }
        if (atomic_load(&s->tag) == tag) {
            return slot;
        }
    }
    return -1;
}

bool staple_slot_use(struct staple_board *board, int slot, uint64_t tag, int64_t now)
{
    struct staple_slot *s = &board->slots[slot];

    if (atomic_load(&s->tag) != tag) {
        return false;
    }
    atomic_store(&s->used, now);
    return true;
}

/* ---- Reading --------------------------------------------------------------------- */

int64_t staple_due(const struct staple_board *board, int slot)
{
    return atomic_load(&board->slots[slot].due);
}

int64_t staple_good_until(const struct staple_board *board, int slot)
{
    return atomic_load(&board->slots[slot].good_until);
}

static size_t copy_out(const struct staple_slot *s, uint64_t tag, int64_t now, unsigned char *out)
{
    size_t len = (size_t)atomic_load_explicit(&s->len, memory_order_relaxed);

    if (atomic_load_explicit(&s->tag, memory_order_relaxed) != tag || len > STAPLE_MAX ||
        atomic_load_explicit(&s->good_until, memory_order_relaxed) <= now) {
        return 0;
    }
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t word =
            atomic_load_explicit(&s->words[at / sizeof(uint64_t)], memory_order_relaxed);

        memcpy(out + at, &word, len - at < sizeof(word) ? len - at : sizeof(word));
    }
    return len;
}

size_t staple_get(const struct staple_board *board, int slot, uint64_t tag, int64_t now,
                  unsigned char *out)
{
    const struct staple_slot *s = &board->slots[slot];

    for (int tries = 0; tries < READER_TRIES; tries++) {
        uint64_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);
        size_t len;

        if (before & 1) {
            continue;
        }
        len = copy_out(s, tag, now, out);
        atomic_thread_fence(memory_order_acquire);
        if (before == atomic_load_explicit(&s->sequence, memory_order_relaxed)) {
            return len;
        }
    }
    return 0;
}
