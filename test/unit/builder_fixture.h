/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of server/builder/ share: a server's folder with sources and a
 * config, and reloads as far as the builder goes. Real compilers are run. */
#ifndef TEST_BUILDER_FIXTURE_H
#define TEST_BUILDER_FIXTURE_H

#include <apr_pools.h>

#include "builder/builder.h"
#include "config/conf.h"

struct site {
    apr_pool_t *pool;
    const char *root; /* ServerRoot; modules/ and build/ are below */
    struct builder *builder;
    /* of the last reload */
    struct conf *conf;
    struct diags *diags;
    struct build_list *list;
    int dir_fd;
    int failed;
};

/* For cmocka: *state is a struct site with an empty folder. */
int site_setup(void **state);
int site_teardown(void **state);

/* A builder that remembers nothing: as after a restart. */
void site_restart(struct site *site);
void site_write(struct site *site, const char *name, const char *text);
/* instar.conf: BuildDirectory, and these lines. */
void site_config(struct site *site, const char *lines);
/* Reads the config and plans. */
void site_plan(struct site *site);
/* Plans and, where it is needed, compiles. The number of modules compiled, -1 where
 * something is wrong. */
int site_build(struct site *site);
/* The pieces of site_build(). */
void site_start(struct site *site, pid_t *pid, int *fd);
void site_finish(struct site *site, pid_t pid, int fd);
/* Does a diagnostic say so? Fails the test with all of them where none does. */
void site_expect(struct site *site, const char *file, unsigned line, const char *words);
/* Names in BuildDirectory that hold part. */
int site_count(const struct site *site, const char *part);
const char *site_path(const struct site *site, const char *name);
/* A small module; text makes it another one. */
const char *site_module(struct site *site, const char *name, const char *text);
/* Longer than the clock's step: what was written is old now. */
void site_settle(void);

#endif
