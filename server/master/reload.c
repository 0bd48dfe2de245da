/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reload state machine:
 *
 *   queued -> building -> waiting -> starting -> switching -> done
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
#include "master/children.h"
#include "master/control.h"
#include "master/drain.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/listeners.h"
#include "master/manifest.h"
#include "master/report.h"
#include "master/stop.h"
#include "master/successor.h"
#include "master/switch.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

enum { COLLECT_MAX = 64 };

/* ---- The end of a job -------------------------------------------------- */

static void answer_clients(struct master *m, struct job *job, const struct outcome *outcome)
{
    while (job->clients != NULL) {
        struct control_client *client = job->clients;

        job->clients = client->next_waiting;
        client->next_waiting = NULL;
        control_reply_outcome(m, client, outcome);
    }
}

/* A check has no place among the generations once it is judged; a failed start
 * is killed, and forgotten when it has been reaped. */
static void drop_generation(struct master *m, struct job *job)
{
    struct generation *gen = job->gen;

    job->gen = NULL;
    if (gen != NULL && gen->life == GEN_STARTING) {
        generation_set_life(m, gen, GEN_FAILED);
        generation_kill(gen);
        generation_bury(m, gen);
    }
}

static void collect_builds(struct master *m)
{
    struct build_list *lists[COLLECT_MAX];
    const struct generation *gen;
    int count = 0;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        struct build_list *list = gen->manifest != NULL ? gen->manifest->builds : gen->objects;

        if (list == NULL || count == COLLECT_MAX) {
            return; /* some other time */
        }
        lists[count++] = list;
    }
    if (m->serving != NULL) {
        builder_collect(m->builder, m->serving->manifest->build_dir, lists, count);
    }
}

static void keep_outcome(struct master *m, struct job *job)
{
    if (job->kind == JOB_CHECK && !m->alone) {
        return;
    }
    outcome_destroy(m->last_reload);
    m->last_reload = job->outcome;
    job->outcome = NULL;
    if (m->alone) {
        stop_after_check(m, m->last_reload); /* this is all there was to do */
    }
    else if (!m->last_reload->ok && job->kind == JOB_START) {
        stop_failed_start(m);
    }
}

static void job_end(struct master *m, bool ok)
{
    struct job *job = m->job;
    bool loaded = ok && job->outcome->compiled->nelts > 0;
    const struct outcome *outcome;

    timer_clear(&m->loop, &job->timer);
    drop_generation(m, job);
    outcome_finish(m, job, ok);
    if (job->kind == JOB_RELOAD || job->kind == JOB_SUCCESSOR || (job->kind == JOB_START && ok)) {
        report_log(job->outcome); /* all else is told to whoever asked, alone */
    }
    m->job = NULL;
    outcome = job->outcome;
    keep_outcome(m, job);
    answer_clients(m, job, outcome);
    job_destroy(m, job);
    if (loaded) {
        collect_builds(m);
    }
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
    bool makes_more = job->kind == JOB_RELOAD && !job->cut && job->outcome->diags->errors == 0;
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
    job->step = STEP_SWITCHING;
    switch_begin(m, job, gen);
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
static void use_log(struct master *m, const struct manifest *manifest)
{
    int fd = logs_find(manifest->logs, manifest->conf->process.error_log);
    int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;

    if (copy >= 0) {
        log_set_fd(copy);
        if (m->log_fd >= 0) {
            (void)close(m->log_fd);
        }
        m->log_fd = copy;
    }
}

void reload_switched(struct master *m, struct generation *old)
{
    struct job *job = m->job;

    use_log(m, job->manifest);
    conf_apply_log_levels(&job->manifest->conf->process);
    successor_settled(m, job->kind == JOB_SUCCESSOR);
    drain_after_switch(m, old, job->cut);
    control_follow(m, job->manifest->conf);
    job->gen = NULL;
    job_end(m, true);
}

void reload_switch_failed(struct master *m)
{
    job_blame(m->job, m->job->gen, "lost its workers");
    job_end(m, false);
}

/* ---- The queue --------------------------------------------------------- */

static void run(struct master *m, struct job *job)
{
    m->job = job;
    if (job->kind == JOB_SUCCESSOR) {
        step_start(m);
    }
    else {
        step_build(m);
    }
}

void reload_next(struct master *m)
{
    struct job *job;

    if (m->job != NULL || m->phase != PHASE_RUNNING || m->done) {
        return;
    }
    if (m->waiting != NULL) {
        job = m->waiting;
        m->waiting = NULL;
        run(m, job);
    }
    else if (m->need_successor) {
        successor_due(m);
    }
    else if (m->checks != NULL) {
        job = m->checks;
        m->checks = job->next;
        job->next = NULL;
        run(m, job);
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

void reload_check(struct master *m, enum launch_dump dump, struct control_client *client)
{
    struct job *job = job_create(JOB_CHECK, "configtest"), **at;

    job->dump = dump;
    job_add_client(job, client);
    if (m->phase != PHASE_RUNNING) {
        abandon(m, job, "the server is stopping");
        return;
    }
    for (at = &m->checks; *at != NULL; at = &(*at)->next) {
    }
    *at = job;
    reload_next(m);
}

void reload_first(struct master *m)
{
    run(m, job_create(JOB_START, "start"));
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
    struct job *job = m->job;

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
    while (m->checks != NULL) {
        job = m->checks;
        m->checks = job->next;
        abandon(m, job, why);
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
    for (job = m->checks; job != NULL; job = job->next) {
        forget_in(job, client);
    }
}
