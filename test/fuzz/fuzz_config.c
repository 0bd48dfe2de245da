/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a config: read, applied, and every argument reported, so that the
 * places in messages are worked out too. */
#include <stdint.h>
#include <stdlib.h>

#include <apr_general.h>

#include "config/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ins_directive *const tables[] = { conf_process_directives };

/* The search for near names is slow and soon explored. */
enum { SEARCHES = 4 };

static void report_all(const struct conf_node *node, int *searches, struct diags *diags)
{
    for (; node; node = node->next) {
        if (*searches > 0) {
            (*searches)--;
            conf_unknown(node, tables, 1, diags);
        }
        for (int i = 0; i < node->argc; i++) {
            conf_warn(diags, node, i, "%s", node->argv[i]);
        }
        report_all(node->children, searches, diags);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_options options = { .server_root = "/" };
    struct diags *diags;
    struct conf *conf;
    apr_pool_t *pool;
    int searches = SEARCHES;

    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        abort();
    }
    diags = diags_create(pool);
    conf_read_text(&conf, &options, "fuzz", (const char *)data, size, diags, pool);
    report_all(conf->root->children, &searches, diags);
    (void)diags_text(diags, false, pool);
    apr_pool_destroy(pool);
    return 0;
}
