/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest is the whole of what a generation was started from. It is read
 * once and never changes, so that a generation whose process dies is followed
 * by one that is made of exactly the same. */
#include "master/manifest.h"

#include <unistd.h>

#include "config/conf.h"
#include "config/logs.h"
#include "master/listeners.h"
#include "master/memory.h"

enum { TREE_TO_TEXT = 12 };

struct manifest *manifest_read(struct master *m, struct diags *diags)
{
    static struct log_set no_logs;
    /* As the last one: a tree is about as large as that many texts. */
    apr_pool_t *pool = memory_pool(m->last_text * TREE_TO_TEXT);
    struct manifest *manifest = apr_pcalloc(pool, sizeof(*manifest));

    manifest->pool = pool;
    manifest->refs = 1;
    manifest->build_dir = -1;
    manifest->logs = &no_logs;
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
    apr_pool_destroy(manifest->pool);
}
