/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timeouts: one queue per timeout length, so that arming and cancelling are
 * O(1) and the earliest deadline of a queue is its head. Times are
 * CLOCK_MONOTONIC milliseconds. Loop's thread alone.
 */
#ifndef WORKER_TIMERS_H
#define WORKER_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

enum { TIMER_QUEUES = 64 };

/* Embedded in what times out. */
struct timer {
    struct timer *next, *prev;
    int64_t deadline;
    uint8_t queue; /* index + 1; 0: not armed */
};

struct timer_queue {
    int64_t length;
    struct timer *first, *last;
};

struct timers {
    int used;
    struct timer_queue queues[TIMER_QUEUES];
};

/* length in milliseconds, at least 1. Armed already: moved. When all queues
 * are taken the next longer one serves. */
void timer_arm(struct timers *set, struct timer *timer, int64_t now, int64_t length);
void timer_cancel(struct timers *set, struct timer *timer);
static inline bool timer_armed(const struct timer *timer)
{
    return timer->queue != 0;
}
/* Takes one that is due out of its queue; NULL when there is none. */
struct timer *timer_expired(struct timers *set, int64_t now);
/* Milliseconds until the next deadline; -1: none. */
int timers_wait(const struct timers *set, int64_t now);

#endif
