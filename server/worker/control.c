/* SPDX-License-Identifier: Apache-2.0 */
/* What master and generation tell a worker, and when it is done. */
#include <string.h>
#include <unistd.h>

#include "ipc/reopen.h"
#include "util/log.h"
#include "worker/state.h"

#define LOG_PART "worker"

enum {
    LAST_ANSWERS_MS = 250, /* past the deadline, for offers under way */
    LINES_MS = 10000       /* for a log that is slow, when all connections are gone */
};

static void answer_stopped(struct worker *w, const struct ipc_message *m)
{
    accept_stop(w);
    (void)ipc_send(w->start.master_fd, w->start.generation, IPC_ACCEPT_STOPPED, m->payload,
                   m->header.length, NULL, 0);
}

static void close_listeners(struct worker *w, const struct ipc_drain *drain)
{
    for (int i = 0; i < w->start.listeners->count; i++) {
        const struct listener *l = &w->start.listeners->list[i];

        for (uint32_t k = 0; k < drain->removed_count && k < IPC_REMOVED_MAX; k++) {
            if (drain->removed[k] == l->id) {
                accept_rest(w, l);
            }
        }
        (void)close(l->fd);
    }
}

static void park_idle(struct worker *w)
{
    for (uint32_t i = 0; i < w->slab.used; i++) {
        struct conn *c = &w->slab.list[i];

        if (c->state == CONN_HEAD) {
            handover_park(w, c);
        }
        else if (c->state == CONN_SOCKET) {
            loop_ready(w, c);
        }
    }
}

static void drain(struct worker *w, const struct ipc_message *m)
{
    struct ipc_drain order;

    memcpy(&order, m->payload, sizeof(order));
    w->deadline = order.deadline;
    w->hand_over = order.hand_over != 0;
    w->owes_word = true;
    if (!w->draining) {
        w->draining = true;
        accept_stop(w);
        close_listeners(w, &order);
    }
    park_idle(w);
}

/* Its siblings go on accepting. But one that was woken for a connection does not wake them. */
static void retire(struct worker *w, const struct ipc_retire *order)
{
    if (w->draining) {
        return;
    }
    w->draining = w->hand_over = true;
    w->deadline = order->deadline;
    accept_stop(w);
    for (int i = 0; i < w->start.listeners->count; i++) {
        accept_rest(w, &w->start.listeners->list[i]);
        (void)close(w->start.listeners->list[i].fd);
    }
    park_idle(w);
}

static void add_peer(struct worker *w, const struct ipc_message *m, bool gives)
{
    struct ipc_peer peer;

    memcpy(&peer, m->payload, sizeof(peer));
    handover_add_peer(w, m->fds[0], gives, peer.generation, peer.index);
}

static void replace_log(void *ctx, const char *key, int fd)
{
    access_log_replace(ctx, key, fd);
}

static void reopen_logs(struct worker *w)
{
    struct ipc_reopen head;

    access_log_flush(w->http); /* what came before belongs into the old files */
    if (ipc_reopen_each(&w->message, &head, replace_log, w->http) && head.last) {
        const struct ipc_switch done = { .number = head.number };

        (void)ipc_send(w->start.master_fd, w->start.generation, IPC_LOGS_REOPENED, &done,
                       sizeof(done), NULL, 0);
    }
}

static void handle(struct worker *w, const struct ipc_message *m)
{
    switch ((enum ipc_type)m->header.type) {
    case IPC_ACCEPT_ON:
        if (!w->draining) {
            accept_start(w);
        }
        return;
    case IPC_ACCEPT_OFF:
        answer_stopped(w, m);
        return;
    case IPC_DRAIN:
        drain(w, m);
        return;
    case IPC_RETIRE:
        retire(w, (const struct ipc_retire *)(const void *)m->payload);
        return;
    case IPC_HANDOVER_TO:
        add_peer(w, m, false);
        return;
    case IPC_HANDOVER_FROM:
        add_peer(w, m, true);
        return;
    case IPC_LOGS_REOPEN:
        reopen_logs(w);
        return;
    case IPC_PROBE:
        probe_adopt(w, m->fds[0]);
        return;
    case IPC_CERTS:
        worker_take_certs(w, (const struct ipc_certs *)(const void *)m->payload, m->fds[0]);
        return;
    case IPC_POKE:
        accept_poke(w);
        return;
    default:
        for (int i = 0; i < m->fd_count; i++) {
            (void)close(m->fds[i]);
        }
        return;
    }
}

/* Without its master a worker has no purpose and holds the port; without its
 * generation it serves on until a successor takes over. */
static void peer_gone(struct worker *w, enum source source)
{
    if (source == SOURCE_MASTER) {
        log_warning("INS01412", "the master is gone: exiting");
        access_log_flush(w->http);
        _exit(0);
    }
    loop_unwatch(w, w->start.generation_fd);
    log_warning("INS01413", "the generation process is gone: serving on without it");
}

void control_event(struct worker *w, enum source source)
{
    int fd = source == SOURCE_MASTER ? w->start.master_fd : w->start.generation_fd;

    for (;;) {
        apr_status_t rv = ipc_recv(fd, &w->message);

        if (APR_STATUS_IS_EAGAIN(rv)) {
            return;
        }
        if (APR_STATUS_IS_EOF(rv)) {
            peer_gone(w, source);
            return;
        }
        if (rv == APR_SUCCESS) {
            handle(w, &w->message);
        }
    }
}

void control_signal(struct worker *w)
{
    log_info("INS01414", "stopping by a signal");
    w->stop = true;
}

static bool all_offered(const struct worker *w)
{
    return w->parked_count == 0 && !handover_pending(w);
}

/* Once: the caller of the reload waits for it. */
static void say_moved(struct worker *w)
{
    if (w->owes_word && all_offered(w)) {
        w->owes_word = false;
        (void)ipc_send(w->start.master_fd, w->start.generation, IPC_IDLE_MOVED, NULL, 0, NULL, 0);
    }
}

/* Nobody waits for this worker any more: its lines may take their time, but not for ever. */
static bool lines_are_out(struct worker *w)
{
    if (w->empty_since == 0) {
        w->empty_since = w->now;
        access_log_flush(w->http);
    }
    return access_log_wait(w->http, w->now) < 0 || w->now - w->empty_since >= LINES_MS ||
           (w->deadline > 0 && w->now >= w->deadline);
}

void control_check_drained(struct worker *w)
{
    say_moved(w);
    if (w->slab.living == 0 && w->running == 0) {
        w->stop = lines_are_out(w);
    }
    else if (all_offered(w) && watch_only_hanging(w)) {
        watch_end_hanging(w);
    }
    else if (w->deadline > 0 && w->now >= w->deadline &&
             (all_offered(w) || w->now >= w->deadline + LAST_ANSWERS_MS)) {
        log_notice("INS01415", "the drain deadline has passed: %u connections are cut",
                   w->slab.living);
        w->stop = true;
    }
}
