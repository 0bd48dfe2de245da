/* SPDX-License-Identifier: Apache-2.0 */
/* Which compiler it is: a build made by another one is another build. */
#ifndef BUILDER_COMPILER_H
#define BUILDER_COMPILER_H

#include <apr_pools.h>

#include "builder/fingerprint.h"
#include "builder/remember.h"

struct conf_process;

struct compiler {
    char *name; /* as configured, or the C++ one that goes with it */
    char *path; /* absolute; NULL where it was not found */
    char *why;  /* what is wrong with it, NULL where it is usable */
    struct file_stat stat;
    struct fp identity; /* path, size, time, and what --version says */
};

enum { COMPILERS = 4 };

struct compilers {
    struct compiler list[COMPILERS];
    int next; /* the slot to use again */
};

/* Finds name (a path, or in PATH) and its identity; remembered by stat(). Runs
 * --version, as the build user and for at most some seconds, only when the
 * program is new or changed. Never NULL. */
const struct compiler *compiler_identify(struct compilers *compilers, const char *name,
                                         const struct conf_process *process, struct fp_sum *sum);
void compilers_free(struct compilers *compilers);
/* "gcc" -> "g++", "/usr/bin/clang-14" -> "/usr/bin/clang++-14"; NULL where the
 * name gives no hint. */
const char *compiler_cxx(const char *name, apr_pool_t *pool);
/* PATH for compilers: ours, or a usual one. */
const char *compiler_search_path(void);

#endif
