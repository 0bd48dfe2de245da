/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-off: handlers run inline on the loop's thread, and when one blocks,
 * the loop moves to a spare thread, not the handler.
 *
 * One atomic word says what the loop's thread is at: a sequence number and a
 * state. A handler's entry stores (n, HANDLER); on return it compares with
 * exactly that (a bare state would suffer ABA). A monitor thread that sees the
 * same (n, HANDLER) twice, some time apart, swaps in (n, TAKEN) and wakes a spare thread to
 * run the loop; the handler finds out when it returns, and its thread becomes a spare.
 *
 * Invariant: while a handler runs inline, at least one spare thread is
 * available, so the loop can always move. Only the loop's thread takes spares
 * into use, so the invariant holds from check to use.
 */
#ifndef WORKER_HANDOFF_H
#define WORKER_HANDOFF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "scoreboard/scoreboard.h"

/* A handler that starts on a spare thread. Embedded in what it works on. */
struct job {
    struct job *next;
};

struct handoff {
    _Atomic uint64_t word;
    uint64_t sequence;               /* the loop's thread alone */
    _Atomic int available;           /* spare threads that nothing has been promised to */
    _Atomic uint32_t monitor_asleep; /* futex word */
    _Atomic uint32_t current_route;  /* of the inline handler, for the monitor's note */
    _Atomic bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t work;
    int threads, threads_max, reserve;
    bool loop_offered;
    struct job *jobs_first, *jobs_last;

    /* per route: is it known to block, and how many calls in a row were fast */
    struct route_note *notes;
    unsigned note_count;

    struct sb_worker *slot;
    void (*run_loop)(void *ctx); /* returns when the loop was lost, or at the end */
    void (*run_job)(void *ctx, struct job *job);
    void *ctx;
};

/* 0 or an errno value. Starts the monitor and the first spare threads; the
 * caller's thread owns the loop. */
int handoff_start(struct handoff *h, int threads_max, unsigned routes, struct sb_worker *slot,
                  void (*run_loop)(void *), void (*run_job)(void *, struct job *), void *ctx);

/* May a handler start inline now? False: every thread is busy. */
bool handoff_can_start(const struct handoff *h);
/* Is the route known to block? Then it starts on a spare thread. */
bool handoff_route_is_slow(const struct handoff *h, unsigned route);
/* Gives the job to a spare thread. False where none may be used for it (the
 * reserve is kept for inline handlers). Loop's thread alone. */
bool handoff_give_job(struct handoff *h, struct job *job);

/* Bracket around inline module code. leave: false when the loop was taken; then the
 * caller touches nothing of the loop's and unwinds. */
void handoff_enter(struct handoff *h, unsigned route);
bool handoff_leave(struct handoff *h);
/* From inside a handler: does its thread still have the loop? */
bool handoff_has_loop(const struct handoff *h);
/* From inside a handler, on any thread: the loop moves on now, if this thread has it. */
void handoff_will_block(struct handoff *h);
/* Around a job's module code (it has no loop to lose); microseconds it took. */
void handoff_job_done(struct handoff *h, unsigned route, int64_t microseconds);

/* Around the loop's wait: the monitor may sleep while the loop does. */
void handoff_idle(struct handoff *h);
void handoff_awake(struct handoff *h);

/* The body of a spare thread. Returns when stopping. */
void handoff_be_spare(struct handoff *h);
/* The same for the thread that ran the loop first and has lost it. */
void handoff_first_thread_lost(struct handoff *h);
void handoff_stop(struct handoff *h);

#endif
