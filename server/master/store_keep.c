/* SPDX-License-Identifier: Apache-2.0 */
/* What the store is told: a manifest serves, a reload failed, a generation was
 * thrown out. And what it forgets: the oldest. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/job.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/report.h"
#include "master/store_state.h"
#include "util/check.h"
#include "util/diag.h"

/* ---- Forgetting ------------------------------------------------------------------ */

static bool text_is_used(const struct store *store, const char *name)
{
    const struct kept *kept;

    for (kept = store->kept; kept != NULL; kept = kept->next) {
        if (strncmp(kept->text, name, FP_HEX - 1) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct store *store, const char *name)
{
    const char *dot = strrchr(name, '.');

    if (dot == NULL || strcmp(dot, ".new") == 0) {
        return true; /* none of ours, or being written */
    }
    if (strcmp(dot, ".manifest") == 0) {
        return kept_find(store, strtoull(name, NULL, 10)) != NULL;
    }
    return strcmp(dot, ".text") != 0 || text_is_used(store, name);
}

static void clear_folder(const struct store *store)
{
    DIR *dir = opendir(store->folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_wanted(store, entry->d_name)) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

/* The oldest go, but not what serves nor what it would be rolled back to. */
static bool forget_oldest(struct store *store, const struct manifest *serving, int keep)
{
    struct kept **at = &store->kept;
    bool forgotten = false;
    int count = 0;

    while (*at != NULL) {
        struct kept *kept = *at;

        if (++count > keep && kept->number != serving->number && kept->number != serving->before) {
            *at = kept->next;
            kept_free(kept);
            forgotten = true;
        }
        else {
            at = &kept->next;
        }
    }
    return forgotten;
}

/* ---- A manifest serves -------------------------------------------------------------- */

static bool same_objects(const struct build_list *a, const struct build_list *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (int i = 0; i < a->count; i++) {
        if (strcmp(a->list[i].object, b->list[i].object) != 0) {
            return false;
        }
    }
    return true;
}

static void add_manifest(struct store *store, struct manifest *manifest, const char *text,
                         apr_pool_t *pool)
{
    struct kept *kept = calloc(1, sizeof(*kept));
    struct store_bytes bytes;
    char name[STORE_NAME];

    INS_CHECK(kept != NULL);
    kept->number = manifest->number;
    kept->before = manifest->before;
    (void)memcpy(kept->text, text, FP_HEX);
    kept->objects = manifest_objects(manifest->builds);
    INS_CHECK(kept->objects != NULL);
    bytes = kept_pack(kept, manifest->builds, pool);
    kept->next = store->kept;
    store->kept = kept;
    (void)snprintf(name, sizeof(name), "%" PRIu64 ".manifest", manifest->number);
    store_write(store, name, bytes.at, bytes.length, pool);
}

/* Where nothing differs from what served before, it is the same manifest, and a
 * rollback goes past it. */
static void keep_manifest(struct store *store, struct manifest *manifest, uint64_t number,
                          uint64_t before)
{
    apr_pool_t *pool = memory_pool(manifest_text(manifest) * 3);
    struct store_bytes text = text_pack(manifest->conf, pool);
    const struct kept *last = kept_find(store, before);
    char hex[FP_HEX], name[STORE_NAME];
    struct fp fp;

    fp_start(store->sum);
    fp_add(store->sum, text.at, text.length);
    fp_end(store->sum, &fp);
    fp_to_hex(&fp, hex);
    if (last != NULL && strcmp(last->text, hex) == 0 &&
        same_objects(last->objects, manifest->builds)) {
        manifest->number = last->number;
        manifest->before = last->before;
    }
    else {
        manifest->number = number;
        manifest->before = before;
        if (!text_is_used(store, hex)) {
            (void)snprintf(name, sizeof(name), "%s.text", hex);
            store_write(store, name, text.at, text.length, pool);
        }
        add_manifest(store, manifest, hex, pool);
    }
    apr_pool_destroy(pool);
}

/* ---- What changed ---------------------------------------------------------------------- */

static void add_word(char list[HISTORY_LIST], const char *word)
{
    size_t used = strlen(list), length = strlen(word);
    const char *joint = used > 0 ? ", " : "";

    if (used + length + 8 < HISTORY_LIST) {
        (void)snprintf(list + used, HISTORY_LIST - used, "%s%s", joint, word);
    }
    else if (used > 3 && strcmp(list + used - 3, "...") != 0) {
        (void)snprintf(list + used, HISTORY_LIST - used, "%s...", joint);
    }
}

static const struct conf_file *find_file(const struct conf *conf, const char *path)
{
    for (int i = 0; i < conf->files->nelts; i++) {
        const struct conf_file *file = APR_ARRAY_IDX(conf->files, i, const struct conf_file *);

        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

static void add_changed_files(struct history *entry, const struct conf *now,
                              const struct conf *before)
{
    for (int i = 0; i < now->files->nelts; i++) {
        const struct conf_file *file = APR_ARRAY_IDX(now->files, i, const struct conf_file *);
        const struct conf_file *old = find_file(before, file->path);

        if (old == NULL || old->length != file->length ||
            memcmp(old->text, file->text, file->length) != 0) {
            add_word(entry->files, file->path);
        }
    }
    for (int i = 0; i < before->files->nelts; i++) {
        const struct conf_file *old = APR_ARRAY_IDX(before->files, i, const struct conf_file *);

        if (find_file(now, old->path) == NULL) {
            add_word(entry->files, old->path);
        }
    }
}

static void add_entry(struct store *store, const struct job *job, const struct manifest *old)
{
    struct history *entry = history_add(store, job->outcome->what);

    entry->number = job->gen->number;
    entry->manifest = job->manifest->number;
    for (int i = 0; i < job->outcome->compiled->nelts; i++) {
        add_word(entry->modules, APR_ARRAY_IDX(job->outcome->compiled, i, const char *));
    }
    if (old != NULL && old != job->manifest) {
        add_changed_files(entry, job->manifest->conf, old->conf);
    }
}

void store_served(struct master *m, const struct job *job, const struct manifest *old)
{
    const struct conf_process *process = &job->manifest->conf->process;
    struct store *store = m->store;

    if (store == NULL) {
        return;
    }
    if (job->manifest->number == 0) {
        keep_manifest(store, job->manifest, job->gen->number,
                      old != NULL ? old->number : store_last_good(m));
    }
    add_entry(store, job, old);
    store->prefers_last = process->start_from == START_FROM_LAST;
    history_trim(store, process->keep_generations);
    if (forget_oldest(store, job->manifest, process->keep_generations)) {
        clear_folder(store);
    }
    store_flush(store);
}

/* ---- The rest ------------------------------------------------------------------------------ */

void store_failed(struct master *m, const struct job *job)
{
    struct history *entry;
    const struct diags *diags = job->outcome->diags;
    const struct diag *e;

    if (m->store == NULL) {
        return;
    }
    entry = history_add(m->store, job->outcome->what);
    entry->fate = FATE_FAILED;
    apr_cpystrn(entry->stage, diag_stage_name(diags_stage(diags)), sizeof(entry->stage));
    for (e = diags->first; e != NULL && e->severity != DIAG_ERROR; e = e->next) {
    }
    if (e != NULL) {
        (void)snprintf(entry->words, sizeof(entry->words), "%s%s%s", e->file ? e->file : "",
                       e->file ? ": " : "", e->message);
    }
    history_trim(m->store, m->serving != NULL ? m->serving->manifest->conf->process.keep_generations
                                              : KEEP_GENERATIONS_DEFAULT);
    store_flush(m->store);
}

void store_note(struct master *m, uint64_t number, const char *words)
{
    struct history *entry = m->store != NULL ? history_find(m->store, number) : NULL;

    if (entry != NULL) {
        apr_cpystrn(entry->words, words, sizeof(entry->words));
        m->store->history_changed = true;
    }
}

void store_thrown_out(struct master *m, uint64_t number, bool crashed, const char *words)
{
    struct history *entry = m->store != NULL ? history_find(m->store, number) : NULL;

    if (entry == NULL) {
        return;
    }
    entry->fate = crashed ? FATE_CRASHED : FATE_ROLLED_BACK;
    apr_cpystrn(entry->words, words, sizeof(entry->words));
    m->store->history_changed = true;
}
