/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON writer (RFC 8259): calls in document order, commas and nesting are its
 * own business. Text that is not UTF-8 comes out as U+FFFD, so that what it
 * makes is always valid JSON whatever a file or a child said.
 */
#ifndef UTIL_JSON_OUT_H
#define UTIL_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_pools.h>

struct jout;

struct jout *jout_create(apr_pool_t *pool);

/* At most JOUT_DEPTH deep; begin and end must pair (INS_CHECK). */
enum { JOUT_DEPTH = 16 };
void jout_object_begin(struct jout *j);
void jout_object_end(struct jout *j);
void jout_array_begin(struct jout *j);
void jout_array_end(struct jout *j);

/* Within an object, before each value. */
void jout_key(struct jout *j, const char *name);

void jout_string(struct jout *j, const char *text); /* NULL: null */
void jout_string_n(struct jout *j, const char *text, size_t len);
void jout_int(struct jout *j, int64_t value);
void jout_uint(struct jout *j, uint64_t value);
void jout_bool(struct jout *j, bool value);
void jout_null(struct jout *j);

/* What was written, NUL-terminated, in the pool; every container must be closed.
 * len may be NULL. */
const char *jout_text(struct jout *j, size_t *len);

#endif
