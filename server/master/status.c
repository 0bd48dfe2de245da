/* SPDX-License-Identifier: Apache-2.0 */
/* What status and generations answer: the master's own view of its processes,
 * and the sums of the scoreboard's counters. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "master/generations.h"
#include "master/job.h"
#include "master/probation.h"
#include "master/report.h"
#include "master/store.h"
#include "scoreboard/scoreboard.h"
#include "util/json_out.h"

/* ---- Times ------------------------------------------------------------- */

/* "1.204 s", "3 min 12 s", "2 h 5 min", "4 d 6 h": two figures tell enough. */
static const char *span_words(int64_t ms, apr_pool_t *pool)
{
    int64_t s = ms / 1000;

    if (ms < 0) {
        return "0 s";
    }
    if (s < 60) {
        return apr_psprintf(pool, "%" PRId64 ".%03d s", s, (int)(ms % 1000));
    }
    if (s < 3600) {
        return apr_psprintf(pool, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    }
    if (s < 86400) {
        return apr_psprintf(pool, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
    }
    return apr_psprintf(pool, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
}

static int64_t uptime_ms(const struct master *m)
{
    return (apr_time_now() - m->started) / 1000;
}

/* ---- Text -------------------------------------------------------------- */

static const char *iso_time(apr_time_t when, apr_pool_t *pool)
{
    char *text = apr_palloc(pool, APR_RFC822_DATE_LEN);

    (void)apr_rfc822_date(text, when);
    return text;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* Why it drains, and until when at most. */
static const char *drain_words(const struct generation *gen, apr_pool_t *pool)
{
    const char *why = gen->slot != NULL && gen->slot->why[0] ? gen->slot->why : NULL;
    const char *words = why != NULL ? apr_psprintf(pool, "  since %s", why) : "";

    if (gen->life != GEN_DRAINING || gen->drain_deadline == 0) {
        return gen->life == GEN_DRAINING ? words : "";
    }
    return apr_psprintf(pool, "%s, cut in %s", words,
                        span_words(gen->drain_deadline - loop_now_ms(), pool));
}

static const char *generation_line(const struct master *m, const struct generation *gen,
                                   apr_pool_t *pool)
{
    struct sb_load load = { 0 };

    if (m->board != NULL) {
        load = sb_generation_load(m->board, gen->number);
    }
    return apr_psprintf(pool,
                        "generation %" PRIu64 "  %-8s  pid %d  for %s  %d worker%s  %u connection%s"
                        " (%u TLS)  %u busy%s\n",
                        gen->number, gen_life_name(gen->life), gen->alive ? (int)gen->pid : 0,
                        span_words(loop_now_ms() - gen->since, pool), gen->worker_count,
                        plural((uint64_t)gen->worker_count), load.connections,
                        plural(load.connections), load.tls, load.busy, drain_words(gen, pool));
}

static const char *living_text(struct master *m, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 8, sizeof(const char *));
    const struct generation *gen;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->number != CHECK_NUMBER) {
            APR_ARRAY_PUSH(lines, const char *) = generation_line(m, gen, pool);
        }
    }
    return apr_array_pstrcat(pool, lines, '\0');
}

static const char *workers_text(const struct master *m, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 8, sizeof(const char *));
    uint32_t slots = atomic_load(&m->board->worker_slots);

    for (uint32_t i = 0; i < slots; i++) {
        const struct sb_worker *w = &m->board->workers[i];
        uint64_t generation = atomic_load(&w->generation);

        if (generation != 0) {
            APR_ARRAY_PUSH(lines, const char *) = apr_psprintf(
                pool,
                "  worker %" PRIu64 ".%u  pid %d  %u connections (%u TLS)  %u busy  %u threads  "
                "%" PRIu64 " requests\n",
                generation, atomic_load(&w->index), (int)atomic_load(&w->pid),
                atomic_load(&w->connections), atomic_load(&w->tls), atomic_load(&w->busy),
                atomic_load(&w->threads),
                atomic_load(&w->requests) - atomic_load(&w->requests_before));
        }
    }
    return apr_array_pstrcat(pool, lines, '\0');
}

/* What stands between the quotes of a label. */
static const char *label_value(const struct sb_counter_row *row, apr_pool_t *pool)
{
    const char *quote = strchr(row->labels, '"');

    return quote != NULL ? apr_pstrndup(pool, quote + 1, strcspn(quote + 1, "\"")) : "";
}

static bool came_before(const struct sb_counter_row *rows, int at)
{
    for (int i = 0; i < at; i++) {
        if (strcmp(rows[i].metric, rows[at].metric) == 0) {
            return true;
        }
    }
    return false;
}

/* "answers by class of status: 0 1xx, 12 2xx" */
static const char *labelled_line(const struct sb_counter_row *rows, int first, int count,
                                 const uint64_t *values, apr_pool_t *pool)
{
    const char *line = "";

    for (int i = first; i < count; i++) {
        if (strcmp(rows[i].metric, rows[first].metric) == 0) {
            line = apr_psprintf(pool, "%s%s %" PRIu64 " %s", line, i > first ? "," : "", values[i],
                                label_value(&rows[i], pool));
        }
    }
    return apr_psprintf(pool, "  %s:%s\n", rows[first].words, line);
}

