/* SPDX-License-Identifier: Apache-2.0 */
/* Queues per timeout length. The lengths come from directives, so there are
 * few; a linear search over them costs less than a hash. */
#include "worker/timers.h"

#include <stddef.h>

static int queue_for(struct timers *set, int64_t length)
{
    int best = -1;

    for (int i = 0; i < set->used; i++) {
        if (set->queues[i].length == length) {
            return i;
        }
        if (set->queues[i].length > length &&
            (best < 0 || set->queues[i].length < set->queues[best].length)) {
            best = i;
        }
    }
    if (set->used < TIMER_QUEUES) {
        set->queues[set->used] = (struct timer_queue){ .length = length };
        return set->used++;
    }
    return best >= 0 ? best : 0;
}

void timer_cancel(struct timers *set, struct timer *timer)
{
    struct timer_queue *q;

    if (timer->queue == 0) {
        return;
    }
    q = &set->queues[timer->queue - 1];
    if (timer->prev != NULL) {
        timer->prev->next = timer->next;
    }
    else {
        q->first = timer->next;
    }
    if (timer->next != NULL) {
        timer->next->prev = timer->prev;
    }
    else {
        q->last = timer->prev;
    }
    timer->next = timer->prev = NULL;
    timer->queue = 0;
}

void timer_arm(struct timers *set, struct timer *timer, int64_t now, int64_t length)
{
    struct timer_queue *q;
    int index;

    timer_cancel(set, timer);
    index = queue_for(set, length < 1 ? 1 : length);
    q = &set->queues[index];
    timer->queue = (uint8_t)(index + 1);
    timer->deadline = now + q->length;
    timer->prev = q->last;
    timer->next = NULL;
    if (q->last != NULL) {
        q->last->next = timer;
    }
    else {
        q->first = timer;
    }
    q->last = timer;
}

struct timer *timer_expired(struct timers *set, int64_t now)
{
    for (int i = 0; i < set->used; i++) {
        struct timer *first = set->queues[i].first;

        if (first != NULL && first->deadline <= now) {
            timer_cancel(set, first);
            return first;
        }
    }
    return NULL;
}

int timers_wait(const struct timers *set, int64_t now)
{
    int64_t earliest = -1;

    for (int i = 0; i < set->used; i++) {
        const struct timer *first = set->queues[i].first;

        if (first != NULL && (earliest < 0 || first->deadline < earliest)) {
            earliest = first->deadline;
        }
    }
    if (earliest < 0) {
        return -1;
    }
    return earliest <= now ? 0 : (int)(earliest - now);
}
