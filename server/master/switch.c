/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ordered switch. The order matters for the kernel too: adding a listener
 * to an epoll set reports what is queued already, so that new workers which
 * begin after the old ones have stopped miss no wake-up.
 */
#include "master/switch.h"

#include "ipc/ipc.h"
#include "master/generations.h"
#include "master/listeners.h"
#include "master/reload.h"
#include "util/log.h"

#define LOG_PART "master"

static void tell_all(struct master *m, struct generation *gen, enum ipc_type type)
{
    struct ipc_switch number = { .number = m->last_switch };
    struct worker_pair *w;

    for (w = gen->workers; w != NULL; w = w->next) {
        w->asked = type == IPC_ACCEPT_OFF;
        worker_send(w, type, &number, sizeof(number), NULL);
    }
}

static int unanswered(const struct generation *gen)
{
    const struct worker_pair *w;
    int count = 0;

    for (w = gen != NULL ? gen->workers : NULL; w != NULL; w = w->next) {
        count += w->asked;
    }
    return count;
}

static void forget_questions(struct generation *gen)
{
    struct worker_pair *w;

    for (w = gen != NULL ? gen->workers : NULL; w != NULL; w = w->next) {
        w->asked = false;
    }
}

static void complete(struct master *m, struct job *job)
{
    struct generation *old = m->serving, *gen = job->gen;

    timer_clear(&m->loop, &job->timer);
    job->switch_number = 0;
    forget_questions(old);
    if (gen->workers == NULL) {
        switch_resume(m);
        reload_switch_failed(m);
        return;
    }
    tell_all(m, gen, IPC_ACCEPT_ON);
    m->serving = gen;
    generation_set_life(m, gen, GEN_SERVING);
    listeners_refresh(gen->manifest);
    reload_switched(m, old);
}

static void overdue(struct master *m, void *ctx)
{
    int late = unanswered(m->serving);

    log_warning("INS01108",
                "generation %llu: %d of %d workers did not stop accepting within %d ms; "
                "the switch goes on without them",
                (unsigned long long)m->serving->number, late, m->serving->worker_count, SWITCH_MS);
    complete(m, ctx);
}

void switch_begin(struct master *m, struct job *job, struct generation *gen)
{
    struct generation *old = m->serving;

    (void)gen;
    job->switch_number = ++m->last_switch;
    if (old != NULL) {
        tell_all(m, old, IPC_ACCEPT_OFF);
    }
    if (unanswered(old) == 0) {
        complete(m, job);
        return;
    }
    timer_set(&m->loop, &job->timer, loop_now_ms() + SWITCH_MS, overdue, job);
}

void switch_worker_stopped(struct master *m, struct worker_pair *w, uint64_t number)
{
    if (number == m->last_switch) {
        w->asked = false;
        switch_worker_lost(m);
    }
}

void switch_worker_lost(struct master *m)
{
    struct job *job = m->job;

    if (job != NULL && job->switch_number != 0 && unanswered(m->serving) == 0) {
        complete(m, job);
    }
}

void switch_resume(struct master *m)
{
    if (m->serving != NULL) {
        m->last_switch++;
        tell_all(m, m->serving, IPC_ACCEPT_ON);
    }
    if (m->job != NULL) {
        m->job->switch_number = 0;
    }
}

void switch_forget(struct master *m)
{
    forget_questions(m->serving);
}

void switch_stop_accepting(struct master *m)
{
    m->last_switch++;
    if (m->serving != NULL) {
        tell_all(m, m->serving, IPC_ACCEPT_OFF);
        forget_questions(m->serving);
    }
}

void switch_worker_joined(struct master *m, struct worker_pair *w)
{
    struct ipc_switch number = { .number = m->last_switch };

    /* In the middle of a switch it would be told to stop at once. */
    if (m->job == NULL || m->job->switch_number == 0) {
        worker_send(w, IPC_ACCEPT_ON, &number, sizeof(number), NULL);
    }
}
