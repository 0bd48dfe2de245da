/* SPDX-License-Identifier: Apache-2.0 */
/* The module API's view of the scoreboard: a copy for each who asks. */
#include "generation/api_status.h"

#include <stdlib.h>
#include <string.h>

#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_time.h>

#include "instar/status.h"
#include "scoreboard/scoreboard.h"

static const struct scoreboard *shown;

void api_status_use(const struct scoreboard *board)
{
    shown = board;
}

/* Written by another process at any moment: no end is taken for granted. */
static const char *copy_text(const char *text, size_t size, apr_pool_t *pool)
{
    return apr_pstrndup(pool, text, strnlen(text, size - 1));
}

/* ---- Generations -------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
    uint64_t left = ((const ins_status_generation *)a)->number;
    uint64_t right = ((const ins_status_generation *)b)->number;

    return left < right ? 1 : left > right ? -1 : 0;
}

static apr_time_t entered(const struct sb_generation *g, enum sb_gen_state state)
{
    return atomic_load(&g->at[state]);
}

static void copy_generation(ins_status_generation *to, const struct sb_generation *g,
                            apr_pool_t *pool)
{
    struct sb_load load = sb_generation_load(shown, atomic_load(&g->number));
    enum sb_gen_state state = (enum sb_gen_state)atomic_load(&g->state);

    to->number = atomic_load(&g->number);
    to->state = sb_state_name(state);
    to->pid = atomic_load(&g->pid);
    to->started = entered(g, SB_BUILDING);
    to->serving = entered(g, SB_SERVING);
    to->draining = entered(g, SB_DRAINING);
    to->ended = state == SB_FAILED ? entered(g, SB_FAILED) : entered(g, SB_EXITED);
    to->deadline = atomic_load(&g->deadline);
    to->why = copy_text(g->why, sizeof(g->why), pool);
    to->doing = copy_text(g->doing, sizeof(g->doing), pool);
    to->workers = load.workers;
    to->connections = load.connections;
    to->tls = load.tls;
    to->busy = load.busy;
}

static void copy_generations(ins_status *s, apr_pool_t *pool)
{
    ins_status_generation *list = apr_pcalloc(pool, SB_GENERATIONS * sizeof(*list));

    for (int i = 0; i < SB_GENERATIONS; i++) {
        const struct sb_generation *g = &shown->generations[i];

        /* the last number there is belongs to tests of a configuration */
        if (atomic_load(&g->state) != SB_FREE && atomic_load(&g->number) != UINT64_MAX) {
            copy_generation(&list[s->generation_count++], g, pool);
        }
    }
    qsort(list, (size_t)s->generation_count, sizeof(*list), newest_first);
    s->generations = list;
}

/* ---- Workers ------------------------------------------------------------ */

static int by_generation_and_index(const void *a, const void *b)
{
    const ins_status_worker *left = a, *right = b;

    if (left->generation != right->generation) {
        return left->generation < right->generation ? 1 : -1;
    }
    return left->index < right->index ? -1 : left->index > right->index;
}

static void copy_worker(ins_status_worker *to, const struct sb_worker *w)
{
    to->index = atomic_load(&w->index);
    to->pid = atomic_load(&w->pid);
    to->started = atomic_load(&w->started);
    to->connections = atomic_load(&w->connections);
    to->tls = atomic_load(&w->tls);
    to->busy = atomic_load(&w->busy);
    to->threads = atomic_load(&w->threads);
    to->requests = atomic_load(&w->requests) - atomic_load(&w->requests_before);
    to->leaving = atomic_load(&w->leaving) != 0;
}

static void copy_workers(ins_status *s, apr_pool_t *pool)
{
    uint32_t slots = atomic_load(&shown->worker_slots);
    ins_status_worker *list = apr_pcalloc(pool, (slots + 1) * sizeof(*list));

    for (uint32_t i = 0; i < slots; i++) {
        uint64_t generation = atomic_load(&shown->workers[i].generation);

        if (generation != 0) {
            list[s->worker_count].generation = generation;
            copy_worker(&list[s->worker_count++], &shown->workers[i]);
        }
    }
    qsort(list, (size_t)s->worker_count, sizeof(*list), by_generation_and_index);
    s->workers = list;
}

/* ---- Counters ----------------------------------------------------------- */

static ins_status_counter *copy_rows(ins_status_counter *to, const struct sb_counter_row *rows,
                                     const uint64_t *values, int count)
{
    for (int i = 0; i < count; i++) {
        *to++ = (ins_status_counter){ .name = rows[i].name,
                                      .metric = rows[i].metric,
                                      .labels = rows[i].labels,
                                      .words = rows[i].words,
                                      .value = values[i] };
    }
    return to;
}

static void copy_counters(ins_status *s, apr_pool_t *pool)
{
    int count = (int)SB_COUNTER_COUNT + (int)SB_MASTER_COUNT;
    ins_status_counter *list = apr_pcalloc(pool, (size_t)count * sizeof(*list));
    int64_t *bounds = apr_palloc(pool, (SB_DURATIONS - 1) * sizeof(*bounds));
    struct sb_totals *totals = apr_palloc(pool, sizeof(*totals));

    sb_totals(shown, totals);
    (void)copy_rows(copy_rows(list, sb_counter_rows, totals->counter, SB_COUNTER_COUNT),
                    sb_master_rows, totals->master, SB_MASTER_COUNT);
    s->counters = list;
    s->counter_count = count;
    for (int i = 0; i < SB_DURATIONS - 1; i++) {
        bounds[i] = sb_duration_bounds[i];
    }
    s->duration_count = SB_DURATIONS;
    s->duration_bounds_us = bounds;
    s->durations = totals->durations;
    s->duration_us = totals->duration_us;
}

/* ---- The last reload ----------------------------------------------------- */

static void copy_reload(ins_status *s, apr_pool_t *pool)
{
    struct sb_outcome *o = apr_pcalloc(pool, sizeof(*o));

    if (!sb_outcome_read(shown, o)) {
        memset(o, 0, sizeof(*o)); /* nobody writes for that long: as if there were none */
    }
    s->reload = (ins_status_reload){ .when = o->when,
                                     .took_us = o->took_us,
                                     .generation = o->generation,
                                     .ok = o->ok != 0,
                                     .compiled = o->compiled,
                                     .unchanged = o->unchanged,
                                     .errors = o->errors,
                                     .what = o->what,
                                     .stage = o->stage,
                                     .words = o->words };
}

const ins_status *ins_status_read(ins_request *r, unsigned version)
{
    const struct sb_master *m = &shown->master;
    ins_status *s;

    if (version > INS_STATUS_VERSION) {
        return NULL;
    }
    s = apr_pcalloc(r->pool, sizeof(*s));
    s->version = INS_STATUS_VERSION;
    s->server_version = INSTAR_VERSION;
    s->now = apr_time_now();
    s->pid = atomic_load(&m->pid);
    s->started = atomic_load(&m->started);
    s->serving = atomic_load(&m->serving);
    s->rollback_of = atomic_load(&m->rollback_of);
    s->step = m->step[0] ? copy_text(m->step, sizeof(m->step), r->pool) : NULL;
    s->step_since = atomic_load(&m->step_since);
    copy_generations(s, r->pool);
    copy_workers(s, r->pool);
    copy_counters(s, r->pool);
    copy_reload(s, r->pool);
    return s;
}
