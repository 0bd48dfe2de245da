/* SPDX-License-Identifier: Apache-2.0 */
/* <Location> and <LocationMatch> inside the http part. */
#ifndef HTTP_SECTIONS_H
#define HTTP_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http_app.h"
#include "http/regex.h"

struct section;

struct section_cache *section_cache_create(apr_pool_t *pool);
/* When all sections are known: the index of each server's. */
void sections_finish(struct http_app *app);

/* The lines of the sections that a path is in, in the order in which they are laid over each
 * other. */
const struct conf_node **sections_of_path(const struct http_app *app, const ins_server *s,
                                          const char *path, unsigned *count, apr_pool_t *pool);

bool section_matches(const struct section *section, struct regex_scratch *scratch, const char *path,
                     size_t len);
/* "/api" of a plain path, "" of "/"; NULL where it has wildcards or is an expression. */
const char *section_base(const struct section *section);
/* The path or expression as written. */
const char *section_text(const struct section *section);

#endif
