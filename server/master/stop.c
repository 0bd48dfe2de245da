/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping: at once, or when the last client has been served. The master is the
 * last to go, so that whoever waits for its end knows that the ports are free. */
#include "master/stop.h"

#include "ipc/ipc.h"
#include "master/certs.h"
#include "master/drain.h"
#include "master/generations.h"
#include "master/notify.h"
#include "master/reload.h"
#include "master/switch.h"
#include "util/log.h"

#define LOG_PART "master"

enum { GIVE_UP_MS = 500 };

static void give_up(struct master *m, void *ctx)
{
    (void)ctx;
    m->done = true;
}

static void kill_all(struct master *m, void *ctx)
{
    struct generation *gen;

    (void)ctx;
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        generation_kill(gen);
    }
    /* What the kernel does not let go of must not keep the server from ending. */
    timer_set(&m->loop, &m->stop_timer, loop_now_ms() + GIVE_UP_MS, give_up, NULL);
}

void stop_now(struct master *m)
{
    struct generation *gen, *next;

    if (m->phase == PHASE_STOPPING) {
        return;
    }
    log_notice("INS01113", "stopping now");
    m->phase = PHASE_STOPPING;
    notify_stopping(m);
    reload_abandon(m, "the server was stopped");
    certs_abandon(m, "the server was stopped");
    for (gen = m->generations; gen != NULL; gen = next) {
        next = gen->next;
        generation_set_life(m, gen, GEN_STOPPING);
        generation_send(gen, IPC_GEN_STOP, NULL, 0);
        if (!gen->alive) {
            generation_kill(gen); /* orphaned workers: nobody would tell them */
        }
    }
    m->serving = NULL;
    for (gen = m->generations; gen != NULL; gen = next) {
        next = gen->next;
        generation_bury(m, gen);
    }
    timer_set(&m->loop, &m->stop_timer, loop_now_ms() + STOP_GRACE_MS, kill_all, NULL);
}

void stop_gracefully(struct master *m)
{
    struct generation *gen = m->serving;

    if (m->phase != PHASE_RUNNING) {
        return;
    }
    log_notice("INS01114", "stopping gracefully");
    m->phase = PHASE_DRAINING;
    notify_stopping(m);
    reload_abandon(m, "the server was stopped");
    certs_abandon(m, "the server was stopped");
    m->need_successor = false;
    if (gen != NULL) {
        switch_stop_accepting(m);
        m->serving = NULL;
        drain_for_stop(m, gen);
        generation_bury(m, gen);
    }
}

void stop_failed_start(struct master *m)
{
    m->phase = PHASE_STOPPING;
    m->exit_status = 1;
    m->done = true;
}

void stop_after_check(struct master *m, const struct outcome *outcome)
{
    m->phase = PHASE_STOPPING;
    m->exit_status = outcome->ok ? 0 : 1;
    m->done = true;
}

bool stop_is_complete(const struct master *m)
{
    return m->done || (m->phase != PHASE_RUNNING && m->generations == NULL);
}
