/* SPDX-License-Identifier: Apache-2.0 */
/* The builder process: runs the compilers of one build_list. */
#ifndef BUILDER_WORK_H
#define BUILDER_WORK_H

#include <sys/types.h>

struct builder;

/* In the forked process, before the privileges are dropped; never returns. Its
 * copy of the builder's memory is its own. */
__attribute__((noreturn)) void work_run(struct builder *b, pid_t master);

#endif
