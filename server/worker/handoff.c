/* SPDX-License-Identifier: Apache-2.0 */
/* The state word, the monitor and the spare threads. See the header for the
 * protocol. Everything else of the loop moves with it: whoever runs run_loop()
 * owns it, and ownership passes under the lock. */
#include "worker/handoff.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/check.h"
#include "util/log.h"

#define LOG_PART "worker"

enum word_state { WORD_LOOP, WORD_IDLE, WORD_HANDLER, WORD_TAKEN, WORD_STATES };

enum {
    CALM_NANOSECONDS = 4000000,    /* between two looks of the monitor */
    SUSPECT_NANOSECONDS = 1500000, /* the same when it has just seen a handler */
    IDLE_LOOKS = 15,               /* before the monitor goes to sleep */
    FIRST_SPARES = 2,
    FAST_MICROSECONDS = 500,
    FAST_CALLS = 64, /* in a row, until a route runs inline again */
    STACK_BYTES = 1 << 20
};

struct route_note {
    _Atomic bool slow;
    _Atomic uint8_t fast;
};

/* What the current thread is at: set while it runs an inline handler. */
static _Thread_local uint64_t inline_word;

static uint64_t make_word(uint64_t sequence, enum word_state state)
{
    return sequence * WORD_STATES + (uint64_t)state;
}

static enum word_state word_state(uint64_t word)
{
    return (enum word_state)(word % WORD_STATES);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *spare_main(void *arg)
{
    struct handoff *h = arg;

    handoff_be_spare(h);
    return NULL;
}

/* With the lock held. */
static int add_thread(struct handoff *h)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rv;

    rv = pthread_attr_init(&attr);
    if (rv != 0) {
        return rv;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    rv = pthread_create(&thread, &attr, spare_main, h);
    (void)pthread_attr_destroy(&attr);
    if (rv == 0) {
        h->threads++;
        /* counted now, not when it runs: it will take what is queued */
        atomic_fetch_add_explicit(&h->available, 1, memory_order_relaxed);
        SB_SET(h->slot, threads, (uint32_t)h->threads);
    }
    return rv;
}

/* With the lock held: at least want spares, as far as the limit allows. */
static void refill(struct handoff *h, int want)
{
    while (atomic_load_explicit(&h->available, memory_order_relaxed) < want &&
           h->threads < h->threads_max) {
        int rv = add_thread(h);

        if (rv != 0) {
            log_error("INS01401", "cannot create a thread: errno %d; %d are running", rv,
                      h->threads);
            return;
        }
    }
}

static void take_spare(struct handoff *h)
{
    atomic_fetch_sub_explicit(&h->available, 1, memory_order_relaxed);
}

/* The loop's thread is in a handler and stays there: wake a spare to run it. */
static void offer_loop(struct handoff *h)
{
    pthread_mutex_lock(&h->lock);
    INS_CHECK(!h->loop_offered);
    h->loop_offered = true;
    take_spare(h);
    SB_COUNT(h->slot, loop_moves, 1);
    pthread_cond_signal(&h->work);
    refill(h, FIRST_SPARES);
    if (h->threads == h->threads_max &&
        atomic_load_explicit(&h->available, memory_order_relaxed) == 0) {
        SB_COUNT(h->slot, thread_limit, 1);
    }
    pthread_mutex_unlock(&h->lock);
}

static bool take_loop(struct handoff *h, uint64_t word)
{
    uint64_t taken = make_word(word / WORD_STATES, WORD_TAKEN);

    if (!atomic_compare_exchange_strong(&h->word, &word, taken)) {
        return false;
    }
    offer_loop(h);
    return true;
}

static void mark_slow(struct handoff *h, unsigned route)
{
    if (route < h->note_count) {
        atomic_store_explicit(&h->notes[route].fast, 0, memory_order_relaxed);
        atomic_store_explicit(&h->notes[route].slow, true, memory_order_relaxed);
    }
}

static void monitor_sleep(struct handoff *h, uint64_t word)
{
    atomic_store(&h->monitor_asleep, 1);
    if (atomic_load(&h->word) == word && !atomic_load(&h->stopping)) {
        futex_wait(&h->monitor_asleep, 1);
    }
    atomic_store(&h->monitor_asleep, 0);
}

/* Each look costs the loop's core a switch there and back, so most are far apart. */
static void pause_between_looks(uint64_t seen)
{
    struct timespec calm = { .tv_nsec = CALM_NANOSECONDS };
    struct timespec suspect = { .tv_nsec = SUSPECT_NANOSECONDS };

    (void)nanosleep(word_state(seen) == WORD_HANDLER ? &suspect : &calm, NULL);
}

static void *monitor_main(void *arg)
{
    struct handoff *h = arg;
    uint64_t last = 0;
    int idle = 0;

    while (!atomic_load_explicit(&h->stopping, memory_order_relaxed)) {
        uint64_t word = atomic_load(&h->word);

        if (word != last) {
            last = word;
            idle = 0;
        }
        else if (word_state(word) == WORD_HANDLER) {
            unsigned route = atomic_load_explicit(&h->current_route, memory_order_relaxed);

            if (take_loop(h, word)) {
                mark_slow(h, route);
            }
        }
        else if (word_state(word) == WORD_IDLE && ++idle > IDLE_LOOKS) {
            monitor_sleep(h, word);
            idle = 0;
            continue;
        }
        pause_between_looks(word);
    }
    return NULL;
}

int handoff_start(struct handoff *h, int threads_max, unsigned routes, struct sb_worker *slot,
                  void (*run_loop)(void *), void (*run_job)(void *, struct job *), void *ctx)
{
    pthread_t monitor;
    int rv;

    *h = (struct handoff){ .threads_max = threads_max < FIRST_SPARES ? FIRST_SPARES : threads_max,
                           .slot = slot,
                           .run_loop = run_loop,
                           .run_job = run_job,
                           .ctx = ctx };
    h->reserve = h->threads_max / 16 + 1;
    h->note_count = routes + 1; /* the last: requests that no route takes */
    h->notes = calloc(h->note_count, sizeof(*h->notes));
    if (h->notes == NULL) {
        return ENOMEM;
    }
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->work, NULL);
    pthread_mutex_lock(&h->lock);
    refill(h, FIRST_SPARES);
    pthread_mutex_unlock(&h->lock);
    rv = pthread_create(&monitor, NULL, monitor_main, h);
    if (rv == 0) {
        (void)pthread_detach(monitor);
    }
    return h->threads > 0 ? rv : EAGAIN;
}

