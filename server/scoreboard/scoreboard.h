/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scoreboard: shared memory made by the master, inherited by every child, kept over an
 * upgrade of the binary. Each slot has one writer; readers may see a slot in the
 * middle of a change and must not rely on two fields fitting together, but each field is atomic.
 *
 * Counters only grow, whoever looks when. A worker's slot is never cleared: its successor in the
 * slot counts on from there, so the sum over all slots is the server's total, with no moment
 * in which a value is being moved from one place to another. That needs one writer at a
 * time: a slot whose worker may still be dying is not given out again.
 */
#ifndef SCOREBOARD_SCOREBOARD_H
#define SCOREBOARD_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "scoreboard/counters.h"

/* The version changes with the layout alone, not with a counter that is added. */
enum {
    SB_VERSION = 2,
    SB_GENERATIONS = 32,
    SB_WORKERS = 1024,
    SB_DOING = 200,
    SB_WORDS = 24 * 1024
};

enum sb_gen_state {
    SB_FREE,
    SB_BUILDING,
    SB_STARTING,
    SB_PROBING,
    SB_SERVING,
    SB_DRAINING,
    SB_EXITED,
    SB_FAILED,
    SB_STATES
};

struct sb_worker {
    _Atomic uint64_t generation; /* 0: free */
    _Atomic uint32_t index;
    _Atomic int32_t pid; /* of a free slot: who may not be gone yet */
    _Atomic uint32_t connections, busy, threads;
    _Atomic uint32_t route;   /* the index + 1 of that whose handler was called last; 0 none yet */
    _Atomic uint32_t tls;     /* of the connections */
    _Atomic uint32_t leaving; /* a fresh one has its place, or is about to */
    _Atomic int64_t started;  /* apr_time_t */
    _Atomic uint64_t requests_before; /* those of its predecessors in the slot */
    union {
        _Atomic uint64_t counter[SB_COUNTER_PLACES]; /* by enum sb_counter */
        struct {
#define X(name, metric, labels, words) _Atomic uint64_t name;
            SB_COUNTERS(X)
#undef X
        };
    };
    _Atomic uint64_t duration_us;             /* sum over all requests */
    _Atomic uint64_t durations[SB_DURATIONS]; /* requests by class */
} __attribute__((aligned(64)));

struct sb_generation {
    _Atomic uint64_t number;
    _Atomic uint32_t state; /* enum sb_gen_state */
    _Atomic int32_t pid;
    _Atomic int64_t since;         /* apr_time_t of the last change of state */
    _Atomic int64_t at[SB_STATES]; /* when each state was entered last; 0 never */
    _Atomic int64_t deadline;      /* apr_time_t: draining ends then; 0 none */
    _Atomic uint32_t workers;
    /* What it is doing while it starts ("loading modules/hello.c"): for the
     * words about a crash. Written by the generation alone. */
    char doing[SB_DOING];
    char why[24]; /* what began its draining: "reload", "restart", ... Written by the master. */
};

/* How a reload went. */
struct sb_outcome {
    int64_t when; /* apr_time_t; 0: none yet */
    int64_t took_us;
    uint64_t generation; /* that served afterwards, 0 none */
    uint32_t ok, compiled, unchanged, errors;
    char what[24];        /* "start", "reload", ... */
    char stage[16];       /* "" where ok */
    char words[SB_WORDS]; /* as instarctl printed it; cut at the end of a line */
};

struct sb_master {
    _Atomic int64_t started;
    _Atomic int32_t pid;
    char step[16]; /* of the running reload: "building", ...; "" none */
    _Atomic int64_t step_since;
    _Atomic uint64_t serving; /* the generation; 0 none */
    /* Where that is not of the config on disk: the generation that it was first made for; else 0.
     */
    _Atomic uint64_t rollback_of;
    _Atomic uint64_t counter[SB_MASTER_PLACES]; /* by enum sb_master_counter */
    _Atomic uint32_t sequence;                  /* of outcome: odd while it is written */
    _Atomic uint64_t outcome[sizeof(struct sb_outcome) / sizeof(uint64_t)];
};

struct scoreboard {
    uint32_t version, size;
    _Atomic uint32_t worker_slots; /* those behind were never used */
    struct sb_master master;
    struct sb_generation generations[SB_GENERATIONS];
    struct sb_worker workers[SB_WORKERS];
};

/* A memfd, mapped shared. NULL with errno. *fd is CLOEXEC. */
struct scoreboard *sb_create(int *fd);
/* Maps one that another binary has made; NULL with errno: EPROTO where its layout is not ours. */
struct scoreboard *sb_attach(int fd);
const char *sb_state_name(enum sb_gen_state state);

struct sb_generation *sb_generation_take(struct scoreboard *board, uint64_t number);
struct sb_generation *sb_generation_find(struct scoreboard *board, uint64_t number);
void sb_generation_set(struct sb_generation *slot, enum sb_gen_state state);
__attribute__((format(printf, 2, 3))) void sb_doing(struct sb_generation *slot, const char *format,
                                                    ...);

/* NULL where all slots are taken. */
struct sb_worker *sb_worker_take(struct scoreboard *board, uint64_t generation, uint32_t index);
/* The worker has been reaped. */
void sb_worker_free(struct scoreboard *board, struct sb_worker *slot);
/* It has been killed, but may count until it is gone: the slot stays out of use so long. */
void sb_worker_abandon(struct scoreboard *board, struct sb_worker *slot);

/* ---- Reading ----------------------------------------------------------- */

/* Sums of a generation's living workers. */
struct sb_load {
    uint32_t workers, connections, tls, busy;
};
struct sb_load sb_generation_load(const struct scoreboard *board, uint64_t generation);
uint32_t sb_connections(const struct scoreboard *board, uint64_t generation);

/* The server's totals. None is ever lower than in a call before. */
struct sb_totals {
    uint64_t counter[SB_COUNTER_COUNT];
    uint64_t master[SB_MASTER_COUNT];
    uint64_t duration_us, durations[SB_DURATIONS];
};
void sb_totals(const struct scoreboard *board, struct sb_totals *totals);

/* The master alone writes; false: it was being written all the time. */
void sb_outcome_write(struct scoreboard *board, const struct sb_outcome *outcome);
bool sb_outcome_read(const struct scoreboard *board, struct sb_outcome *outcome);

/* ---- Counting ---------------------------------------------------------- */

#define SB_ADD(field, n)                                                                           \
    atomic_store_explicit(&(field), atomic_load_explicit(&(field), memory_order_relaxed) + (n),    \
                          memory_order_relaxed)
/* A relaxed add; the slot has one writer. */
#define SB_COUNT(slot, name, n) SB_ADD((slot)->name, n)
#define SB_SET(slot, name, n) atomic_store_explicit(&(slot)->name, (n), memory_order_relaxed)
#define SB_MASTER_COUNT_ONE(board, name, n) SB_ADD((board)->master.counter[SB_MASTER_##name], n)

/* A request that took so long. */
static inline void sb_duration(struct sb_worker *slot, int64_t us)
{
    unsigned at = 0;

    while (at < SB_DURATIONS - 1 && us > (int64_t)sb_duration_bounds[at]) {
        at++;
    }
    SB_ADD(slot->durations[at], 1);
    SB_ADD(slot->duration_us, (uint64_t)us);
}

#endif
