/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a job: what was taken and did not serve is given back, the outcome is
 * kept and told, and a start that failed may have another choice. */
#include "master/steps.h"

#include "builder/builder.h"
#include "config/conf.h"
#include "master/board.h"
#include "master/certs.h"
#include "master/control.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/memory.h"
#include "master/notify.h"
#include "master/query.h"
#include "master/reload.h"
#include "master/report.h"
#include "master/stop.h"
#include "master/store.h"
#include "util/diag.h"

enum { COLLECT_MANY = 32 };

void job_answer_clients(struct master *m, struct job *job, const struct outcome *outcome)
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
void job_drop_generation(struct master *m, struct job *job)
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
    const struct manifest *manifest = job->manifest;
    bool stored = manifest != NULL && manifest->stored;

    if (job->kind != JOB_START || m->store == NULL || manifest == NULL ||
        (m->tried_last && !stored)) {
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

void job_end(struct master *m, bool ok)
{
    struct job *job = m->job;
    bool loaded = ok && job->outcome->compiled->nelts > 0;
    const struct outcome *outcome;

    timer_clear(&m->loop, &job->timer);
    job_drop_generation(m, job);
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
    job_answer_clients(m, job, outcome);
    job_destroy(m, job);
    if (loaded) {
        collect_builds(m);
    }
    certs_next(m);
    reload_next(m);
}
