/* SPDX-License-Identifier: Apache-2.0 */
/* Slots in shared memory. Several generation processes may take worker slots at
 * the same time, so a slot is claimed by one compare-and-swap of its generation;
 * all else has a single writer. */
#include "scoreboard/scoreboard.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_time.h>

#include "util/check.h"

static_assert((int)SB_COUNTER_COUNT <= (int)SB_COUNTER_PLACES, "a place for each counter");
static_assert((int)SB_MASTER_COUNT <= (int)SB_MASTER_PLACES, "a place for each counter");

const struct sb_counter_row sb_counter_rows[SB_COUNTER_COUNT] = {
#define X(name, metric, labels, words) { #name, metric, labels, words },
    SB_COUNTERS(X)
#undef X
};
const struct sb_counter_row sb_master_rows[SB_MASTER_COUNT] = {
#define X(name, metric, labels, words) { #name, metric, labels, words },
    SB_MASTER_COUNTERS(X)
#undef X
};
const uint32_t sb_duration_bounds[SB_DURATIONS - 1] = SB_DURATION_BOUNDS;

static const char *const state_names[SB_STATES] = { "free",    "building", "starting", "probing",
                                                    "serving", "draining", "exited",   "failed" };

const char *sb_state_name(enum sb_gen_state state)
{
    return (unsigned)state < SB_STATES ? state_names[state] : "unknown";
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

struct scoreboard *sb_attach(int fd)
{
    struct scoreboard *board;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return NULL;
    }
    if (st.st_size != (off_t)sizeof(*board)) {
        errno = EPROTO;
        return NULL;
    }
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) {
        return NULL;
    }
    if (board->version != SB_VERSION || board->size != sizeof(*board)) {
        (void)munmap(board, sizeof(*board));
        errno = EPROTO;
        return NULL;
    }
    return board;
}

/* ---- Generations -------------------------------------------------------- */

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
        for (int i = 0; i < SB_STATES; i++) {
            atomic_store(&best->at[i], 0);
        }
        atomic_store(&best->deadline, 0);
        atomic_store(&best->workers, 0);
        memset(best->doing, 0, sizeof(best->doing));
        memset(best->why, 0, sizeof(best->why));
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
    int64_t now = apr_time_now();

    atomic_store(&slot->since, now);
    atomic_store(&slot->at[state], now);
    atomic_store(&slot->state, (uint32_t)state);
}

void sb_doing(struct sb_generation *slot, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(slot->doing, sizeof(slot->doing), format, args);
    va_end(args);
}

/* ---- Workers ------------------------------------------------------------ */

