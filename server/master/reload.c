/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reload state machine:
 *
 *   queued -> building -> waiting -> starting -> probing -> switching -> moving -> done
 *
 * Each step ends in the next one or in job_end(); until the switch is done the
 * old generation has noticed nothing, so that failing is the same everywhere:
 * give back what was taken and say what happened.
 */
#include "master/reload.h"

#include <inttypes.h>
#include <stdio.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "master/certs.h"
#include "master/children.h"
#include "master/control.h"
#include "master/drain.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/manifest.h"
#include "master/notify.h"
#include "master/probation.h"
#include "master/probe.h"
#include "master/rollback.h"
#include "master/steps.h"
#include "master/store.h"
#include "master/successor.h"
#include "master/switch.h"
#include "master/tickets.h"
#include "master/upgrade.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

/* ---- Starting ---------------------------------------------------------- */

static void start_overdue(struct master *m, void *ctx)
{
    struct job *job = ctx;
    char words[64];

    (void)snprintf(words, sizeof(words), "was not ready within %lld s (StartTimeout)",
                   (long long)(job->manifest->conf->process.start_timeout / 1000));
    job_blame(job, job->gen, words);
    job_end(m, false);
}

static void step_start(struct master *m)
{
    struct job *job = m->job;

    job->step = STEP_STARTING;
    if (job->kind == JOB_SINGLE && job->outcome->diags->errors == 0) {
        if (job_open(m, job)) {
            job_run_single(m, job);
        }
        else {
            job_end(m, false);
        }
        return;
    }
    if (!job_start_generation(m, job)) {
        job_end(m, false);
        return;
    }
    timer_set(&m->loop, &job->timer, loop_now_ms() + job->manifest->conf->process.start_timeout,
              start_overdue, job);
}

static void wait_over(struct master *m, void *ctx)
{
    (void)ctx;
    reload_generation_gone(m);
}

/* With the cap on draining generations reached, the oldest is cut, unless it
 * still owes its clients an answer; then the reload waits for that. A restart
 * leaves none that drains. */
static void step_wait(struct master *m)
{
    struct job *job = m->job;
    bool replaces = job->kind == JOB_RELOAD || job->kind == JOB_ROLLBACK;
    bool makes_more = replaces && !job->cut && job->outcome->diags->errors == 0;
    int64_t wait_ms = makes_more ? drain_make_room(m, job->manifest) : 0;

    if (wait_ms == 0) {
        step_start(m);
        return;
    }
    if (job->step != STEP_WAITING) {
        job->step = STEP_WAITING;
        outcome_note(job->outcome, "waited for a draining generation (MaxDrainingGenerations %d)",
                     job->manifest->conf->process.max_draining_generations);
        log_notice("INS01107",
                   "MaxDrainingGenerations %d is reached; the reload waits up to %lld ms",
                   job->manifest->conf->process.max_draining_generations, (long long)wait_ms);
    }
    timer_set(&m->loop, &job->timer, loop_now_ms() + wait_ms, wait_over, NULL);
}

static void step_build(struct master *m)
{
    struct job *job = m->job;

    job->step = STEP_BUILDING;
    switch (job_read_and_plan(m, job)) {
    case BUILD_RUNNING:
        break;
    case BUILD_NOT_NEEDED:
        step_wait(m);
        break;
    default:
        job_end(m, false);
        break;
    }
}

bool reload_builder_exited(struct master *m, pid_t pid)
{
    struct job *job = m->job;

    if (job == NULL || pid <= 0 || job->builder_pid != pid) {
        return false;
    }
    if (job_build_finish(m, job)) {
        step_wait(m);
    }
    else {
        job_end(m, false);
    }
    return true;
}

void reload_generation_gone(struct master *m)
{
    if (m->job != NULL && m->job->step == STEP_WAITING) {
        step_wait(m);
    }
}

/* ---- The new generation speaks, or dies -------------------------------- */

static bool is_ours(const struct master *m, const struct generation *gen)
{
    return m->job != NULL && m->job->gen == gen;
}

void reload_generation_ready(struct master *m, struct generation *gen)
{
    struct job *job = m->job;

    /* A check is over when its process is: what it prints comes last. */
    if (!is_ours(m, gen) || gen->number == CHECK_NUMBER) {
        return;
    }
    timer_clear(&m->loop, &job->timer);
    if (!probe_begin(m, job)) {
        reload_probed(m, true);
    }
}

void reload_probed(struct master *m, bool well)
{
    struct job *job = m->job;

    if (!well) {
        job_end(m, false);
        return;
    }
    job->step = STEP_SWITCHING;
    switch_begin(m, job, job->gen);
}

