/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for the tests of server/builder/. */
#include "builder_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <poll.h>
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

static const char *include_dir(void)
{
    const char *top = getenv("srcdir");
    static char path[4096];
    char relative[4096];

    /* Once: a test that gives up root may not be able to look for it any more. */
    if (*path == '\0') {
        snprintf(relative, sizeof(relative), "%s/include", top ? top : ".");
        assert_non_null(realpath(relative, path));
    }
    return path;
}

int site_setup(void **state)
{
    struct site *site;
    apr_pool_t *pool;
    char *root;

    assert_int_equal(apr_initialize(), APR_SUCCESS);
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    site = apr_pcalloc(pool, sizeof(*site));
    site->pool = pool;
    site->dir_fd = -1;
    root = apr_pstrdup(pool, "/tmp/instar-builder-XXXXXX");
    assert_non_null(mkdtemp(root));
    /* as a checkout would be: the build user may enter */
    assert_int_equal(chmod(root, 0755), 0);
    site->root = root;
    assert_int_equal(mkdir(site_path(site, "modules"), 0755), 0);
    site_restart(site);
    *state = site;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int site_teardown(void **state)
{
    struct site *site = *state;

    if (site->dir_fd >= 0) {
        close(site->dir_fd);
    }
    assert_int_equal(nftw(site->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    apr_pool_destroy(site->pool);
    apr_terminate();
    return 0;
}

void site_restart(struct site *site)
{
    site->builder = builder_create(site->pool);
}

const char *site_path(const struct site *site, const char *name)
{
    return apr_pstrcat(site->pool, site->root, "/", name, NULL);
}

void site_write(struct site *site, const char *name, const char *text)
{
    FILE *file = fopen(site_path(site, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void site_config(struct site *site, const char *lines)
{
    site_write(site, "instar.conf",
               apr_pstrcat(site->pool, "BuildDirectory build\n", lines, "Listen 8080\n", NULL));
}

void site_plan(struct site *site)
{
    struct conf_options options = { .server_root = site->root, .config_file = "instar.conf" };

    site->diags = diags_create(site->pool);
    conf_read(&site->conf, &options, site->diags, site->pool);
    if (site->diags->errors > 0) {
        fail_msg("config: %s", diags_text(site->diags, false, site->pool));
    }
    if (site->dir_fd >= 0) {
        close(site->dir_fd);
    }
    site->dir_fd = builder_open_directory(site->conf, site->diags);
    assert_true(site->dir_fd >= 0);
    site->list = builder_plan(site->builder, site->conf, site->dir_fd, include_dir(), site->diags,
                              site->pool);
}

void site_start(struct site *site, pid_t *pid, int *fd)
{
    assert_int_equal(builder_start(site->builder, site->list, site->conf, site->dir_fd,
                                   include_dir(), pid, fd, site->pool),
                     0);
}

void site_finish(struct site *site, pid_t pid, int fd)
{
    site->failed =
        builder_finish(site->builder, site->list, site->dir_fd, pid, fd, site->diags, site->pool);
}

int site_build(struct site *site)
{
    int compiled = 0;

    site_plan(site);
    site->failed = 0;
    if (site->list->needed > 0) {
        struct pollfd p = { .events = POLLIN };
        pid_t pid;

        site_start(site, &pid, &p.fd);
        assert_int_equal(poll(&p, 1, 60000), 1);
        site_finish(site, pid, p.fd);
    }
    for (int i = 0; i < site->list->count; i++) {
        compiled += site->list->list[i].compiled;
    }
    return site->failed > 0 || site->diags->errors > 0 ? -1 : compiled;
}

void site_expect(struct site *site, const char *file, unsigned line, const char *words)
{
    for (const struct diag *d = site->diags->first; d; d = d->next) {
        const char *slash = d->file ? strrchr(d->file, '/') : NULL;

        if (d->stage == DIAG_BUILD && d->line == line && strstr(d->message, words) &&
            (file ? slash && strcmp(slash + 1, file) == 0 : !d->file)) {
            return;
        }
    }
    fail_msg("no \"%s\" at %s:%u in:\n%s", words, file, line,
             diags_text(site->diags, false, site->pool));
}

int site_count(const struct site *site, const char *part)
{
    DIR *dir = opendir(site_path(site, "build"));
    struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        count += entry->d_name[0] != '.' && strstr(entry->d_name, part) != NULL;
    }
    closedir(dir);
    return count;
}

const char *site_module(struct site *site, const char *name, const char *text)
{
    return apr_psprintf(
        site->pool,
        "#include <instar.h>\n"
        "static int answer(ins_request *r)\n"
        "{\n"
        "    ins_puts(r, \"%s\");\n"
        "    return INS_OK;\n"
        "}\n"
        "INS_MODULE(%s) = { INS_MODULE_HEADER,\n"
        "    .handlers = (const ins_handler[]) { { \"answer\", answer }, { 0 } } };\n",
        text, name);
}

void site_settle(void)
{
    usleep(40000);
}
