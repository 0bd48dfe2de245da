/* SPDX-License-Identifier: Apache-2.0 */
/* Minding the workers: one poll loop over their pairs, the master's pair and
 * SIGCHLD. The process has one thread and waits nowhere else. */
#include "generation/minding.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "config/logs.h"
#include "generation/certs.h"
#include "generation/stapler.h"
#include "ipc/reopen.h"
#include "util/listener.h"

enum { MESSAGES_A_TURN = 64 };

static struct ipc_message incoming;

int64_t minding_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Messages ----------------------------------------------------------- */

static void start_serving(struct minding *m)
{
    for (int i = 0; i < m->count; i++) {
        if (!m->wards[i].ready) {
            return;
        }
    }
    m->state = MIND_SERVING;
    m->ready_at = minding_now();
    (void)minding_tell_master(m, IPC_GEN_READY, NULL, 0, -1);
}

/* Module code runs in there: only the few words it may say are heard. */
static void hear_worker(struct minding *m, struct ward *w)
{
    for (int n = 0; n < MESSAGES_A_TURN; n++) {
        apr_status_t rv = ipc_recv(w->fd, &incoming);

        if (rv == APR_EAGAIN) {
            return;
        }
        if (rv != APR_SUCCESS && rv != APR_EGENERAL && rv != APR_ENOSPC) {
            /* it is dying, or as good as dead: SIGCHLD tells */
            (void)close(w->fd);
            w->fd = -1;
            certs_ward_gone(m, w);
            return;
        }
        for (int i = 0; i < incoming.fd_count; i++) {
            (void)close(incoming.fds[i]);
        }
        if (rv == APR_SUCCESS && incoming.header.type == IPC_WORKER_READY) {
            w->ready = true;
            replace_ready(m, w);
        }
        if (rv == APR_SUCCESS && incoming.header.type == IPC_WORKER_SPENT) {
            const struct ipc_spent *spent = (const void *)incoming.payload;

            replace_asked(m, w, spent->reason);
        }
        if (rv == APR_SUCCESS && incoming.header.type == IPC_CERTS_TAKEN) {
            certs_answered(m, w, (const struct ipc_certs_taken *)(const void *)incoming.payload);
        }
    }
}

static void stop(struct minding *m)
{
    m->state = MIND_STOPPING;
    stapler_stop(m);
    m->kill_at = minding_now() + MIND_STOP_MS;
    wards_signal(m, SIGTERM);
}

/* A listener that the new config dropped must not live on in here. */
static void close_listeners(const struct minding *m)
{
    for (int i = 0; i < m->launch->listeners->count; i++) {
        (void)close(m->launch->listeners->list[i].fd);
    }
}

static void drain(struct minding *m)
{
    if (m->state < MIND_DRAINING) {
        m->state = MIND_DRAINING;
        close_listeners(m);
        stapler_stop(m);
    }
}

static void replace_log(void *ctx, const char *key, int fd)
{
    (void)logs_replace(ctx, key, fd);
}

/* A worker forked from here on writes to the new files. */
static void reopen_logs(struct minding *m)
{
    struct ipc_reopen head;

    if (ipc_reopen_each(&incoming, &head, replace_log, (void *)(uintptr_t)m->launch->logs) &&
        head.last) {
        const struct ipc_switch done = { .number = head.number };

        (void)minding_tell_master(m, IPC_GEN_LOGS_REOPENED, &done, sizeof(done), -1);
    }
}

bool minding_hear_master(struct minding *m)
{
    for (;;) {
        apr_status_t rv = ipc_recv(m->launch->master_fd, &incoming);

        if (rv == APR_EAGAIN) {
            return true;
        }
        if (rv == APR_EGENERAL || rv == APR_ENOSPC) {
            continue;
        }
        if (rv != APR_SUCCESS) {
            return false;
        }
        if (incoming.header.type == IPC_GEN_DRAIN) {
            drain(m);
        }
        else if (incoming.header.type == IPC_GEN_STOP) {
            stop(m);
        }
        else if (incoming.header.type == IPC_LOGS_REOPEN) {
            reopen_logs(m);
        }
        else if (incoming.header.type == IPC_GEN_CERTS) {
            certs_take(m, (const struct ipc_certs *)(const void *)incoming.payload,
                       incoming.fds[0]);
        }
    }
}

/* ---- The loop ----------------------------------------------------------- */

static bool wait_and_hear(struct minding *m, struct pollfd *polled, struct diags *diags)
{
    int n = 0;

    polled[n++] = (struct pollfd){ .fd = m->signal_fd, .events = POLLIN };
    polled[n++] = (struct pollfd){ .fd = m->launch->master_fd, .events = POLLIN };
    for (int i = 0; i < m->total; i++) {
        polled[n++] = (struct pollfd){ .fd = m->wards[i].fd, .events = POLLIN };
    }
    if (poll(polled, (nfds_t)n, wards_timeout(m, minding_now())) < 0) {
        return errno == EINTR;
    }
    /* first the master: a worker that ends after DRAIN is not to be replaced; and
     * what a worker said last comes before its death */
    if (!minding_hear_master(m)) {
        return false;
    }
    for (int i = 0; i < m->total; i++) {
        if (polled[2 + i].revents && m->wards[i].fd >= 0) {
            hear_worker(m, &m->wards[i]);
        }
    }
    if (polled[0].revents) {
        wards_reap(m, diags);
    }
    return true;
}

static int open_signals(struct minding *m)
{
    sigset_t chld;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &chld, NULL);
    m->signal_fd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signal_fd < 0 ? errno : 0;
}

static bool spawn_all(struct minding *m, struct diags *diags)
{
    for (int i = 0; i < m->count; i++) {
        int rv = worker_spawn(m, &m->wards[i]);

        if (rv != 0) {
            diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "cannot start worker %d: %s", i,
                      strerror(rv));
            return false;
        }
    }
    return true;
}

int minding_run(struct minding *m, struct diags *diags)
{
    struct pollfd *polled = apr_pcalloc(m->app->pool, sizeof(*polled) * ((size_t)m->total + 2));
    int rv = open_signals(m);

    if (rv != 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "signalfd: %s", strerror(rv));
        return 1;
    }
    if (!spawn_all(m, diags)) {
        wards_signal(m, SIGKILL);
        return 1;
    }
    while (m->state < MIND_DRAINING || wards_alive(m) > 0) {
        if (!wait_and_hear(m, polled, diags)) {
            wards_signal(m, SIGKILL);
            return 1;
        }
        if (diags->errors > 0) {
            wards_signal(m, SIGKILL);
            return 1;
        }
        if (m->state == MIND_STARTING) {
            start_serving(m);
        }
        wards_run_timers(m);
    }
    return 0;
}
