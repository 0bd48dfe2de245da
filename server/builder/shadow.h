/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are not there, and would be used if they were. */
#ifndef BUILDER_SHADOW_H
#define BUILDER_SHADOW_H

#include <apr_pools.h>
#include <apr_tables.h>

struct build;
struct memory;

/* Adds to files (struct file *, those that a build read) the absent ones that its own
 * sources and headers would find first. include_dir: as the build's. */
void shadow_add(struct memory *memory, const struct build *build, const char *include_dir,
                apr_array_header_t *files, apr_pool_t *pool);

#endif
