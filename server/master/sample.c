/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for instarctl's top and tail. */
#include "master/sample.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_time.h>

#include "config/conf.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/report.h"
#include "scoreboard/scoreboard.h"
#include "util/json_out.h"

/* ---- sample ------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void line(apr_array_header_t *lines,
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    APR_ARRAY_PUSH(lines, const char *) = apr_pvsprintf(lines->pool, format, args);
    va_end(args);
}

static void generation_line(apr_array_header_t *lines, const struct master *m,
                            const struct generation *gen)
{
    struct sb_load load = sb_generation_load(m->board, gen->number);
    const char *why = gen->slot != NULL && gen->slot->why[0] ? gen->slot->why : "-";

    line(lines, "generation %" PRIu64 " %s %d %d %u %u %u %" PRId64 " %" PRId64 " %s\n",
         gen->number, gen_life_name(gen->life), gen->alive ? (int)gen->pid : 0, gen->worker_count,
         load.connections, load.tls, load.busy, loop_now_ms() - gen->since,
         gen->drain_deadline > 0 ? gen->drain_deadline - loop_now_ms() : -1, why);
}

static void worker_lines(apr_array_header_t *lines, const struct scoreboard *board)
{
    uint32_t slots = atomic_load(&board->worker_slots);

    for (uint32_t i = 0; i < slots; i++) {
        const struct sb_worker *w = &board->workers[i];
        uint64_t generation = atomic_load(&w->generation);

        if (generation != 0) {
            line(lines, "worker %" PRIu64 " %u %d %u %u %u %u %" PRIu64 "\n", generation,
                 atomic_load(&w->index), (int)atomic_load(&w->pid), atomic_load(&w->connections),
                 atomic_load(&w->tls), atomic_load(&w->busy), atomic_load(&w->threads),
                 atomic_load(&w->requests) - atomic_load(&w->requests_before));
        }
    }
}

static void total_lines(apr_array_header_t *lines, const struct scoreboard *board)
{
    struct sb_totals totals;

    sb_totals(board, &totals);
    for (int c = 0; c < SB_COUNTER_COUNT; c++) {
        line(lines, "counter %s %" PRIu64 "\n", sb_counter_rows[c].name, totals.counter[c]);
    }
    for (int i = 0; i < SB_DURATIONS; i++) {
        line(lines, "duration %" PRId64 " %" PRIu64 "\n",
             i < SB_DURATIONS - 1 ? (int64_t)sb_duration_bounds[i] : -1, totals.durations[i]);
    }
}

const char *sample_text(struct master *m, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 64, sizeof(const char *));
    const struct generation *gen;

    line(lines, "server %s %d %" PRId64 "\n", INSTAR_VERSION, (int)getpid(),
         (int64_t)((apr_time_now() - m->started) / APR_USEC_PER_SEC));
    if (m->job != NULL && m->job->kind != JOB_CHECK) {
        line(lines, "step %s\n", job_step_name(m->job->step));
    }
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->number != CHECK_NUMBER) {
            generation_line(lines, m, gen);
        }
    }
    worker_lines(lines, m->board);
    total_lines(lines, m->board);
    if (m->last_reload != NULL) {
        line(lines, "reload %s\n", report_line(m->last_reload, pool));
    }
    return apr_array_pstrcat(pool, lines, '\0');
}

/* ---- logs --------------------------------------------------------------- */

/* "error" of ErrorLog, "access" of CustomLog, else the directive in lower case. */
static const char *kind_of(const struct conf_log *log, apr_pool_t *pool)
{
    char *name;

    if (log->node == NULL || conf_is(log->node, "ErrorLog")) {
        return "error";
    }
    if (conf_is(log->node, "CustomLog") || conf_is(log->node, "TransferLog")) {
        return "access";
    }
    name = apr_pstrdup(pool, log->node->name);
    for (char *at = name; *at; at++) {
        *at = (char)apr_tolower(*at);
    }
    return name;
}

static const apr_array_header_t *serving_logs(const struct master *m)
{
    return m->serving != NULL && m->serving->manifest != NULL
               ? m->serving->manifest->conf->process.logs
               : NULL;
}

const char *logs_text(struct master *m, apr_pool_t *pool)
{
    const apr_array_header_t *logs = serving_logs(m);
    apr_array_header_t *lines = apr_array_make(pool, 8, sizeof(const char *));

    for (int i = 0; logs != NULL && i < logs->nelts; i++) {
        const struct conf_log *log = &APR_ARRAY_IDX(logs, i, struct conf_log);

        line(lines, "%s %s\n", kind_of(log, pool), log->spec.key);
    }
    return apr_array_pstrcat(pool, lines, '\0');
}

const char *logs_json(struct master *m, apr_pool_t *pool)
{
    const apr_array_header_t *logs = serving_logs(m);
    struct jout *j = jout_create(pool);

    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, true);
    jout_key(j, "logs");
    jout_array_begin(j);
    for (int i = 0; logs != NULL && i < logs->nelts; i++) {
        const struct conf_log *log = &APR_ARRAY_IDX(logs, i, struct conf_log);

        jout_object_begin(j);
        jout_key(j, "kind");
        jout_string(j, kind_of(log, pool));
        jout_key(j, "path");
        jout_string(j, log->spec.key);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
}
