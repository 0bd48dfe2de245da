/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions of the config: PCRE2, bytes (not UTF), JIT where the
 * library has it. An expression is compiled at load, so a bad one is a config
 * error; its machine code is made at its first use. */
#ifndef HTTP_REGEX_H
#define HTTP_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>

struct regex;

/* Where matching keeps its captures: one a thread at a time. */
struct regex_scratch;
struct regex_scratch *regex_scratch_create(apr_pool_t *pool);

enum regex_mode {
    REGEX_SEARCH, /* anywhere in the subject, unless the expression anchors itself */
    REGEX_WHOLE   /* from the subject's first byte to its last */
};

/* NULL where text is no expression; *why and *offset (bytes into text) tell. */
struct regex *regex_compile(const char *text, enum regex_mode mode, const char **why,
                            size_t *offset, apr_pool_t *pool);
const char *regex_text(const struct regex *re);

/* An expression that needs more steps than the limit does not match, and is
 * logged. Time is bounded so, whatever the subject. */
bool regex_match(struct regex_scratch *scratch, struct regex *re, const char *subject, size_t len);

/* Named groups, from 0; NULL behind the last. */
const char *regex_group_name(const struct regex *re, int n);
/* Of the last match: false where the group took no part in it. */
bool regex_group(const struct regex_scratch *scratch, const struct regex *re, int n, size_t *start,
                 size_t *end);

#endif
