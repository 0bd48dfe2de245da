/* SPDX-License-Identifier: Apache-2.0 */
/* What status and generations answer: the master's own view of its processes,
 * and the sums of the scoreboard's counters. */
#include <inttypes.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "master/generations.h"
#include "master/report.h"
#include "scoreboard/scoreboard.h"
#include "util/json_out.h"

/* ---- Sums -------------------------------------------------------------- */

enum counter {
#define X(name, words) COUNTER_##name,
    SB_COUNTERS(X)
#undef X
        COUNTERS
};

static const char *const counter_names[COUNTERS] = {
#define X(name, words) #name,
    SB_COUNTERS(X)
#undef X
};
static const char *const counter_words[COUNTERS] = {
#define X(name, words) words,
    SB_COUNTERS(X)
#undef X
};

/* Counters of the workers that are gone, and of those that live. */
static void sum_counters(const struct scoreboard *board, uint64_t sums[COUNTERS])
{
    for (int c = 0; c < COUNTERS; c++) {
        sums[c] = atomic_load(&board->base[c]);
    }
    for (int i = 0; i < SB_WORKERS; i++) {
        const struct sb_worker *w = &board->workers[i];

        if (atomic_load(&w->generation) == 0) {
            continue;
        }
#define X(name, words) sums[COUNTER_##name] += atomic_load(&w->name);
        SB_COUNTERS(X)
#undef X
    }
}

static const char *since_words(const struct master *m, const struct generation *gen,
                               apr_pool_t *pool)
{
    int64_t ms = loop_now_ms() - gen->since;

    (void)m;
    return apr_psprintf(pool, "%" PRId64 ".%03d s", ms / 1000, (int)(ms % 1000));
}

static int64_t uptime(const struct master *m)
{
    return (apr_time_now() - m->started) / APR_USEC_PER_SEC;
}

/* ---- Text -------------------------------------------------------------- */

static const char *iso_time(apr_time_t when, apr_pool_t *pool)
{
    char *text = apr_palloc(pool, APR_RFC822_DATE_LEN);

    (void)apr_rfc822_date(text, when);
    return text;
}

const char *generations_text(struct master *m, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 8, sizeof(const char *));
    const struct generation *gen;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->number == CHECK_NUMBER) {
            continue;
        }
        APR_ARRAY_PUSH(lines, const char *) = apr_psprintf(
            pool, "generation %" PRIu64 "  %-8s  pid %d  for %s  %d worker%s  %u connection%s\n",
            gen->number, gen_life_name(gen->life), gen->alive ? (int)gen->pid : 0,
            since_words(m, gen, pool), gen->worker_count, gen->worker_count == 1 ? "" : "s",
            generation_connections(m, gen), generation_connections(m, gen) == 1 ? "" : "s");
    }
    return apr_array_pstrcat(pool, lines, '\0');
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

const char *status_text(struct master *m, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 16, sizeof(const char *));
    uint64_t sums[COUNTERS];

    sum_counters(m->board, sums);
    APR_ARRAY_PUSH(lines, const char *) = apr_psprintf(
        pool, "Instar/%s, pid %d, up %" PRId64 " s\n", INSTAR_VERSION, (int)getpid(), uptime(m));
    APR_ARRAY_PUSH(lines, const char *) = generations_text(m, pool);
    for (int c = 0; c < COUNTERS; c++) {
        APR_ARRAY_PUSH(lines, const char *) =
            apr_psprintf(pool, "%" PRIu64 " %s\n", sums[c], counter_words[c]);
    }
    APR_ARRAY_PUSH(lines, const char *) = last_reload_text(m->last_reload, pool);
    return apr_array_pstrcat(pool, lines, '\0');
}

/* ---- JSON -------------------------------------------------------------- */

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
    jout_key(j, "connections");
    jout_uint(j, generation_connections(m, gen));
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
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
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

static void counters_member(struct jout *j, const struct master *m)
{
    uint64_t sums[COUNTERS];

    sum_counters(m->board, sums);
    jout_key(j, "counters");
    jout_object_begin(j);
    for (int c = 0; c < COUNTERS; c++) {
        jout_key(j, counter_names[c]);
        jout_uint(j, sums[c]);
    }
    jout_object_end(j);
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
    jout_int(j, uptime(m));
    serving_members(j, m);
    jout_key(j, "workers");
    jout_int(j, m->serving != NULL ? m->serving->worker_count : 0);
    jout_key(j, "connections");
    jout_uint(j, m->serving != NULL ? generation_connections(m, m->serving) : 0);
    generation_list(j, m);
    last_reload_member(j, m->last_reload, pool);
    counters_member(j, m);
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
}