/* Killed by somebody who could not wait for its end: its last stores are still to come. */
static bool may_still_count(const struct sb_worker *w)
{
    pid_t pid = atomic_load(&w->pid);

    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

static void note_used(struct scoreboard *board, uint32_t count)
{
    uint32_t used = atomic_load(&board->worker_slots);

    while (used < count && !atomic_compare_exchange_weak(&board->worker_slots, &used, count)) {
    }
}

struct sb_worker *sb_worker_take(struct scoreboard *board, uint64_t generation, uint32_t index)
{
    for (uint32_t i = 0; i < SB_WORKERS; i++) {
        struct sb_worker *w = &board->workers[i];
        uint64_t none = 0;

        if (atomic_load(&w->generation) == 0 && !may_still_count(w) &&
            atomic_compare_exchange_strong(&w->generation, &none, generation)) {
            note_used(board, i + 1);
            atomic_store(&w->pid, 0);
            atomic_store(&w->index, index);
            atomic_store(&w->route, 0);
            atomic_store(&w->leaving, 0);
            atomic_store(&w->requests_before, atomic_load(&w->requests));
            atomic_store(&w->started, apr_time_now());
            return w;
        }
    }
    return NULL;
}

void sb_worker_abandon(struct scoreboard *board, struct sb_worker *slot)
{
    INS_CHECK(slot >= board->workers && slot < board->workers + SB_WORKERS);
    atomic_store(&slot->connections, 0);
    atomic_store(&slot->tls, 0);
    atomic_store(&slot->busy, 0);
    atomic_store(&slot->threads, 0);
    atomic_store(&slot->generation, 0);
}

void sb_worker_free(struct scoreboard *board, struct sb_worker *slot)
{
    atomic_store(&slot->pid, 0);
    sb_worker_abandon(board, slot);
}

/* ---- Reading ------------------------------------------------------------ */

struct sb_load sb_generation_load(const struct scoreboard *board, uint64_t generation)
{
    uint32_t slots = atomic_load(&board->worker_slots);
    struct sb_load load = { 0 };

    for (uint32_t i = 0; i < slots; i++) {
        const struct sb_worker *w = &board->workers[i];

        if (atomic_load(&w->generation) == generation) {
            load.workers++;
            load.connections += atomic_load(&w->connections);
            load.tls += atomic_load(&w->tls);
            load.busy += atomic_load(&w->busy);
        }
    }
    return load;
}

uint32_t sb_connections(const struct scoreboard *board, uint64_t generation)
{
    return sb_generation_load(board, generation).connections;
}

/* Each place only grows and is read once in every call: so the sums only grow, too. */
void sb_totals(const struct scoreboard *board, struct sb_totals *totals)
{
    uint32_t slots = atomic_load(&board->worker_slots);

    memset(totals, 0, sizeof(*totals));
    for (uint32_t i = 0; i < slots; i++) {
        const struct sb_worker *w = &board->workers[i];

        for (int c = 0; c < SB_COUNTER_COUNT; c++) {
            totals->counter[c] += atomic_load_explicit(&w->counter[c], memory_order_relaxed);
        }
        for (int c = 0; c < SB_DURATIONS; c++) {
            totals->durations[c] += atomic_load_explicit(&w->durations[c], memory_order_relaxed);
        }
        totals->duration_us += atomic_load_explicit(&w->duration_us, memory_order_relaxed);
    }
    for (int c = 0; c < SB_MASTER_COUNT; c++) {
        totals->master[c] = atomic_load_explicit(&board->master.counter[c], memory_order_relaxed);
    }
}

/* ---- The last reload, behind a sequence --------------------------------- */

enum { OUTCOME_WORDS = sizeof(struct sb_outcome) / sizeof(uint64_t), READ_TRIES = 1000 };
static_assert(OUTCOME_WORDS * sizeof(uint64_t) == sizeof(struct sb_outcome), "it is whole words");

void sb_outcome_write(struct scoreboard *board, const struct sb_outcome *outcome)
{
    struct sb_master *m = &board->master;
    uint32_t odd = atomic_load_explicit(&m->sequence, memory_order_relaxed) | 1;

    atomic_store_explicit(&m->sequence, odd, memory_order_relaxed);
    for (size_t i = 0; i < OUTCOME_WORDS; i++) {
        uint64_t word;

        memcpy(&word, (const char *)outcome + i * sizeof(word), sizeof(word));
        /* release: not before the sequence is odd */
        atomic_store_explicit(&m->outcome[i], word, memory_order_release);
    }
    atomic_store_explicit(&m->sequence, odd + 1, memory_order_release);
}

bool sb_outcome_read(const struct scoreboard *board, struct sb_outcome *outcome)
{
    const struct sb_master *m = &board->master;

    for (int try = 0; try < READ_TRIES; try++) {
        uint32_t before = atomic_load_explicit(&m->sequence, memory_order_acquire);

        for (size_t i = 0; i < OUTCOME_WORDS; i++) {
            /* acquire: the sequence is looked at again behind it */
            uint64_t word = atomic_load_explicit(&m->outcome[i], memory_order_acquire);

            memcpy((char *)outcome + i * sizeof(word), &word, sizeof(word));
        }
        if ((before & 1) == 0 &&
            atomic_load_explicit(&m->sequence, memory_order_relaxed) == before) {
            outcome->words[SB_WORDS - 1] = outcome->what[sizeof(outcome->what) - 1] =
                outcome->stage[sizeof(outcome->stage) - 1] = '\0';
            return true;
        }
    }
    return false;
}
