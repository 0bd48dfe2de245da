/* SPDX-License-Identifier: Apache-2.0 */
/* From a LoadModule line to the files that it means. */
#ifndef BUILDER_SOURCES_H
#define BUILDER_SOURCES_H

#include <stdbool.h>

#include <apr_pools.h>

struct conf_module;
struct diags;
struct file;
struct memory;

struct sources {
    int count;
    struct file **list; /* in the order given; a folder's in the order of names */
    bool cxx;           /* one at least is C++ */
};

/* By its name: C or C++. */
bool source_is_code(const char *name);
bool source_is_cxx(const char *name);

/* Looks at every path of a LoadModule; false with diagnostics at its line where
 * one is missing, empty, unreadable or not source. Lives in pool. */
bool sources_resolve(struct sources *out, struct memory *memory, const struct conf_module *module,
                     struct diags *diags, apr_pool_t *pool);

#endif
