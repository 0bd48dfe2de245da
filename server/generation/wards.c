/* SPDX-License-Identifier: Apache-2.0 */
/* The life and death of single workers: a death is reported, mourned by the
 * siblings (they look after its connections) and made good, at once the first
 * time, then more and more slowly, so that code that always crashes costs little.
 * Who is killed from outside is not kept waiting for long. */
#include "generation/minding.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/conf.h"
#include "generation/certs.h"
#include "generation/stapler.h"
#include "http/http_app.h"
#include "ipc/ipc.h"
#include "util/log.h"

#define LOG_PART "generation"

enum {
    BACK_OFF_FIRST_MS = 100,
    BACK_OFF_MAX_MS = 10000,
    BACK_OFF_RESET_MS = 60000 /* of life: forgiven */
};

int wards_alive(const struct minding *m)
{
    int n = 0;

    for (int i = 0; i < m->total; i++) {
        n += m->wards[i].pid > 0;
    }
    return n;
}

void wards_signal(const struct minding *m, int sig)
{
    for (int i = 0; i < m->total; i++) {
        if (m->wards[i].pid > 0) {
            (void)kill(m->wards[i].pid, sig);
        }
    }
}

/* ---- A death ------------------------------------------------------------ */

static const char *describe_status(int status, char *buf, size_t size)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));

        (void)snprintf(buf, size, "was killed by SIG%s%s", name ? name : "?",
                       WCOREDUMP(status) ? " (core dumped)" : "");
    }
    else {
        (void)snprintf(buf, size, "exited with status %d", WEXITSTATUS(status));
    }
    return buf;
}

/* A connection may have woken the dead one alone. */
static void poke_siblings(const struct minding *m)
{
    for (int i = 0; i < m->total; i++) {
        if (m->wards[i].fd >= 0) {
            (void)ipc_send(m->wards[i].fd, m->launch->number, IPC_POKE, NULL, 0, NULL, 0);
        }
    }
}

/* While the master still counts crashes, the pauses do not grow: what goes on
 * crashing is to be found out soon. */
static bool on_probation(const struct minding *m, int64_t now)
{
    return now - m->ready_at < m->launch->conf->process.probation_time;
}

