/* SPDX-License-Identifier: Apache-2.0 */
/* The store as the master sees it: opened at the start, told of what serves and
 * what does not, asked what there is to go back to. */
#include "master/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/store_state.h"
#include "util/check.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

struct kept *kept_find(const struct store *store, uint64_t number)
{
    struct kept *kept;

    for (kept = store->kept; kept != NULL; kept = kept->next) {
        if (kept->number == number) {
            return kept;
        }
    }
    return NULL;
}

static void manifest_name(char name[STORE_NAME], uint64_t number)
{
    (void)snprintf(name, STORE_NAME, "%" PRIu64 ".manifest", number);
}

static void text_name(char name[STORE_NAME], const char *text)
{
    (void)snprintf(name, STORE_NAME, "%s.text", text);
}

/* ---- Opening ------------------------------------------------------------------ */

/* What waits to be written is newer than what is on the disk. */
static const char *read_file(const struct store *store, const char *name, size_t *length,
                             const char **words, apr_pool_t *pool)
{
    const struct pending *pending, *found = NULL;
    const char *body;
    int fd;

    for (pending = store->pending; pending != NULL; pending = pending->next) {
        found = strcmp(pending->name, name) == 0 ? pending : found;
    }
    if (found != NULL) {
        *length = found->length;
        return store_unseal(store->sum, found->bytes, length, words);
    }
    fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        *words = strerror(errno);
        return NULL;
    }
    body = store_file_read(fd, name, store->sum, length, words, pool);
    (void)close(fd);
    return body;
}

static void complain(const struct store *store, const char *name, const char *words)
{
    log_warning("INS01151", "%s/%s %s: it is left out", store->folder, name, words);
}

static void insert(struct store *store, struct kept *kept)
{
    struct kept **at;

    for (at = &store->kept; *at != NULL && (*at)->number > kept->number; at = &(*at)->next) {
    }
    kept->next = *at;
    *at = kept;
}

static void take_manifest(struct store *store, const char *name, apr_pool_t *pool)
{
    struct kept *kept = calloc(1, sizeof(*kept));
    struct build_list *builds;
    apr_array_header_t *names;
    const char *words = "makes no sense";
    size_t length;
    const char *body = read_file(store, name, &length, &words, pool);
    char expected[STORE_NAME];

    INS_CHECK(kept != NULL);
    if (body != NULL && kept_unpack(kept, &builds, &names, body, length, pool)) {
        manifest_name(expected, kept->number);
        kept->objects = strcmp(expected, name) == 0 ? manifest_objects(builds) : NULL;
    }
    if (kept->objects == NULL) {
        complain(store, name, words);
        free(kept);
        return;
    }
    insert(store, kept);
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), n = strlen(ending);

    return length > n && strcmp(name + length - n, ending) == 0;
}

