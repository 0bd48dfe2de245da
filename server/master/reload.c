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

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "master/board.h"
#include "master/certs.h"
#include "master/children.h"
#include "master/control.h"
#include "master/drain.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/listeners.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/notify.h"
#include "master/probation.h"
#include "master/probe.h"
#include "master/query.h"
#include "master/report.h"
#include "master/rollback.h"
#include "master/stop.h"
#include "master/store.h"
#include "master/successor.h"
#include "master/switch.h"
#include "master/tickets.h"
#include "master/upgrade.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

enum { COLLECT_MANY = 32 };

/* ---- The end of a job -------------------------------------------------- */

static void answer_clients(struct master *m, struct job *job, const struct outcome *outcome)
{
    while (job->clients != NULL) {
        struct control_client *client = job->clients;

        job->clients = client->next_waiting;
        client->next_waiting = NULL;
        if (job->query != NULL && outcome->ok) {
            query_answer(m, client, job);
        }
        else {
            control_reply_outcome(m, client, outcome);
        }
    }
}

/* A check has no place among the generations once it is judged; a failed start
 * is killed, and forgotten when it has been reaped. */
static void drop_generation(struct master *m, struct job *job)
{
    struct generation *gen = job->gen;

    job->gen = NULL;
    if (gen != NULL && (gen->life == GEN_STARTING || gen->life == GEN_PROBING)) {
        generation_set_life(m, gen, GEN_FAILED);
        generation_kill(gen);
        generation_bury(m, gen);
    }
}

/* What no living generation and no kept manifest needs goes. */
static void collect_builds(struct master *m)
{
    apr_pool_t *pool = memory_pool(0);
    apr_array_header_t *lists = apr_array_make(pool, COLLECT_MANY, sizeof(struct build_list *));
    const struct generation *gen;
    bool complete = m->serving != NULL;

    store_objects(m, lists);
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        struct build_list *list = gen->manifest != NULL ? gen->manifest->builds : gen->objects;

        complete = complete && list != NULL; /* else some other time */
        APR_ARRAY_PUSH(lists, struct build_list *) = list;
    }
    if (complete) {
        builder_collect(m->builder, m->serving->manifest->build_dir,
                        (struct build_list *const *)(void *)lists->elts, lists->nelts);
    }
    apr_pool_destroy(pool);
}

static void keep_outcome(struct master *m, struct job *job)
{
    if (job->kind == JOB_CHECK && !m->alone) {
        return;
    }
    outcome_destroy(m->last_reload);
    m->last_reload = job->outcome;
    job->outcome = NULL;
    board_outcome(m, m->last_reload);
    if (m->alone) {
        stop_after_check(m, m->last_reload); /* this is all there was to do */
    }
    else if (!m->last_reload->ok && job->kind == JOB_START) {
        stop_failed_start(m);
    }
}

/* A start that fails has another choice, once: the config on disk where what
 * served last does not serve any more, and what served last where that asked for it and
 * the config on disk, which is refused, says nothing of it. */
static bool start_otherwise(struct master *m, struct job *job)
{
    struct manifest *manifest = job->manifest;
    bool stored = manifest != NULL && manifest->stored;

    if (job->kind != JOB_START || m->store == NULL || (m->tried_last && !stored)) {
        return false;
    }
    if (!stored) {
        m->first =
            manifest->conf->process.start_from == START_FROM_NOT_SAID && store_prefers_last(m)
                ? store_load_last(m, job->outcome->pool)
                : NULL;
    }
    if (!stored && m->first == NULL) {
        return false;
    }
    report_log(job->outcome);
    job_destroy(m, job);
    reload_first(m);
    return true;
}

static void job_end(struct master *m, bool ok)
{
    struct job *job = m->job;
    bool loaded = ok && job->outcome->compiled->nelts > 0;
    const struct outcome *outcome;

    timer_clear(&m->loop, &job->timer);
    drop_generation(m, job);
    outcome_finish(m, job, ok);
    if (job->upgraded && !ok) {
        diags_add(job->outcome->diags, DIAG_START, DIAG_WARNING, NULL, 0, 0,
                  "the master is instar %s now; the reload behind the upgrade failed, so the old "
                  "code serves on",
                  INSTAR_VERSION);
    }
    if (job->kind == JOB_RELOAD || job->kind == JOB_ROLLBACK || job->kind == JOB_SUCCESSOR ||
        job->kind == JOB_UPGRADE || (job->kind == JOB_START && ok)) {
        report_log(job->outcome); /* all else is told to whoever asked, alone */
    }
    if (job->kind != JOB_CHECK && job->kind != JOB_UPGRADE && !ok) {
        store_failed(m, job);
    }
    m->job = NULL;
    if (!ok && start_otherwise(m, job)) {
        return;
    }
    outcome = job->outcome;
    notify_outcome(m, job->kind, outcome);
    keep_outcome(m, job);
    answer_clients(m, job, outcome);
    job_destroy(m, job);
    if (loaded) {
        collect_builds(m);
    }
    certs_next(m);
    reload_next(m);
}

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
static void moved(struct master *m, void *ctx)
{
    (void)ctx;
    job_end(m, true);
}

void reload_worker_moved(struct master *m)
{
    if (m->job != NULL && m->job->step == STEP_MOVING && !drain_is_moving(m)) {
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
    timer_set(&m->loop, &job->timer, loop_now_ms() + MOVE_MS, moved, NULL);
    reload_worker_moved(m);
}

void reload_switch_failed(struct master *m)
{
    job_blame(m->job, m->job->gen, "lost its workers");
    job_end(m, false);
}

/* ---- The queue --------------------------------------------------------- */

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
    outcome_note(job->outcome, "the config and modules of generation %llu (StartFrom last)",
                 (unsigned long long)job->manifest->number);
    step_start(m);
}

static void run(struct master *m, struct job *job)
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
        run(m, job);
    }
    else if (m->need_successor) {
        successor_due(m);
    }
    else if (m->checks != NULL) {
        run(m, pop(&m->checks));
    }
}

static void abandon(struct master *m, struct job *job, const char *why)
{
    diags_add(job->outcome->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "%s", why);
    drop_generation(m, job);
    outcome_finish(m, job, false);
    answer_clients(m, job, job->outcome);
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
    run(m, job_create(JOB_START, "start"));
}

void reload_resume(struct master *m)
{
    run(m, m->job);
}

void reload_upgrade_failed(struct master *m)
{
    job_end(m, false);
}

void reload_single(struct master *m)
{
    run(m, job_create(JOB_SINGLE, "start"));
}

void reload_successor(struct master *m)
{
    struct job *job = job_create(JOB_SUCCESSOR, "successor");

    job->manifest = manifest_keep(m->serving->manifest);
    job->outcome->unchanged = job->manifest->builds->count;
    run(m, job);
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
