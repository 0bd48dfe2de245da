/* SPDX-License-Identifier: Apache-2.0 */
/* Slots in shared memory. Several generation processes may take worker slots at
 * the same time, so a slot is claimed by one compare-and-swap of its generation;
 * all else has a single writer. */
#include "scoreboard/scoreboard.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_time.h>

#include "util/check.h"

static const char *const state_names[] = { "free",    "building", "starting", "probing",
                                           "serving", "draining", "exited",   "failed" };

const char *sb_state_name(enum sb_gen_state state)
{
    return (unsigned)state <= SB_FAILED ? state_names[state] : "unknown";
}

struct scoreboard *sb_create(int *fd)
{
    struct scoreboard *board;
    int error;

    *fd = memfd_create("instar-scoreboard", MFD_CLOEXEC);
    if (*fd < 0) {
        return NULL;
    }
    if (ftruncate(*fd, sizeof(*board)) != 0) {
        goto fail;
    }
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (board == MAP_FAILED) {
        goto fail;
    }
    board->version = SB_VERSION;
    board->size = sizeof(*board);
    return board;

fail:
    error = errno;
    (void)close(*fd);
    *fd = -1;
    errno = error;
    return NULL;
}

static bool is_over(const struct sb_generation *g)
{
    uint32_t state = atomic_load(&g->state);

    return state == SB_FREE || state == SB_EXITED || state == SB_FAILED;
}

/* A free slot, else the one whose generation has been over for longest. */
struct sb_generation *sb_generation_take(struct scoreboard *board, uint64_t number)
{
    struct sb_generation *best = NULL;

    for (int i = 0; i < SB_GENERATIONS; i++) {
        struct sb_generation *g = &board->generations[i];

        if (is_over(g) && (!best || atomic_load(&g->number) < atomic_load(&best->number))) {
            best = g;
        }
    }
    if (best) {
        atomic_store(&best->number, number);
        atomic_store(&best->pid, 0);
        memset(best->doing, 0, sizeof(best->doing));
        sb_generation_set(best, SB_BUILDING);
    }
    return best;
}

struct sb_generation *sb_generation_find(struct scoreboard *board, uint64_t number)
{
    for (int i = 0; i < SB_GENERATIONS; i++) {
        struct sb_generation *g = &board->generations[i];

        if (atomic_load(&g->number) == number && atomic_load(&g->state) != SB_FREE) {
            return g;
        }
    }
    return NULL;
}

void sb_generation_set(struct sb_generation *slot, enum sb_gen_state state)
{
    atomic_store(&slot->since, apr_time_now());
    atomic_store(&slot->state, (uint32_t)state);
}

void sb_doing(struct sb_generation *slot, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(slot->doing, sizeof(slot->doing), format, args);
    va_end(args);
}

struct sb_worker *sb_worker_take(struct scoreboard *board, uint64_t generation, uint32_t index)
{
    for (int i = 0; i < SB_WORKERS; i++) {
        struct sb_worker *w = &board->workers[i];
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&w->generation, &none, generation)) {
            atomic_store(&w->index, index);
            return w;
        }
    }
    return NULL;
}

void sb_worker_free(struct scoreboard *board, struct sb_worker *slot)
{
    int i = 0;

    INS_CHECK(slot >= board->workers && slot < board->workers + SB_WORKERS);
#define X(name, words) atomic_fetch_add(&board->base[i++], atomic_exchange(&slot->name, 0));
    SB_COUNTERS(X)
#undef X
    INS_CHECK(i <= (int)(sizeof(board->base) / sizeof(board->base[0])));
    atomic_store(&slot->pid, 0);
    atomic_store(&slot->connections, 0);
    atomic_store(&slot->busy, 0);
    atomic_store(&slot->threads, 0);
    atomic_store(&slot->generation, 0);
}

uint32_t sb_connections(const struct scoreboard *board, uint64_t generation)
{
    uint32_t sum = 0;

    for (int i = 0; i < SB_WORKERS; i++) {
        const struct sb_worker *w = &board->workers[i];

        if (atomic_load(&w->generation) == generation) {
            sum += atomic_load(&w->connections);
        }
    }
    return sum;
}