void reload_generation_failed(struct master *m, struct generation *gen, int diags_fd)
{
    if (is_ours(m, gen)) {
        job_take_diags(m->job, diags_fd);
        job_end(m, false);
    }
}

static void judge_check(struct master *m, struct job *job, struct generation *gen, int status)
{
    char words[CHILD_WORDS];
    bool fine = gen->ready && status == 0;

    if (!fine && job->outcome->diags->errors == 0) {
        job_blame(job, gen, child_words(status, words));
    }
    job_end(m, fine && job->outcome->diags->errors == 0);
}

void reload_generation_exited(struct master *m, struct generation *gen, int status)
{
    struct job *job = m->job;
    char words[CHILD_WORDS];

    if (!is_ours(m, gen)) {
        generation_bury(m, gen);
        return;
    }
    if (gen->number == CHECK_NUMBER) {
        judge_check(m, job, gen, status);
        return;
    }
    if (job->step == STEP_SWITCHING) {
        switch_resume(m);
    }
    job_blame(job, gen, child_words(status, words));
    job_end(m, false);
}

/* ---- The switch is over ------------------------------------------------ */

/* A copy: the manifest's own descriptor goes with it. */
void reload_use_log(const struct manifest *manifest)
{
    const struct log_sink *sink = logs_sink(manifest->logs, manifest->conf->process.error_log);

    if (sink != NULL) {
        (void)log_take_sink(sink);
    }
    log_set_json(manifest->conf->process.error_log_json != 0);
}

/* New connections get the new code already; whoever asked hears of it when
 * those that were idle do too, or soon in any case. */
static void kept(struct master *m, void *ctx)
{
    (void)ctx;
    job_end(m, true);
}

static void moved(struct master *m, void *ctx)
{
    struct job *job = ctx;

    job->moved = true;
    timer_set(&m->loop, &job->timer, loop_now_ms() + KEEP_MS, kept, job);
    reload_worker_moved(m);
}

/* With StartFrom last, what somebody was told to have come to serve does so behind a kill -9,
 * too. */
static bool is_kept(const struct master *m, const struct job *job)
{
    return job->clients == NULL || !store_prefers_last(m) || store_is_at_rest(m);
}

void reload_worker_moved(struct master *m)
{
    struct job *job = m->job;

    if (job != NULL && job->step == STEP_MOVING && (job->moved || !drain_is_moving(m)) &&
        is_kept(m, job)) {
        job_end(m, true);
    }
}

void reload_switched(struct master *m, struct generation *old)
{
    struct job *job = m->job;

    struct manifest *before = old != NULL ? manifest_keep(old->manifest) : NULL;

    reload_use_log(job->manifest);
    conf_apply_log_levels(&job->manifest->conf->process);
    successor_settled(m, job->kind == JOB_SUCCESSOR);
    drain_after_switch(m, old, job->cut);
    control_follow(m, job->manifest->conf);
    tickets_follow(m, job->manifest->conf);
    certs_follow(m, job->manifest->conf);
    if (job->kind == JOB_ROLLBACK) {
        rollback_note(m, job, old);
    }
    store_served(m, job, before);
    probation_begin(m, job, before);
    manifest_drop(m, before);
    job->gen = NULL;
    job->step = STEP_MOVING;
    timer_set(&m->loop, &job->timer, loop_now_ms() + MOVE_MS, moved, job);
    reload_worker_moved(m);
}

void reload_switch_failed(struct master *m)
{
    job_blame(m->job, m->job->gen, "lost its workers");
    job_end(m, false);
}

/* ---- Beginning ----------------------------------------------------------- */

static void step_back(struct master *m, struct job *job)
{
    job->step = STEP_BUILDING;
    if (rollback_read(m, job)) {
        step_wait(m);
    }
    else {
        job_end(m, false);
    }
}

static void step_first(struct master *m, struct job *job)
{
    if (m->first == NULL) {
        step_build(m);
        return;
    }
    job->manifest = m->first;
    m->first = NULL;
    m->tried_last = true;
    job->outcome->unchanged = job->manifest->builds->count;
    outcome_note(job->outcome, "the config and modules of generation %" PRIu64 " (StartFrom last)",
                 job->manifest->number);
    step_start(m);
}

void job_run(struct master *m, struct job *job)
{
    m->job = job;
    notify_job(m, job);
    switch (job->kind) {
    case JOB_START:
        step_first(m, job);
        break;
    case JOB_SUCCESSOR:
        step_start(m);
        break;
    case JOB_ROLLBACK:
        step_back(m, job);
        break;
    case JOB_UPGRADE:
        upgrade_begin(m, job);
        break;
    default:
        if (job->query != NULL) {
            step_start(m);
        }
        else {
            step_build(m);
        }
        break;
    }
}

void reload_upgrade_failed(struct master *m)
{
    job_end(m, false);
}