/* A line a metric; where its rows differ by a label, they share the line. */
static const char *counters_text(const struct sb_counter_row *rows, int count,
                                 const uint64_t *values, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 32, sizeof(const char *));

    for (int i = 0; i < count; i++) {
        if (rows[i].labels[0] == '\0') {
            APR_ARRAY_PUSH(lines, const char *) =
                apr_psprintf(pool, "  %" PRIu64 " %s\n", values[i], rows[i].words);
        }
        else if (!came_before(rows, i)) {
            APR_ARRAY_PUSH(lines, const char *) = labelled_line(rows, i, count, values, pool);
        }
    }
    return apr_array_pstrcat(pool, lines, '\0');
}

static const char *totals_text(const struct master *m, apr_pool_t *pool)
{
    struct sb_totals totals;

    sb_totals(m->board, &totals);
    return apr_pstrcat(pool, "since the start, over all workers:\n",
                       counters_text(sb_counter_rows, SB_COUNTER_COUNT, totals.counter, pool),
                       "the master:\n",
                       counters_text(sb_master_rows, SB_MASTER_COUNT, totals.master, pool), NULL);
}

const char *generations_text(struct master *m, apr_pool_t *pool)
{
    return apr_pstrcat(pool, living_text(m, pool), history_text(m, pool), NULL);
}

static const char *last_reload_text(const struct outcome *outcome, apr_pool_t *pool)
{
    if (outcome == NULL) {
        return "";
    }
    return apr_psprintf(pool, "last reload (%s, %s): %s\n%s", outcome->what,
                        iso_time(outcome->when, pool), outcome->ok ? "ok" : "FAILED",
                        report_text(outcome, false, pool));
}

static const char *job_text(const struct master *m, apr_pool_t *pool)
{
    const struct job *job = m->job;

    if (job == NULL || job->kind == JOB_CHECK) {
        return "";
    }
    return apr_psprintf(pool, "%s is %s, for %s\n", job->outcome->what, job_step_name(job->step),
                        span_words((loop_now_us() - job->began_us) / 1000, pool));
}

/* While the serving generation is not of the config on disk: the one that it is of. */
static uint64_t rollback_of(const struct master *m)
{
    return m->serving != NULL && m->serving->manifest->stored ? m->serving->manifest->number : 0;
}

static const char *rollback_text(const struct master *m, apr_pool_t *pool)
{
    if (rollback_of(m) == 0) {
        return "";
    }
    return apr_psprintf(pool,
                        "generation %" PRIu64 " serves what generation %" PRIu64
                        " was made of: the config on disk is not what serves\n",
                        m->serving->number, rollback_of(m));
}

const char *status_text(struct master *m, apr_pool_t *pool)
{
    return apr_pstrcat(pool,
                       apr_psprintf(pool, "Instar/%s, pid %d, up %s\n", INSTAR_VERSION,
                                    (int)getpid(), span_words(uptime_ms(m), pool)),
                       job_text(m, pool), living_text(m, pool), rollback_text(m, pool),
                       probation_text(m, pool), workers_text(m, pool), totals_text(m, pool),
                       last_reload_text(m->last_reload, pool), NULL);
}

/* ---- JSON -------------------------------------------------------------- */

static void member_uint(struct jout *j, const char *name, uint64_t value)
{
    jout_key(j, name);
    jout_uint(j, value);
}

static void drain_members(struct jout *j, const struct generation *gen)
{
    if (gen->life != GEN_DRAINING) {
        return;
    }
    jout_key(j, "why");
    jout_string(j, gen->slot != NULL ? gen->slot->why : "");
    jout_key(j, "cut_in_ms");
    if (gen->drain_deadline > 0) {
        jout_int(j, gen->drain_deadline - loop_now_ms());
    }
    else {
        jout_null(j);
    }
}

static void load_members(struct jout *j, const struct master *m, const struct generation *gen)
{
    struct sb_load load = { 0 };

    if (m->board != NULL) {
        load = sb_generation_load(m->board, gen->number);
    }
    member_uint(j, "connections", load.connections);
    member_uint(j, "tls", load.tls);
    member_uint(j, "busy", load.busy);
}

static void generation_object(struct jout *j, struct master *m, const struct generation *gen)
{
    const struct worker_pair *w;

    jout_object_begin(j);
    jout_key(j, "generation");
    jout_uint(j, gen->number);
    jout_key(j, "state");
    jout_string(j, gen_life_name(gen->life));
    jout_key(j, "pid");
    if (gen->alive) {
        jout_int(j, gen->pid);
    }
    else {
        jout_null(j);
    }
    jout_key(j, "for_ms");
    jout_int(j, loop_now_ms() - gen->since);
    jout_key(j, "workers");
    jout_int(j, gen->worker_count);
    jout_key(j, "worker_pids");
    jout_array_begin(j);
    for (w = gen->workers; w != NULL; w = w->next) {
        jout_int(j, w->pid);
    }
    jout_array_end(j);
    load_members(j, m, gen);
    drain_members(j, gen);
    jout_object_end(j);
}

