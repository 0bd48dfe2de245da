/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scoreboard: shared memory made by the master, inherited by every child.
 * Each slot has one writer; readers may see a slot in the middle of a change and
 * must not rely on two fields fitting together, but each field is atomic.
 * Counters only grow; a worker's are added to its generation's base when the slot is
 * reused, so that totals survive.
 */
#ifndef SCOREBOARD_SCOREBOARD_H
#define SCOREBOARD_SCOREBOARD_H

#include <stdatomic.h>
#include <stdint.h>

enum { SB_VERSION = 1, SB_GENERATIONS = 32, SB_WORKERS = 1024, SB_DOING = 200 };

enum sb_gen_state {
    SB_FREE,
    SB_BUILDING,
    SB_STARTING,
    SB_PROBING,
    SB_SERVING,
    SB_DRAINING,
    SB_EXITED,
    SB_FAILED
};

/* name, words for status and metrics */
#define SB_COUNTERS(X)                                                                             \
    X(accepted, "connections accepted")                                                            \
    X(requests, "requests answered")                                                               \
    X(errors, "requests refused as malformed or over a limit")                                     \
    X(bytes_in, "bytes read")                                                                      \
    X(bytes_out, "bytes written")                                                                  \
    X(handed_over, "connections handed to a newer generation")                                     \
    X(adopted, "connections taken from an older generation")                                       \
    X(loop_moves, "times the loop left a blocking handler behind")                                 \
    X(thread_limit, "times ThreadsPerWorker was reached")                                          \
    X(conn_limit, "times accepting paused at MaxConnections or out of descriptors")

struct sb_worker {
    _Atomic uint64_t generation; /* 0: free */
    _Atomic uint32_t index;
    _Atomic int32_t pid;
    _Atomic uint32_t connections, busy, threads;
#define X(name, words) _Atomic uint64_t name;
    SB_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

struct sb_generation {
    _Atomic uint64_t number;
    _Atomic uint32_t state; /* enum sb_gen_state */
    _Atomic int32_t pid;
    _Atomic int64_t since; /* apr_time_t of the last change of state */
    /* What it is doing while it starts ("loading modules/hello.c"): for the
     * words about a crash. Written by the generation alone. */
    char doing[SB_DOING];
};

struct scoreboard {
    uint32_t version, size;
    _Atomic uint64_t base[32]; /* sums of workers that are gone, in SB_COUNTERS order */
    struct sb_generation generations[SB_GENERATIONS];
    struct sb_worker workers[SB_WORKERS];
};

/* A memfd, mapped shared. NULL with errno. *fd is CLOEXEC. */
struct scoreboard *sb_create(int *fd);
const char *sb_state_name(enum sb_gen_state state);

struct sb_generation *sb_generation_take(struct scoreboard *board, uint64_t number);
struct sb_generation *sb_generation_find(struct scoreboard *board, uint64_t number);
void sb_generation_set(struct sb_generation *slot, enum sb_gen_state state);
__attribute__((format(printf, 2, 3))) void sb_doing(struct sb_generation *slot, const char *format,
                                                    ...);

/* NULL where all slots are taken. */
struct sb_worker *sb_worker_take(struct scoreboard *board, uint64_t generation, uint32_t index);
/* Folds the counters into base. */
void sb_worker_free(struct scoreboard *board, struct sb_worker *slot);
/* Sum of a generation's living connections. */
uint32_t sb_connections(const struct scoreboard *board, uint64_t generation);

/* A relaxed add; the slot has one writer. */
#define SB_COUNT(slot, name, n)                                                                    \
    atomic_store_explicit(&(slot)->name,                                                           \
                          atomic_load_explicit(&(slot)->name, memory_order_relaxed) + (n),         \
                          memory_order_relaxed)
#define SB_SET(slot, name, n) atomic_store_explicit(&(slot)->name, (n), memory_order_relaxed)

#endif