static void take_manifests(struct store *store, apr_pool_t *pool)
{
    DIR *dir = opendir(store->folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (ends_with(entry->d_name, ".manifest")) {
            take_manifest(store, entry->d_name, pool);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void take_history(struct store *store, apr_pool_t *pool)
{
    const char *words = "", *body;
    size_t length;

    body = read_file(store, "history", &length, &words, pool);
    if (body != NULL) {
        history_unpack(store, body, length);
    }
    else if (access(apr_pstrcat(pool, store->folder, "/history", NULL), F_OK) == 0) {
        complain(store, "history", words);
    }
}

void store_open(struct master *m, const char *runtime_dir)
{
    apr_pool_t *pool = memory_pool(0), *temp;
    struct store *store = apr_pcalloc(pool, sizeof(*store));

    store->pool = pool;
    store->folder = apr_pstrcat(pool, runtime_dir, "/generations", NULL);
    store->sum = fp_sum_create(pool);
    store->pending_end = &store->pending;
    INS_CHECK(store->sum != NULL && apr_pool_create(&temp, pool) == APR_SUCCESS);
    store_wait_for_writer(store);
    take_history(store, temp);
    take_manifests(store, temp);
    apr_pool_destroy(temp);
    m->store = store;
}

void kept_free(struct kept *kept)
{
    free(kept->objects);
    free(kept);
}

void store_close(struct master *m)
{
    struct store *store = m->store;

    if (store == NULL) {
        return;
    }
    store_finish_writing(store);
    while (store->kept != NULL) {
        struct kept *kept = store->kept;

        store->kept = kept->next;
        kept_free(kept);
    }
    history_free(store);
    apr_pool_destroy(store->pool);
    m->store = NULL;
}

/* ---- Reading back --------------------------------------------------------------- */

static bool refuse(struct diags *diags, uint64_t number, const char *words)
{
    diags_add(diags, DIAG_CONFIG, DIAG_ERROR, NULL, 0, 0, "generation %" PRIu64 ": %s", number,
              words);
    return false;
}

static bool load_conf(struct master *m, const struct kept *kept, struct manifest *manifest,
                      struct diags *diags)
{
    const struct store *store = m->store;
    apr_pool_t *pool = manifest->pool;
    char name[STORE_NAME];
    const char *words = "makes no sense", *body;
    struct conf *stored = NULL;
    size_t length;

    text_name(name, kept->text);
    body = read_file(store, name, &length, &words, pool);
    if (body != NULL) {
        stored = text_unpack(body, length, pool);
        words = "makes no sense";
    }
    if (stored == NULL) {
        return refuse(diags, kept->number,
                      apr_psprintf(pool, "its config cannot be read back: %s/%s %s", store->folder,
                                   name, words));
    }
    conf_read_stored(&manifest->conf, stored, diags, pool);
    m->last_text = manifest_text(manifest);
    return diags->errors == 0;
}

static bool join(struct manifest *manifest, const struct kept *kept,
                 const apr_array_header_t *names, struct diags *diags)
{
    const apr_array_header_t *modules = manifest->conf->process.modules;
    apr_pool_t *pool = manifest->pool;

    if (modules->nelts != names->nelts) {
        return refuse(diags, kept->number, "its modules are not those of its config");
    }
    for (int i = 0; i < names->nelts; i++) {
        const struct conf_module *module = &APR_ARRAY_IDX(modules, i, struct conf_module);
        struct build *build = &manifest->builds->list[i];

        build->module = module;
        if (strcmp(module->name, APR_ARRAY_IDX(names, i, const char *)) != 0) {
            return refuse(diags, kept->number, "its modules are not those of its config");
        }
        if (faccessat(manifest->build_dir, build->object, R_OK, 0) != 0) {
            return refuse(diags, kept->number,
                          apr_psprintf(pool, "the object of %s is gone: %s/%s: %s", module->name,
                                       manifest->conf->process.build_directory, build->object,
                                       strerror(errno)));
        }
    }
    return true;
}

static bool load_builds(struct store *store, const struct kept *kept, struct manifest *manifest,
                        struct diags *diags)
{
    char name[STORE_NAME];
    const char *words = "makes no sense", *body;
    apr_array_header_t *names;
    struct kept again;
    size_t length;

    manifest_name(name, kept->number);
    body = read_file(store, name, &length, &words, manifest->pool);
    if (body == NULL ||
        !kept_unpack(&again, &manifest->builds, &names, body, length, manifest->pool)) {
        return refuse(diags, kept->number,
                      apr_psprintf(manifest->pool, "%s/%s %s", store->folder, name, words));
    }
    manifest->build_dir = builder_open_directory(manifest->conf, diags);
    return manifest->build_dir >= 0 && join(manifest, kept, names, diags);
}

struct manifest *store_load(struct master *m, uint64_t number, struct diags *diags)
{
    const struct history *entry = history_find(m->store, number);
    const struct kept *kept = kept_find(m->store, entry != NULL ? entry->manifest : number);
    struct manifest *manifest;

    if (kept == NULL) {
        (void)refuse(diags, number,
                     apr_pstrcat(diags->pool, "it is not kept (KeepGenerations); kept: ",
                                 store_kept_words(m, diags->pool), NULL));
        return NULL;
    }
    manifest = manifest_create(m);
    manifest->number = kept->number;
    manifest->before = kept->before;
    manifest->stored = true;
    if (!load_conf(m, kept, manifest, diags) || !load_builds(m->store, kept, manifest, diags)) {
        manifest_drop(m, manifest);
        return NULL;
    }
    return manifest;
}

struct manifest *store_load_last(struct master *m, apr_pool_t *pool)
{
    struct diags *said = diags_create(pool);
    uint64_t number = store_last_good(m);
    struct manifest *manifest = number != 0 ? store_load(m, number, said) : NULL;

    if (number != 0 && manifest == NULL) {
        log_warning("INS01152", "what served last cannot serve again: %s",
                    diags_text(said, false, pool));
    }
    return manifest;
}

/* ---- Asked --------------------------------------------------------------------------- */

uint64_t store_last_good(const struct master *m)
{
    const struct history *entry;

    for (entry = m->store->history; entry != NULL; entry = entry->next) {
        if (entry->fate == FATE_SERVED && kept_find(m->store, entry->manifest) != NULL) {
            return entry->manifest;
        }
    }
    /* A history that is lost says nothing bad of anything. */
    return m->store->history == NULL && m->store->kept != NULL ? m->store->kept->number : 0;
}

uint64_t store_before(const struct master *m, uint64_t manifest)
{
    const struct kept *kept = kept_find(m->store, manifest);

    return kept != NULL ? kept->before : 0;
}

const char *store_kept_words(const struct master *m, apr_pool_t *pool)
{
    const char *words = "";
    const struct kept *kept;

    for (kept = m->store->kept; kept != NULL; kept = kept->next) {
        words = apr_psprintf(pool, "%s%s%" PRIu64, words, *words ? ", " : "", kept->number);
    }
    return *words ? words : "none";
}

uint64_t store_highest(const struct master *m)
{
    const struct history *entry;
    uint64_t highest = m->store->kept != NULL ? m->store->kept->number : 0;

    for (entry = m->store->history; entry != NULL; entry = entry->next) {
        highest = entry->number > highest ? entry->number : highest;
    }
    return highest;
}

bool store_prefers_last(const struct master *m)
{
    return m->store->prefers_last;
}

void store_objects(const struct master *m, apr_array_header_t *lists)
{
    const struct kept *kept;

    for (kept = m->store != NULL ? m->store->kept : NULL; kept != NULL; kept = kept->next) {
        APR_ARRAY_PUSH(lists, struct build_list *) = kept->objects;
    }
}