static void generation_list(struct jout *j, struct master *m)
{
    const struct generation *gen;

    jout_key(j, "generations");
    jout_array_begin(j);
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->number != CHECK_NUMBER) {
            generation_object(j, m, gen);
        }
    }
    jout_array_end(j);
}

static void serving_members(struct jout *j, const struct master *m)
{
    jout_key(j, "generation");
    if (m->serving != NULL) {
        jout_uint(j, m->serving->number);
    }
    else {
        jout_null(j);
    }
}

const char *generations_json(struct master *m, apr_pool_t *pool)
{
    struct jout *j = jout_create(pool);

    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, true);
    serving_members(j, m);
    generation_list(j, m);
    history_member(j, m);
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
}

static void rollback_member(struct jout *j, const struct master *m)
{
    jout_key(j, "rollback_of");
    if (rollback_of(m) != 0) {
        jout_uint(j, rollback_of(m));
    }
    else {
        jout_null(j);
    }
}

static void last_reload_member(struct jout *j, const struct outcome *outcome, apr_pool_t *pool)
{
    jout_key(j, "last_reload");
    if (outcome == NULL) {
        jout_null(j);
        return;
    }
    jout_object_begin(j);
    report_members(j, outcome);
    jout_key(j, "what");
    jout_string(j, outcome->what);
    jout_key(j, "at");
    jout_int(j, outcome->when / APR_USEC_PER_SEC);
    jout_key(j, "words");
    jout_string(j, report_line(outcome, pool));
    jout_object_end(j);
}

static void worker_list(struct jout *j, const struct master *m)
{
    uint32_t slots = atomic_load(&m->board->worker_slots);

    jout_key(j, "worker_list");
    jout_array_begin(j);
    for (uint32_t i = 0; i < slots; i++) {
        const struct sb_worker *w = &m->board->workers[i];
        uint64_t generation = atomic_load(&w->generation);

        if (generation == 0) {
            continue;
        }
        jout_object_begin(j);
        member_uint(j, "generation", generation);
        member_uint(j, "index", atomic_load(&w->index));
        member_uint(j, "pid", (uint64_t)atomic_load(&w->pid));
        member_uint(j, "connections", atomic_load(&w->connections));
        member_uint(j, "tls", atomic_load(&w->tls));
        member_uint(j, "busy", atomic_load(&w->busy));
        member_uint(j, "threads", atomic_load(&w->threads));
        member_uint(j, "requests", atomic_load(&w->requests) - atomic_load(&w->requests_before));
        jout_key(j, "leaving");
        jout_bool(j, atomic_load(&w->leaving) != 0);
        jout_object_end(j);
    }
    jout_array_end(j);
}

static void durations_member(struct jout *j, const struct sb_totals *totals)
{
    jout_key(j, "durations");
    jout_object_begin(j);
    member_uint(j, "sum_us", totals->duration_us);
    jout_key(j, "bounds_us");
    jout_array_begin(j);
    for (int i = 0; i < SB_DURATIONS - 1; i++) {
        jout_uint(j, sb_duration_bounds[i]);
    }
    jout_array_end(j);
    jout_key(j, "counts");
    jout_array_begin(j);
    for (int i = 0; i < SB_DURATIONS; i++) {
        jout_uint(j, totals->durations[i]);
    }
    jout_array_end(j);
    jout_object_end(j);
}

static void counters_member(struct jout *j, const struct master *m)
{
    struct sb_totals totals;

    sb_totals(m->board, &totals);
    jout_key(j, "counters");
    jout_object_begin(j);
    for (int c = 0; c < SB_COUNTER_COUNT; c++) {
        member_uint(j, sb_counter_rows[c].name, totals.counter[c]);
    }
    for (int c = 0; c < SB_MASTER_COUNT; c++) {
        member_uint(j, sb_master_rows[c].name, totals.master[c]);
    }
    jout_object_end(j);
    durations_member(j, &totals);
}

const char *status_json(struct master *m, apr_pool_t *pool)
{
    struct jout *j = jout_create(pool);

    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, true);
    jout_key(j, "version");
    jout_string(j, INSTAR_VERSION);
    jout_key(j, "pid");
    jout_int(j, getpid());
    jout_key(j, "uptime");
    jout_int(j, uptime_ms(m) / 1000);
    serving_members(j, m);
    rollback_member(j, m);
    probation_member(j, m);
    jout_key(j, "workers");
    jout_int(j, m->serving != NULL ? m->serving->worker_count : 0);
    jout_key(j, "connections");
    jout_uint(j, m->serving != NULL ? generation_connections(m, m->serving) : 0);
    generation_list(j, m);
    worker_list(j, m);
    jout_key(j, "step");
    if (m->job != NULL && m->job->kind != JOB_CHECK) {
        jout_string(j, job_step_name(m->job->step));
    }
    else {
        jout_null(j);
    }
    last_reload_member(j, m->last_reload, pool);
    counters_member(j, m);
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
}
