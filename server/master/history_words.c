/* SPDX-License-Identifier: Apache-2.0 */
/* The history for people and for programs. */
#include <inttypes.h>
#include <time.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "master/generations.h"
#include "master/report.h"
#include "master/store_state.h"
#include "util/json_out.h"

static const char *const fate_names[FATES] = { [FATE_SERVED] = "ended",
                                               [FATE_FAILED] = "failed",
                                               [FATE_ROLLED_BACK] = "rolled back",
                                               [FATE_CRASHED] = "crashed" };

static const char *outcome_name(const struct master *m, const struct history *entry)
{
    const struct generation *gen;

    for (gen = m->generations; entry->fate == FATE_SERVED && gen != NULL; gen = gen->next) {
        if (gen->number == entry->number) {
            return gen_life_name(gen->life);
        }
    }
    return fate_names[entry->fate];
}

static bool is_kept(const struct master *m, const struct history *entry)
{
    return entry->manifest != 0 && kept_find(m->store, entry->manifest) != NULL;
}

/* ---- Text ---------------------------------------------------------------- */

static const char *local_time(int64_t when, apr_pool_t *pool)
{
    time_t seconds = (time_t)(when / APR_USEC_PER_SEC);
    char *text = apr_pcalloc(pool, 32);
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        return "?";
    }
    return text;
}

static const char *labelled(const char *label, const char *words, apr_pool_t *pool)
{
    return *words ? apr_pstrcat(pool, "; ", label, words, NULL) : "";
}

static const char *entry_line(const struct master *m, const struct history *entry, apr_pool_t *pool)
{
    const char *number = entry->number != 0 ? apr_psprintf(pool, "%" PRIu64, entry->number) : "-";
    const char *outcome = entry->fate == FATE_FAILED
                              ? apr_pstrcat(pool, "failed at stage ", entry->stage, NULL)
                              : outcome_name(m, entry);
    const char *of = entry->manifest != entry->number && entry->manifest != 0
                         ? apr_psprintf(pool, " of %" PRIu64, entry->manifest)
                         : "";

    return apr_psprintf(pool, "%4s  %s  %s%s: %s%s%s%s%s\n", number, local_time(entry->when, pool),
                        entry->what, of, outcome, labelled("compiled ", entry->modules, pool),
                        labelled("changed ", entry->files, pool), labelled("", entry->words, pool),
                        entry->manifest != 0 && !is_kept(m, entry) ? "; no longer kept" : "");
}

const char *history_text(struct master *m, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 32, sizeof(const char *));
    const struct history *entry;

    if (m->store == NULL) {
        return "";
    }
    APR_ARRAY_PUSH(lines, const char *) = "history, newest first:\n";
    for (entry = m->store->history; entry != NULL; entry = entry->next) {
        APR_ARRAY_PUSH(lines, const char *) = entry_line(m, entry, pool);
    }
    return apr_array_pstrcat(pool, lines, '\0');
}

/* ---- JSON ---------------------------------------------------------------- */

static void number_member(struct jout *j, const char *name, uint64_t number)
{
    jout_key(j, name);
    if (number != 0) {
        jout_uint(j, number);
    }
    else {
        jout_null(j);
    }
}

static void text_member(struct jout *j, const char *name, const char *text)
{
    jout_key(j, name);
    jout_string(j, *text ? text : NULL);
}

static void entry_object(struct jout *j, const struct master *m, const struct history *entry)
{
    jout_object_begin(j);
    number_member(j, "generation", entry->number);
    number_member(j, "manifest", entry->manifest);
    jout_key(j, "at");
    jout_int(j, entry->when / APR_USEC_PER_SEC);
    text_member(j, "what", entry->what);
    text_member(j, "outcome", outcome_name(m, entry));
    text_member(j, "stage", entry->stage);
    text_member(j, "words", entry->words);
    text_member(j, "compiled", entry->modules);
    text_member(j, "changed", entry->files);
    jout_key(j, "kept");
    jout_bool(j, is_kept(m, entry));
    jout_object_end(j);
}

void history_member(struct jout *j, struct master *m)
{
    const struct history *entry;

    jout_key(j, "history");
    jout_array_begin(j);
    for (entry = m->store != NULL ? m->store->history : NULL; entry != NULL; entry = entry->next) {
        entry_object(j, m, entry);
    }
    jout_array_end(j);
}
