/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes: what a reload came to. Kept apart from the job, because the last
 * one outlives it: it is what status tells. */
#include <stdarg.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "util/diag.h"

struct outcome *outcome_create(const char *what)
{
    apr_pool_t *pool = memory_pool(0);
    struct outcome *outcome = apr_pcalloc(pool, sizeof(*outcome));

    outcome->pool = pool;
    outcome->what = what;
    outcome->compiled = apr_array_make(pool, 4, sizeof(const char *));
    outcome->draining = apr_array_make(pool, 2, sizeof(struct draining_note));
    outcome->notes = apr_array_make(pool, 2, sizeof(const char *));
    outcome->diags = diags_create(pool);
    return outcome;
}

void outcome_destroy(struct outcome *outcome)
{
    if (outcome != NULL) {
        apr_pool_destroy(outcome->pool);
    }
}

void outcome_note(struct outcome *outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    APR_ARRAY_PUSH(outcome->notes, const char *) = apr_pvsprintf(outcome->pool, format, args);
    va_end(args);
}

void outcome_count_builds(struct outcome *outcome, const struct build_list *builds)
{
    outcome->unchanged = 0;
    apr_array_clear(outcome->compiled);
    for (int i = 0; i < builds->count; i++) {
        if (builds->list[i].object == NULL) {
            continue; /* it failed, and is among the diagnostics */
        }
        if (builds->list[i].compiled) {
            APR_ARRAY_PUSH(outcome->compiled, const char *) =
                apr_pstrdup(outcome->pool, builds->list[i].module->name);
        }
        else {
            outcome->unchanged++;
        }
    }
}

static void note_draining(struct master *m, struct outcome *outcome)
{
    const struct generation *gen;

    apr_array_clear(outcome->draining);
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->life == GEN_DRAINING) {
            struct draining_note note = { gen->number, generation_connections(m, gen) };

            APR_ARRAY_PUSH(outcome->draining, struct draining_note) = note;
        }
    }
}

void outcome_finish(struct master *m, struct job *job, bool ok)
{
    struct outcome *outcome = job->outcome;

    outcome->ok = ok;
    outcome->when = apr_time_now();
    outcome->took_us = loop_now_us() - job->began_us;
    outcome->generation = m->serving != NULL ? m->serving->number : 0;
    note_draining(m, outcome);
}
