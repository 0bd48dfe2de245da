/* SPDX-License-Identifier: Apache-2.0 */
/* Names and values, in order, names with their case: query, form, cookies. */
#ifndef HTTP_PAIRS_H
#define HTTP_PAIRS_H

#include <stddef.h>

#include <apr_pools.h>

struct pair {
    const char *name, *value;
};
struct pair_list {
    size_t count;
    struct pair *list;
};

/* name=value&..., '+' and %XX decoded; a bad escape and %00 stay as they are. */
struct pair_list *pairs_parse_form(const char *text, size_t len, apr_pool_t *pool);
/* name=value; ... of a Cookie field, as they came. */
struct pair_list *pairs_parse_cookies(const char *text, apr_pool_t *pool);
/* The first of that name, or NULL. */
const char *pairs_get(const struct pair_list *pairs, const char *name);

#endif
