/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest is the whole of what a generation was started from. It is read
 * once and never changes, so that a generation whose process dies is followed
 * by one that is made of exactly the same. */
#include "master/manifest.h"

#include <unistd.h>

#include <apr_allocator.h>

#include "config/conf.h"
#include "config/logs.h"
#include "master/listeners.h"
#include "util/check.h"

apr_pool_t *master_pool_create(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    INS_CHECK(apr_allocator_create(&allocator) == APR_SUCCESS);
    INS_CHECK(apr_pool_create_ex(&pool, NULL, NULL, allocator) == APR_SUCCESS);
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

struct manifest *manifest_read(struct master *m, struct diags *diags)
{
    static struct log_set no_logs;
    apr_pool_t *pool = master_pool_create();
    struct manifest *manifest = apr_pcalloc(pool, sizeof(*manifest));

    manifest->pool = pool;
    manifest->refs = 1;
    manifest->build_dir = -1;
    manifest->logs = &no_logs;
    conf_read(&manifest->conf, &m->options->conf, diags, pool);
    return manifest;
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