/* fault: it died of its own code. A kill -9 says nothing about the next one's life. */
static void plan_respawn(const struct minding *m, struct ward *w, bool fault)
{
    int64_t now = minding_now();

    if (now - w->started >= BACK_OFF_RESET_MS) {
        w->back_off = 0;
    }
    if (!fault && w->back_off > BACK_OFF_FIRST_MS) {
        w->back_off = BACK_OFF_FIRST_MS;
    }
    w->respawn_at = now + w->back_off;
    w->back_off = w->back_off && !on_probation(m, now) ? w->back_off * 2 : BACK_OFF_FIRST_MS;
    if (w->back_off > BACK_OFF_MAX_MS) {
        w->back_off = BACK_OFF_MAX_MS;
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void report_failed_start(const struct minding *m, const struct ward *w, const char *how,
                                struct diags *diags)
{
    char doing[SB_DOING] = "";

    if (diags->errors > 0) {
        return;
    }
    if (m->slot) {
        memcpy(doing, m->slot->doing, sizeof(doing) - 1);
    }
    diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "worker %u %s while it started%s%s",
              w->index, how, doing[0] ? ": it was " : "", doing);
}

/* What it was doing, as far as it is known: others may have run beside it. */
static void name_handler(const struct minding *m, const struct ward *w, char *into, size_t size)
{
    uint32_t number = w->slot ? atomic_load(&w->slot->route) : 0;
    const struct route *route = number > 0 ? http_route_at(m->app->http, number - 1) : NULL;

    into[0] = '\0';
    if (route) {
        (void)snprintf(into, size, "%s of %s (%s %s)", route->handler_name, route->module->name,
                       route->method, route->pattern);
    }
}

static void bury(struct minding *m, struct ward *w, int status, struct diags *diags)
{
    struct ipc_worker_down down = { .index = w->index, .pid = w->pid, .status = status };
    bool expected = replace_died(w, status) ||
                    (m->state >= MIND_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    char how[64];

    (void)describe_status(status, how, sizeof(how));
    down.expected = expected || m->state == MIND_STOPPING;
    name_handler(m, w, down.handler, sizeof(down.handler));
    if (!down.expected) {
        log_error("INS01304", "worker %u (pid %d) %s%s%s", w->index, (int)w->pid, how,
                  down.handler[0] ? ", its last handler was " : "", down.handler);
    }
    w->pid = 0;
    close_fd(&w->fd);
    certs_ward_gone(m, w);
    sb_worker_free(m->launch->board, w->slot);
    w->slot = NULL;
    (void)minding_tell_master(m, IPC_GEN_WORKER_DOWN, &down, sizeof(down), -1);
    if (m->state == MIND_STARTING) {
        report_failed_start(m, w, how, diags);
        return;
    }
    poke_siblings(m);
    if (w < m->wards + m->count) {
        plan_respawn(m, w, !w->ready || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL);
    }
}

/* All that are dead, strangers too: this process is a subreaper. */
void wards_reap(struct minding *m, struct diags *diags)
{
    struct signalfd_siginfo info;
    pid_t pid;
    int status;

    while (read(m->signal_fd, &info, sizeof(info)) > 0) {
        continue;
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        stapler_exited(m, pid);
        for (int i = 0; i < m->total; i++) {
            if (m->wards[i].pid == pid) {
                /* It may have been told to drain a moment ago, and so was this process. */
                (void)minding_hear_master(m);
                bury(m, &m->wards[i], status, diags);
            }
        }
    }
}

/* ---- Time --------------------------------------------------------------- */

static void respawn_due(struct minding *m, int64_t now)
{
    for (int i = 0; i < m->count; i++) {
        struct ward *w = &m->wards[i];
        int rv;

        if (w->pid > 0 || w->respawn_at > now) {
            continue;
        }
        rv = worker_spawn(m, w);
        if (rv != 0) {
            log_error("INS01305", "cannot start worker %u again: %s", w->index, strerror(rv));
            plan_respawn(m, w, true);
        }
    }
}

/* A respawned worker that never becomes ready; the first start is the master's to time. */
static void kill_stuck(struct minding *m, int64_t now)
{
    int64_t limit = m->launch->conf->process.start_timeout;

    for (int i = 0; limit > 0 && i < m->count; i++) {
        struct ward *w = &m->wards[i];

        if (w->pid > 0 && !w->ready && now - w->started > limit) {
            log_error("INS01306", "worker %u (pid %d) was not ready within StartTimeout: killed",
                      w->index, (int)w->pid);
            w->started = now;
            (void)kill(w->pid, SIGKILL);
        }
    }
}

int64_t wards_earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Milliseconds until something is due, -1: nothing is. */
int wards_timeout(const struct minding *m, int64_t now)
{
    int64_t due = INT64_MAX, start_timeout = m->launch->conf->process.start_timeout;

    if (m->state == MIND_STOPPING) {
        due = m->kill_at;
    }
    for (int i = 0; m->state == MIND_SERVING && i < m->count; i++) {
        const struct ward *w = &m->wards[i];

        if (w->pid == 0) {
            due = wards_earliest(due, w->respawn_at);
        }
        else if (!w->ready && start_timeout > 0) {
            due = wards_earliest(due, w->started + start_timeout + 1);
        }
    }
    due = wards_earliest(due, stapler_due(m));
    due = wards_earliest(due, replace_due(m));
    if (due == INT64_MAX) {
        return -1;
    }
    return due <= now ? 0 : (int)wards_earliest(due - now, 60000);
}

void wards_run_timers(struct minding *m)
{
    int64_t now = minding_now();

    replace_run(m, now);
    if (m->state == MIND_SERVING) {
        respawn_due(m, now);
        kill_stuck(m, now);
        stapler_run_timers(m, now);
    }
    if (m->state == MIND_STOPPING && now >= m->kill_at) {
        wards_signal(m, SIGKILL);
        m->kill_at = now + MIND_STOP_MS;
    }
}
