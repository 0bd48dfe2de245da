/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest is the whole of what a generation was started from. It is read
 * once and never changes, so that a generation whose process dies is followed
 * by one that is made of exactly the same. */
#include "master/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "master/listeners.h"
#include "master/log_commands.h"
#include "master/memory.h"

enum { TREE_TO_TEXT = 12 };

struct manifest *manifest_create(struct master *m)
{
    static struct log_set no_logs;
    /* As the last one: a tree is about as large as that many texts. */
    apr_pool_t *pool = memory_pool(m->last_text * TREE_TO_TEXT);
    struct manifest *manifest = apr_pcalloc(pool, sizeof(*manifest));

    manifest->pool = pool;
    manifest->refs = 1;
    manifest->build_dir = -1;
    manifest->logs = &no_logs;
    return manifest;
}

struct manifest *manifest_read(struct master *m, struct diags *diags)
{
    struct manifest *manifest = manifest_create(m);
    apr_pool_t *pool = manifest->pool;

    conf_read(&manifest->conf, &m->options->conf, diags, pool);
    m->last_text = manifest_text(manifest);
    return manifest;
}

size_t manifest_text(const struct manifest *manifest)
{
    size_t sum = 0;

    for (int i = 0; manifest->conf != NULL && i < manifest->conf->files->nelts; i++) {
        sum += APR_ARRAY_IDX(manifest->conf->files, i, struct conf_file *)->length;
    }
    return sum;
}

struct manifest *manifest_keep(struct manifest *manifest)
{
    manifest->refs++;
    return manifest;
}

void manifest_drop(struct master *m, struct manifest *manifest)
{
    if (manifest == NULL || --manifest->refs > 0) {
        return;
    }
    listeners_release(m, manifest);
    if (manifest->build_dir >= 0) {
        (void)close(manifest->build_dir);
    }
    log_hold_drop(m, manifest->log_hold);
    apr_pool_destroy(manifest->pool);
}

struct build_list *manifest_objects(const struct build_list *builds)
{
    size_t size = sizeof(*builds) + (size_t)builds->count * sizeof(struct build);
    struct build_list *copy;
    char *names;

    for (int i = 0; i < builds->count; i++) {
        size += builds->list[i].object != NULL ? strlen(builds->list[i].object) + 1 : 0;
    }
    copy = calloc(1, size);
    if (copy == NULL) {
        return NULL;
    }
    copy->count = builds->count;
    copy->list = (struct build *)(copy + 1);
    names = (char *)(copy->list + copy->count);
    for (int i = 0; i < copy->count; i++) {
        copy->list[i] = builds->list[i];
        copy->list[i].module = NULL;
        copy->list[i].input = NULL;
        if (builds->list[i].object != NULL) {
            size_t len = strlen(builds->list[i].object) + 1;

            copy->list[i].object = memcpy(names, builds->list[i].object, len);
            names += len;
        }
    }
    return copy;
}
