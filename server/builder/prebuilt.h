/* SPDX-License-Identifier: Apache-2.0 */
/* A LoadModule'd .so: nothing to compile, but a copy to keep. */
#ifndef BUILDER_PREBUILT_H
#define BUILDER_PREBUILT_H

#include <stdbool.h>

#include <apr_pools.h>

struct build;
struct builder;
struct diags;

/* Fills key and object; false with a diagnostic. */
bool prebuilt_take(struct builder *b, struct build *build, int dir_fd, struct diags *diags,
                   apr_pool_t *pool);

#endif
