/* SPDX-License-Identifier: Apache-2.0 */
/* Who has its turn: one reload for all who ask while something else runs, rollbacks
 * and upgrades each by itself, successors before checks. */
#include "master/steps.h"

#include "builder/builder.h"
#include "master/control.h"
#include "master/job.h"
#include "master/manifest.h"
#include "master/reload.h"
#include "master/rollback.h"
#include "master/successor.h"
#include "master/switch.h"
#include "util/diag.h"

static struct job *pop(struct job **queue)
{
    struct job *job = *queue;

    *queue = job->next;
    job->next = NULL;
    return job;
}

static void drop_stale(struct master *m)
{
    while (m->rollbacks != NULL && rollback_is_stale(m, m->rollbacks)) {
        job_destroy(m, pop(&m->rollbacks));
    }
}

/* Reloads and rollbacks in the order in which they were asked for. */
static struct job *next_asked(struct master *m)
{
    struct job *job = m->waiting;

    drop_stale(m);
    if (m->rollbacks != NULL && (job == NULL || m->rollbacks->turn < job->turn)) {
        return pop(&m->rollbacks);
    }
    m->waiting = NULL;
    return job;
}

void reload_next(struct master *m)
{
    struct job *job;

    if (m->job != NULL || m->phase != PHASE_RUNNING || m->done) {
        return;
    }
    job = next_asked(m);
    if (job != NULL) {
        job_run(m, job);
    }
    else if (m->need_successor) {
        successor_due(m);
    }
    else if (m->checks != NULL) {
        job_run(m, pop(&m->checks));
    }
}

static void abandon(struct master *m, struct job *job, const char *why)
{
    diags_add(job->outcome->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "%s", why);
    job_drop_generation(m, job);
    outcome_finish(m, job, false);
    job_answer_clients(m, job, job->outcome);
    job_destroy(m, job);
}

void reload_request(struct master *m, bool cut, struct control_client *client)
{
    if (m->waiting == NULL) {
        m->waiting = job_create(JOB_RELOAD, "reload");
        m->waiting->turn = ++m->last_turn;
    }
    if (cut) {
        m->waiting->cut = true;
        m->waiting->outcome->what = "restart";
    }
    job_add_client(m->waiting, client);
    if (m->phase != PHASE_RUNNING) {
        struct job *job = m->waiting;

        m->waiting = NULL;
        abandon(m, job, "the server is stopping");
        return;
    }
    reload_next(m);
}

static void append(struct job **queue, struct job *job)
{
    while (*queue != NULL) {
        queue = &(*queue)->next;
    }
    *queue = job;
}

void reload_queue(struct master *m, struct job *rollback)
{
    rollback->turn = ++m->last_turn;
    if (m->phase != PHASE_RUNNING) {
        abandon(m, rollback, "the server is stopping");
        return;
    }
    append(&m->rollbacks, rollback);
    reload_next(m);
}

void reload_check(struct master *m, enum launch_dump dump, struct control_client *client)
{
    struct job *job = job_create(JOB_CHECK, "configtest");

    job->dump = dump;
    reload_add_check(m, job, client);
}

void reload_add_check(struct master *m, struct job *job, struct control_client *client)
{
    job_add_client(job, client);
    if (m->phase != PHASE_RUNNING) {
        abandon(m, job, "the server is stopping");
        return;
    }
    append(&m->checks, job);
    reload_next(m);
}

void reload_first(struct master *m)
{
    job_run(m, job_create(JOB_START, "start"));
}

void reload_resume(struct master *m)
{
    job_run(m, m->job);
}

void reload_single(struct master *m)
{
    job_run(m, job_create(JOB_SINGLE, "start"));
}

void reload_successor(struct master *m)
{
    struct job *job = job_create(JOB_SUCCESSOR, "successor");

    job->manifest = manifest_keep(m->serving->manifest);
    job->outcome->unchanged = job->manifest->builds->count;
    job_run(m, job);
}

void reload_abandon(struct master *m, const char *why)
{
    struct job *job;

    if (m->job != NULL && m->job->step == STEP_MOVING) {
        job_end(m, true); /* it is done */
    }
    job = m->job;
    m->job = NULL;
    if (job != NULL) {
        if (job->step == STEP_SWITCHING) {
            switch_forget(m);
        }
        abandon(m, job, why);
    }
    if (m->waiting != NULL) {
        job = m->waiting;
        m->waiting = NULL;
        abandon(m, job, why);
    }
    while (m->rollbacks != NULL) {
        abandon(m, pop(&m->rollbacks), why);
    }
    while (m->checks != NULL) {
        abandon(m, pop(&m->checks), why);
    }
}

static void forget_in(struct job *job, struct control_client *client)
{
    struct control_client **at;

    for (at = job != NULL ? &job->clients : NULL; at != NULL && *at != NULL;
         at = &(*at)->next_waiting) {
        if (*at == client) {
            *at = client->next_waiting;
            return;
        }
    }
}

void reload_forget_client(struct master *m, struct control_client *client)
{
    struct job *job;

    forget_in(m->job, client);
    forget_in(m->waiting, client);
    for (job = m->rollbacks; job != NULL; job = job->next) {
        forget_in(job, client);
    }
    for (job = m->checks; job != NULL; job = job->next) {
        forget_in(job, client);
    }
}
