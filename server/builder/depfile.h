/* SPDX-License-Identifier: Apache-2.0 */
/* The list of files that a compiler read (-MD): a make rule. */
#ifndef BUILDER_DEPFILE_H
#define BUILDER_DEPFILE_H

#include <stddef.h>

#include <apr_pools.h>
#include <apr_tables.h>

enum { DEPFILE_MAX_BYTES = 4 << 20, DEPFILE_MAX_FILES = 20000 };

/* Adds the names behind "target:" to list (const char *, in its pool), as they
 * stand. text is NUL-terminated behind len bytes. */
void depfile_parse(const char *text, size_t len, apr_array_header_t *list);
/* The text of a file below dir_fd, or NULL. */
char *depfile_load(int dir_fd, const char *name, size_t *len, apr_pool_t *pool);

#endif
