/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's event loop. It handles a few events a second, so it is built to
 * be safe rather than fast: one event a turn means that no event of a batch can
 * name something that an earlier one freed, and the timers are a plain list.
 */
#include "master/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

int64_t loop_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t loop_now_ms(void)
{
    return loop_now_us() / 1000;
}

int loop_open(struct loop *loop)
{
    loop->timers = NULL;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll_fd < 0 ? errno : 0;
}

void loop_close(struct loop *loop)
{
    if (loop->epoll_fd >= 0) {
        (void)close(loop->epoll_fd);
        loop->epoll_fd = -1;
    }
}

int source_add(struct loop *loop, struct source *s, int fd, uint32_t events, source_fn ready,
               void *ctx)
{
    struct epoll_event event = { .events = events, .data.ptr = s };

    s->fd = fd;
    s->ready = ready;
    s->ctx = ctx;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 ? errno : 0;
}

int source_change(struct loop *loop, struct source *s, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = s };

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, s->fd, &event) != 0 ? errno : 0;
}

int source_take(struct loop *loop, struct source *s)
{
    int fd = s->fd;

    if (fd >= 0) {
        /* close() would not do: a child that is just being forked may hold the
         * descriptor too, and then it stays in the set. */
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        s->fd = -1;
    }
    return fd;
}

void source_close(struct loop *loop, struct source *s)
{
    int fd = source_take(loop, s);

    if (fd >= 0) {
        (void)close(fd);
    }
}

void timer_clear(struct loop *loop, struct timer *t)
{
    struct timer **at;

    for (at = &loop->timers; *at != NULL; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            break;
        }
    }
    t->due = 0;
    t->next = NULL;
}

void timer_set(struct loop *loop, struct timer *t, int64_t due_ms, timer_fn fire, void *ctx)
{
    timer_clear(loop, t);
    t->due = due_ms > 0 ? due_ms : 1;
    t->fire = fire;
    t->ctx = ctx;
    t->next = loop->timers;
    loop->timers = t;
}

static int wait_ms(const struct loop *loop)
{
    const struct timer *t;
    int64_t next = INT64_MAX;
    int64_t left;

    for (t = loop->timers; t != NULL; t = t->next) {
        next = t->due < next ? t->due : next;
    }
    if (next == INT64_MAX) {
        return -1;
    }
    left = next - loop_now_ms();
    if (left < 0) {
        return 0;
    }
    return left > INT_MAX ? INT_MAX : (int)left;
}

static void fire_timers(struct master *m, struct loop *loop)
{
    int64_t now = loop_now_ms();
    struct timer *t;

again:
    for (t = loop->timers; t != NULL; t = t->next) {
        if (t->due <= now) {
            /* Cleared first: firing may free it, or set it anew. */
            timer_clear(loop, t);
            t->fire(m, t->ctx);
            now = loop_now_ms() < now + 1000 ? now : loop_now_ms();
            goto again;
        }
    }
}

void loop_turn(struct master *m, struct loop *loop)
{
    struct epoll_event event;
    int n = epoll_wait(loop->epoll_fd, &event, 1, wait_ms(loop));

    if (n > 0) {
        struct source *s = event.data.ptr;

        s->ready(m, s->ctx, event.events);
    }
    fire_timers(m, loop);
}
