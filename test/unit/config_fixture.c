/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for the tests of server/config/. */
#include "config_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

int config_setup(void **state)
{
    apr_pool_t *pool;

    assert_int_equal(apr_initialize(), APR_SUCCESS);
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    *state = pool;
    return 0;
}

int config_teardown(void **state)
{
    apr_pool_destroy(*state);
    apr_terminate();
    return 0;
}

struct config_case config_text(apr_pool_t *pool, const char *text)
{
    struct conf_options options = { .server_root = "/srv" };
    struct config_case result;

    result.diags = diags_create(pool);
    conf_read_text(&result.conf, &options, "test", text, strlen(text), result.diags, pool);
    return result;
}

struct config_case config_file(apr_pool_t *pool, const char *root, const char *name)
{
    struct conf_options options = { .server_root = root, .config_file = name };
    struct config_case result;

    result.diags = diags_create(pool);
    conf_read(&result.conf, &options, result.diags, pool);
    return result;
}

static const char *nodes(const struct conf_node *node, apr_pool_t *pool)
{
    const char *out = "";

    for (; node; node = node->next) {
        out = apr_pstrcat(pool, out, node->name, NULL);
        for (int i = 0; i < node->argc; i++) {
            out = apr_pstrcat(pool, out, " [", node->argv[i], "]", NULL);
        }
        if (node->container) {
            out = apr_pstrcat(pool, out, " { ", nodes(node->children, pool), "}", NULL);
        }
        out = apr_pstrcat(pool, out, "; ", NULL);
    }
    return out;
}

const char *config_tree(const struct conf *conf, apr_pool_t *pool)
{
    return nodes(conf->root->children, pool);
}

const char *config_words(const struct diags *diags, apr_pool_t *pool)
{
    const char *out = "";

    for (const struct diag *d = diags->first; d; d = d->next) {
        const char *slash = d->file ? strrchr(d->file, '/') : NULL;
        const char *file = slash ? slash + 1 : d->file;

        out = apr_psprintf(pool, "%s%s%s%u:%u %s: %s\n", out,
                           file && strcmp(file, "test") != 0 ? file : "",
                           file && strcmp(file, "test") != 0 ? ":" : "", d->line, d->column,
                           d->severity == DIAG_ERROR ? "error" : "warning", d->message);
    }
    return out;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static apr_status_t remove_folder(void *data)
{
    (void)nftw(data, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return APR_SUCCESS;
}

const char *config_folder(apr_pool_t *pool)
{
    const char *tmp = getenv("TMPDIR");
    char *path = apr_pstrcat(pool, tmp ? tmp : "/tmp", "/instar-config-XXXXXX", NULL);
    char real[4096], *folder;

    assert_non_null(mkdtemp(path));
    assert_non_null(realpath(path, real));
    folder = apr_pstrdup(pool, real);
    apr_pool_cleanup_register(pool, folder, remove_folder, apr_pool_cleanup_null);
    return folder;
}

static void make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
}

void config_write_bytes(const char *folder, const char *name, const void *data, size_t length)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    make_folders(path);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

void config_write(const char *folder, const char *name, const char *text)
{
    config_write_bytes(folder, name, text, strlen(text));
}
