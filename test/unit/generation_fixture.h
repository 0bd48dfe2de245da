/* SPDX-License-Identifier: Apache-2.0 */
/* What the generation's tests share: a folder of modules, compiled from text,
 * and a launch over them. */
#ifndef TEST_GENERATION_FIXTURE_H
#define TEST_GENERATION_FIXTURE_H

#include <sys/types.h>

#include <apr_pools.h>

#include "ipc/launch.h"

struct test_module {
    const char *name;   /* "hello_module" */
    const char *source; /* behind #include <instar.h>; NULL: not built */
};

/* Makes the folder; 0 or -1. */
int fixture_open(void);
void fixture_close(void);

/* A launch whose config is text, preceded by a LoadModule line a module, on
 * lines 1 and up. Lives in pool. modules end with { NULL }. */
struct launch *fixture_launch(const char *text, const struct test_module *modules,
                              apr_pool_t *pool);

#endif