bool handoff_can_start(const struct handoff *h)
{
    return atomic_load_explicit(&h->available, memory_order_relaxed) > 0;
}

static unsigned note_index(const struct handoff *h, unsigned route)
{
    return route < h->note_count ? route : h->note_count - 1;
}

bool handoff_route_is_slow(const struct handoff *h, unsigned route)
{
    return atomic_load_explicit(&h->notes[note_index(h, route)].slow, memory_order_relaxed);
}

bool handoff_give_job(struct handoff *h, struct job *job)
{
    bool given = false;

    pthread_mutex_lock(&h->lock);
    refill(h, h->reserve + 1);
    if (atomic_load_explicit(&h->available, memory_order_relaxed) > h->reserve) {
        take_spare(h);
        job->next = NULL;
        if (h->jobs_last != NULL) {
            h->jobs_last->next = job;
        }
        else {
            h->jobs_first = job;
        }
        h->jobs_last = job;
        pthread_cond_signal(&h->work);
        given = true;
    }
    else {
        SB_COUNT(h->slot, thread_limit, 1);
    }
    pthread_mutex_unlock(&h->lock);
    return given;
}

void handoff_enter(struct handoff *h, unsigned route)
{
    atomic_store_explicit(&h->current_route, note_index(h, route), memory_order_relaxed);
    inline_word = make_word(++h->sequence, WORD_HANDLER);
    atomic_store(&h->word, inline_word);
    if (atomic_load(&h->monitor_asleep) != 0) {
        futex_wake(&h->monitor_asleep);
    }
}

bool handoff_leave(struct handoff *h)
{
    uint64_t expected = inline_word;
    uint64_t loop = make_word(expected / WORD_STATES, WORD_LOOP);

    inline_word = 0;
    return atomic_compare_exchange_strong(&h->word, &expected, loop);
}

bool handoff_has_loop(const struct handoff *h)
{
    return inline_word != 0 && atomic_load(&h->word) == inline_word;
}

void handoff_will_block(struct handoff *h)
{
    if (inline_word != 0) {
        (void)take_loop(h, inline_word);
    }
}

void handoff_job_done(struct handoff *h, unsigned route, int64_t microseconds)
{
    struct route_note *note = &h->notes[note_index(h, route)];
    uint8_t fast = atomic_load_explicit(&note->fast, memory_order_relaxed);

    if (microseconds > FAST_MICROSECONDS) {
        atomic_store_explicit(&note->fast, 0, memory_order_relaxed);
    }
    else if (fast + 1 >= FAST_CALLS) {
        atomic_store_explicit(&note->slow, false, memory_order_relaxed);
    }
    else {
        atomic_store_explicit(&note->fast, (uint8_t)(fast + 1), memory_order_relaxed);
    }
}

void handoff_idle(struct handoff *h)
{
    atomic_store_explicit(&h->word, make_word(h->sequence, WORD_IDLE), memory_order_relaxed);
}

void handoff_awake(struct handoff *h)
{
    atomic_store_explicit(&h->word, make_word(++h->sequence, WORD_LOOP), memory_order_relaxed);
}

static struct job *take_job(struct handoff *h)
{
    struct job *job = h->jobs_first;

    if (job != NULL) {
        h->jobs_first = job->next;
        if (h->jobs_first == NULL) {
            h->jobs_last = NULL;
        }
    }
    return job;
}

/* With the lock held, which is given up while there is work. */
static void work_once(struct handoff *h, struct job *job)
{
    pthread_mutex_unlock(&h->lock);
    if (job != NULL) {
        h->run_job(h->ctx, job);
    }
    else {
        atomic_store(&h->word, make_word(++h->sequence, WORD_LOOP));
        h->run_loop(h->ctx);
    }
    pthread_mutex_lock(&h->lock);
    atomic_fetch_add_explicit(&h->available, 1, memory_order_relaxed);
}

void handoff_be_spare(struct handoff *h)
{
    pthread_mutex_lock(&h->lock);
    while (!atomic_load_explicit(&h->stopping, memory_order_relaxed)) {
        if (h->loop_offered) {
            h->loop_offered = false;
            work_once(h, NULL);
        }
        else if (h->jobs_first != NULL) {
            work_once(h, take_job(h));
        }
        else {
            pthread_cond_wait(&h->work, &h->lock);
        }
    }
    pthread_mutex_unlock(&h->lock);
}

void handoff_first_thread_lost(struct handoff *h)
{
    pthread_mutex_lock(&h->lock);
    h->threads++;
    atomic_fetch_add_explicit(&h->available, 1, memory_order_relaxed);
    pthread_mutex_unlock(&h->lock);
    handoff_be_spare(h);
}

void handoff_stop(struct handoff *h)
{
    pthread_mutex_lock(&h->lock);
    atomic_store(&h->stopping, true);
    pthread_cond_broadcast(&h->work);
    pthread_mutex_unlock(&h->lock);
    futex_wake(&h->monitor_asleep);
}
