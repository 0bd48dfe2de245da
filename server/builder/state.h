/* SPDX-License-Identifier: Apache-2.0 */
/* What the builder's own files share: its memory between reloads, its notes on
 * a module, and the run that is under way. */
#ifndef BUILDER_STATE_H
#define BUILDER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "builder/builder.h"
#include "builder/compiler.h"
#include "builder/names.h"
#include "builder/remember.h"
#include "builder/sources.h"
#include "builder/stamp.h"

struct build_input {
    struct fp base; /* flags, compiler, API version, named libraries */
    struct fp id;   /* base and the sources: the stamp's name, known before a compiler runs */
    struct sources sources;
    const char *compiler; /* absolute; the C++ one where a source is C++ */
    const char *c_compiler;
    struct build *same; /* an earlier entry with this id: built once for both */
    bool failed;        /* reported in the plan already */
};

/* From builder_start() to builder_finish(). */
struct build_run {
    apr_pool_t *pool;
    struct build_list *list;
    const struct conf *conf;
    const char *include_dir;
    const char *work_name; /* below BuildDirectory */
    int work_fd;
    int result_fd; /* a memfd: written by the builder process, read with distrust */
    struct names names;
    uid_t user;   /* who owns the compilers' files */
    bool dropped; /* the builder process changes its user */
};

/* id of base and what the sources hold now. */
void build_identify(struct build *build, struct fp_sum *sum);

struct builder {
    apr_pool_t *pool;
    struct memory memory;
    struct stamps stamps;
    struct compilers compilers;
    struct build_run *run;
    unsigned runs;      /* for the names of work folders */
    bool jail_reported; /* what the kernel does not permit was logged */
};

#endif
