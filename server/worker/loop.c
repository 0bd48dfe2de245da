/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop. Everything that may run module code happens while a
 * connection from the ready queue is stepped, and nothing of the loop's state
 * is on the stack then: if the loop is lost there, the thread only unwinds, and the thread
 * that has it now goes on with the next connection.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <apr_time.h>

#include "util/log.h"
#include "worker/socket.h"

#define LOG_PART "worker"

enum { TAG_SOURCE_SHIFT = 56, TURN_CONNS = 1024, CLOCK_OFFSET_MS = 100 };

struct worker *worker_self;

void queue_push(struct conn_queue *q, struct conn *c)
{
    c->next = NULL;
    if (q->last != NULL) {
        q->last->next = c;
    }
    else {
        q->first = c;
    }
    q->last = c;
}

struct conn *queue_pop(struct conn_queue *q)
{
    struct conn *c = q->first;

    if (c != NULL) {
        q->first = c->next;
        if (q->first == NULL) {
            q->last = NULL;
        }
        c->next = NULL;
    }
    return c;
}

void loop_ready(struct worker *w, struct conn *c)
{
    if (!c->queued) {
        c->queued = true;
        queue_push(&w->ready, c);
    }
}

void loop_wake(struct worker *w)
{
    uint64_t one = 1;

    if (write(w->completion_fd, &one, sizeof(one)) < 0) {
        log_error("INS01402", "cannot wake the loop: errno %d", errno);
    }
}

void loop_complete(struct worker *w, struct conn *c)
{
    struct conn *head = atomic_load_explicit(&w->completions, memory_order_relaxed);

    do {
        c->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&w->completions, &head, c, memory_order_release,
                                                    memory_order_relaxed));
    /* Only the first of a batch has to wake the loop. */
    if (head == NULL) {
        loop_wake(w);
    }
}

/* Threads are free again. Who waits comes before the next request of who was served; those left
 * over wait once more. */
static void wake_waiting(struct worker *w)
{
    struct conn *c;

    while ((c = queue_pop(&w->waiting)) != NULL) {
        loop_ready(w, c);
    }
}

static void take_completions(struct worker *w)
{
    struct conn *c = atomic_exchange_explicit(&w->completions, NULL, memory_order_acquire);

    socket_take_wakes(w);
    wake_waiting(w);
    while (c != NULL) {
        struct conn *next = c->next;

        w->running--;
        /* The handler may have read or filled the socket: try again, once. */
        c->can_read = c->can_write = true;
        c->hung_up = c->hung_up || (c->noted & EPOLLHUP) != 0;
        c->noted = 0;
        c->state = c->work->call.resume;
        loop_ready(w, c);
        c = next;
    }
}

