/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting. Listeners are shared by all workers of all generations:
 * level-triggered and exclusive, a few accepts a wake, and taken out and put
 * back afterwards, because the kernel would else wake the same worker each
 * time. Out of descriptors or slots, accepting pauses instead of spinning.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "util/log.h"
#include "worker/state.h"

#define LOG_PART "worker"

enum { ACCEPTS_SHARED = 4, ACCEPTS_ALONE = 64, PAUSE_MS = 100, CALM_MS = 5000 };

static void watch_listener(struct worker *w, unsigned index)
{
    int fd = w->start.listeners->list[index].fd;
    uint32_t shared = w->start.workers > 1 ? EPOLLEXCLUSIVE : 0;
    int rv = loop_watch(w, fd, EPOLLIN | shared, SOURCE_LISTENER, index);

    if (rv != 0 && rv != EEXIST) {
        log_error("INS01404", "cannot poll %s: errno %d", w->start.listeners->list[index].name, rv);
    }
}

static void watch_all(struct worker *w)
{
    for (int i = 0; i < w->start.listeners->count; i++) {
        watch_listener(w, (unsigned)i);
    }
    w->listening = true;
}

static void unwatch_all(struct worker *w)
{
    for (int i = 0; i < w->start.listeners->count; i++) {
        loop_unwatch(w, w->start.listeners->list[i].fd);
    }
    w->listening = false;
}

void accept_start(struct worker *w)
{
    w->accepting = true;
    if (!w->listening) {
        watch_all(w);
    }
}

void accept_stop(struct worker *w)
{
    w->accepting = false;
    timer_cancel(&w->timers, &w->accept_timer);
    if (w->listening) {
        unwatch_all(w);
    }
}

static void pause_accepting(struct worker *w, const char *why)
{
    SB_COUNT(w->slot, conn_limit, 1);
    w->paused_at = w->now;
    if (!w->pause_logged) {
        log_warning("INS01405", "accepting pauses: %s (%u connections here)", why, w->slab.living);
        w->pause_logged = true;
    }
    if (w->listening) {
        unwatch_all(w);
    }
    timer_arm(&w->timers, &w->accept_timer, w->now, PAUSE_MS);
}

void accept_timeout(struct worker *w)
{
    if (w->accepting && !w->listening) {
        if (w->slab.living < w->slab.capacity) {
            watch_all(w);
        }
        else {
            timer_arm(&w->timers, &w->accept_timer, w->now, PAUSE_MS);
        }
    }
}

void accept_resume(struct worker *w)
{
    if (w->accepting && !w->listening && w->slab.living < w->slab.capacity) {
        timer_cancel(&w->timers, &w->accept_timer);
        watch_all(w);
    }
}

/* A worker that hovers at its limit would else fill the log. */
static void note_normal(struct worker *w)
{
    if (w->pause_logged && w->now - w->paused_at > CALM_MS) {
        log_notice("INS01406", "accepting goes on");
        w->pause_logged = false;
    }
}

static bool out_of_resources(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* False when there is nothing more to accept, or no room for it. */
static bool accept_one(struct worker *w, unsigned listener)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    const struct listener *l = &w->start.listeners->list[listener];
    struct conn *c;
    int fd;

    if (w->slab.living >= w->slab.capacity) {
        pause_accepting(w, "MaxConnections is reached");
        return false;
    }
    fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (out_of_resources(errno)) {
            pause_accepting(w, errno == EMFILE || errno == ENFILE ? "out of descriptors"
                                                                  : "out of memory");
            return false;
        }
        /* The client gave up while it was queued: the next one may be fine. */
        return errno == ECONNABORTED || errno == EINTR || errno == EPROTO;
    }
    c = conn_open(w, fd, listener, (struct sockaddr *)&peer, len);
    if (c == NULL) {
        (void)close(fd);
        return false;
    }
    SB_COUNT(w->slot, accepted, 1);
    spent_accepted(w);
    if (c->tls != NULL) {
        SB_COUNT(w->slot, accepted_tls, 1);
    }
    c->can_read = true; /* the request is often there already: one system call less */
    loop_ready(w, c);
    return true;
}

void accept_event(struct worker *w, unsigned listener)
{
    int limit = w->start.workers > 1 ? ACCEPTS_SHARED : ACCEPTS_ALONE;
    int taken = 0;

    if (!w->listening || listener >= (unsigned)w->start.listeners->count) {
        return;
    }
    while (taken < limit && accept_one(w, listener)) {
        taken++;
    }
    if (taken > 0) {
        note_normal(w);
    }
    if (taken > 0 && w->listening && w->start.workers > 1) {
        loop_unwatch(w, w->start.listeners->list[listener].fd);
        watch_listener(w, listener);
    }
}

void accept_poke(struct worker *w)
{
    if (w->accepting && w->listening) {
        for (int i = 0; i < w->start.listeners->count; i++) {
            accept_event(w, (unsigned)i);
        }
    }
}

void accept_rest(struct worker *w, const struct listener *l)
{
    unsigned index = (unsigned)(l - w->start.listeners->list);

    while (accept_one(w, index)) {
    }
}
