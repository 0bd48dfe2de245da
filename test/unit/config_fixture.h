/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of server/config/ share: configs from text and from files, and
 * trees and diagnostics as one string, so that a case is a pair of texts. */
#ifndef TEST_CONFIG_FIXTURE_H
#define TEST_CONFIG_FIXTURE_H

#include <apr_pools.h>

#include "config/conf.h"

/* setup and teardown for cmocka: *state is a pool. */
int config_setup(void **state);
int config_teardown(void **state);

struct config_case {
    struct conf *conf;
    struct diags *diags;
};
/* Text from memory, under the name "test". */
struct config_case config_text(apr_pool_t *pool, const char *text);
/* A file relative to a folder, which is ServerRoot. */
struct config_case config_file(apr_pool_t *pool, const char *root, const char *name);

/* "Name [arg] [arg]; Container [arg] { ... }; " */
const char *config_tree(const struct conf *conf, apr_pool_t *pool);
/* "3:8 error: words\n" for each; the file's base name before it where it is not "test". */
const char *config_words(const struct diags *diags, apr_pool_t *pool);

/* A new folder, gone with the pool, and a file in it (with the folders above it). */
const char *config_folder(apr_pool_t *pool);
void config_write(const char *folder, const char *name, const char *text);
void config_write_bytes(const char *folder, const char *name, const void *data, size_t length);

#endif