static void completion_event(struct worker *w)
{
    uint64_t count;

    while (read(w->completion_fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    take_completions(w);
}

int loop_watch(struct worker *w, int fd, uint32_t events, enum source source, unsigned index)
{
    struct epoll_event ev = { .events = events };

    ev.data.u64 = ((uint64_t)source << TAG_SOURCE_SHIFT) | index;
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? errno : 0;
}

void loop_unwatch(struct worker *w, int fd)
{
    struct epoll_event unused = { 0 };

    (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, &unused);
}

static void conn_event(struct worker *w, uint64_t tag, uint32_t events)
{
    struct conn *c = conn_from_tag(&w->slab, tag);

    if (c == NULL || c->state == CONN_OFFERED) {
        return;
    }
    if (c->state == CONN_RUNNING) {
        c->noted |= (uint8_t)(events & (EPOLLIN | EPOLLOUT | EPOLLHUP));
        return;
    }
    c->can_read = c->can_read || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    c->can_write = c->can_write || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    c->hung_up = c->hung_up || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (c->state != CONN_WAITING) {
        loop_ready(w, c);
    }
}

static void dispatch(struct worker *w, const struct epoll_event *ev)
{
    uint64_t tag = ev->data.u64;

    switch ((enum source)(tag >> TAG_SOURCE_SHIFT)) {
    case SOURCE_LISTENER:
        accept_event(w, (unsigned)tag);
        return;
    case SOURCE_COMPLETIONS:
        completion_event(w);
        return;
    case SOURCE_MASTER:
    case SOURCE_GENERATION:
        control_event(w, (enum source)(tag >> TAG_SOURCE_SHIFT));
        return;
    case SOURCE_PEER:
        handover_event(w, (unsigned)tag, ev->events);
        return;
    case SOURCE_SIGNALS:
        control_signal(w);
        return;
    case SOURCE_CONN:
        break;
    }
    conn_event(w, tag, ev->events);
}

static int64_t monotonic_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One clock a turn: how far the time of day is from it is looked at now and then. */
static void read_clocks(struct worker *w)
{
    int64_t us = monotonic_us();

    w->now = us / 1000;
    if (w->clock_offset_at == 0 || w->now - w->clock_offset_at >= CLOCK_OFFSET_MS) {
        w->clock_offset = apr_time_now() - us;
        w->clock_offset_at = w->now;
    }
    w->wall = us + w->clock_offset;
}

/* An answer that needed no waiting began and ended within one turn, which has no clock in
 * between; so the clock is read once more where a turn has ended some. */
static void time_ended(struct worker *w)
{
    apr_time_t now = monotonic_us() + w->clock_offset;

    for (unsigned i = 0; i < w->ended_count; i++) {
        int64_t took = now - w->ended[i];

        sb_duration(w->slot, took > 0 ? took : 0);
    }
    w->ended_count = 0;
}

void loop_request_ended(struct worker *w, apr_time_t began)
{
    w->ended[w->ended_count++] = began;
    if (w->ended_count == ENDED_MAX) {
        time_ended(w);
    }
}

static void fire_timers(struct worker *w)
{
    struct timer *t;

    while ((t = timer_expired(&w->timers, w->now)) != NULL) {
        if (t == &w->accept_timer) {
            accept_timeout(w);
        }
        else {
            http_conn_timeout(w, (struct conn *)(void *)((char *)t - offsetof(struct conn, timer)));
        }
    }
}

/* Until an event, a deadline, or at once where work is left. */
static int wait_time(const struct worker *w)
{
    int wait = timers_wait(&w->timers, w->now);
    int lines = access_log_wait(w->http, w->now);
    int watch = watch_wait(w);

    if (w->ready.first != NULL || w->renewal != NULL) {
        return 0;
    }
    if (lines >= 0 && (wait < 0 || wait > lines)) {
        wait = lines;
    }
    if (watch >= 0 && (wait < 0 || wait > watch)) {
        wait = watch;
    }
    if (w->draining && w->deadline > 0) {
        int64_t left = w->deadline > w->now ? w->deadline - w->now : 10;

        wait = wait < 0 || wait > left ? (int)left : wait;
    }
    return wait;
}

static void publish(struct worker *w)
{
    SB_SET(w->slot, connections, w->slab.living);
    SB_SET(w->slot, tls, w->tls_living);
    SB_SET(w->slot, busy, w->running);
}

static void wait_for_events(struct worker *w)
{
    int wait = wait_time(w);
    int n;

    if (wait != 0) {
        publish(w);
        handoff_idle(&w->handoff);
    }
    n = epoll_wait(w->epoll_fd, w->events, EVENTS_PER_TURN, wait);
    if (wait != 0) {
        handoff_awake(&w->handoff);
    }
    read_clocks(w);
    for (int i = 0; i < n; i++) {
        if (w->events[i].data.u64 >> TAG_SOURCE_SHIFT == SOURCE_LISTENER) {
            dispatch(w, &w->events[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        if (w->events[i].data.u64 >> TAG_SOURCE_SHIFT != SOURCE_LISTENER) {
            dispatch(w, &w->events[i]);
        }
    }
}

void loop_run(void *worker)
{
    struct worker *w = worker;

    while (!w->stop) {
        int budget = TURN_CONNS;
        struct conn *c;

        while (budget-- > 0 && (c = queue_pop(&w->ready)) != NULL) {
            c->queued = false;
            if (http_conn_run(w, c) == STEP_LOST) {
                return;
            }
        }
        if (w->ended_count > 0) {
            time_ended(w);
        }
        access_log_turn(w->http, w->now);
        fire_timers(w);
        if (w->renewal != NULL) {
            certs_turn(w);
        }
        watch_turn(w);
        if (w->draining) {
            handover_pump(w);
            control_check_drained(w);
        }
        if (!w->stop) {
            wait_for_events(w);
        }
    }
    worker_end(w);
}
