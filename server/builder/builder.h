/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder: C source -> .so, keyed by the content that goes into it, so that
 * a reload costs what changed and not what exists.
 *
 * builder_plan() runs in the master: stat() calls against what is remembered,
 * nothing is compiled or parsed that a child wrote but our own stamp files.
 * builder_start() forks the builder role for what needs work: unprivileged,
 * jailed, limited, in parallel. builder_finish() takes its results over: the
 * finished objects become the master's files, under a unique name, by rename.
 */
#ifndef BUILDER_BUILDER_H
#define BUILDER_BUILDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <apr_pools.h>

struct build_input;
struct conf;
struct conf_module;
struct diags;

enum { BUILD_KEY_HEX = 65 };

/* One module's build, in LoadModule order. */
struct build {
    const struct conf_module *module;
    char key[BUILD_KEY_HEX];   /* "" where it is not known yet or failed */
    const char *object;        /* "KEY.so" relative to BuildDirectory (a LoadModule'd .so is copied
                                  there too); NULL where it is not built yet or failed */
    bool needed;               /* planned: must be compiled */
    bool compiled;             /* a compiler was run for it in this reload */
    char stamp[BUILD_KEY_HEX]; /* names what the builder remembers of it in BuildDirectory */
    struct build_input *input; /* the builder's own notes; as long-lived as the list */
};

struct build_list {
    int count;
    struct build *list;
    int needed;
    const char *output; /* all compilers' words of this run, colours too; NULL none */
};

/* What is remembered between reloads (file stats, hashes): one for the life of
 * the master, of bounded size; pool lives as long. One run at a time. */
struct builder;
struct builder *builder_create(apr_pool_t *pool);

/* In what follows, dir_fd is the open BuildDirectory as builder_open_directory()
 * made it, and include_dir is where instar.h is. */

/* Opens (and makes, with parents, mode 0755) BuildDirectory; -1 with a
 * diagnostic. CLOEXEC. */
int builder_open_directory(const struct conf *conf, struct diags *diags);

/* Which modules need the compiler. A missing source is a diagnostic (stage
 * build), and so is a compiler that cannot be found or a BuildDirectory that cannot be
 * written when something must be built. The list lives in pool; conf and pool
 * outlive it. */
struct build_list *builder_plan(struct builder *b, const struct conf *conf, int dir_fd,
                                const char *include_dir, struct diags *diags, apr_pool_t *pool);

/* Starts the work; *pid is the builder process (own process group), *fd becomes
 * readable (EOF) when it is done. 0 or errno. Compilers that run too long are
 * ended by the builder process; to give up early, call builder_finish(). */
int builder_start(struct builder *b, struct build_list *list, const struct conf *conf, int dir_fd,
                  const char *include_dir, pid_t *pid, int *fd, apr_pool_t *pool);
/* After *fd reported, or to give up: ends what still runs, reads the results,
 * adopts objects, fills list and diags (diags->output too), reaps pid (or finds it reaped),
 * closes fd. What was built is kept, also where another module failed. Returns
 * the number of modules that failed. */
int builder_finish(struct builder *b, struct build_list *list, int dir_fd, pid_t pid, int fd,
                   struct diags *diags, apr_pool_t *pool);

/* Removes builds that no list names and that are older than a minute, their
 * stamps, and the work folders of builders that are gone. */
void builder_collect(struct builder *b, int dir_fd, struct build_list *const lists[], int count);

#endif
