/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler asks a request for by name. Query, form and cookies are parsed
 * when somebody asks first. */

#include "http/request_internal.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"
#include "http/pairs.h"

enum { FORM_MAX = 1024 * 1024 };

const char *ins_param(ins_request *r, const char *name)
{
    const struct route_match *match = &request_of(r)->match;

    for (int n = 0; n < match->param_count; n++) {
        if (strcmp(match->params[n].name, name) == 0) {
            return match->params[n].value;
        }
    }
    return NULL;
}

const char *ins_option(ins_request *r, const char *key)
{
    const struct route *route = request_of(r)->match.route;

    return route && route->options ? apr_table_get(route->options, key) : NULL;
}

/* Two Cookie fields are one list of cookies (RFC 9113, 8.2.3); all others join by commas. */
static const char *joined(ins_request *r, const char *name, const char *separator)
{
    const apr_array_header_t *list = apr_table_elts(r->headers_in);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)(const void *)list->elts;
    const char *value = NULL;

    for (int n = 0; n < list->nelts; n++) {
        if (strcasecmp(entries[n].key, name) == 0) {
            value = value ? apr_pstrcat(r->pool, value, separator, entries[n].val, NULL)
                          : entries[n].val;
        }
    }
    return value;
}

const char *ins_header(ins_request *r, const char *name)
{
    return joined(r, name, ", ");
}

/* ---- Query ------------------------------------------------------------- */

static const struct pair_list *query_of(ins_request *r)
{
    struct request *q = request_of(r);

    if (!q->query) {
        const char *args = r->args ? r->args : "";

        q->query = pairs_parse_form(args, strlen(args), r->pool);
    }
    return q->query;
}

const char *ins_query(ins_request *r, const char *name)
{
    return pairs_get(query_of(r), name);
}

static void each(const struct pair_list *pairs, ins_pair_fn fn, void *ctx)
{
    for (size_t n = 0; n < pairs->count; n++) {
        if (!fn(ctx, pairs->list[n].name, pairs->list[n].value)) {
            return;
        }
    }
}

void ins_query_each(ins_request *r, ins_pair_fn fn, void *ctx)
{
    each(query_of(r), fn, ctx);
}

/* ---- Form -------------------------------------------------------------- */

static bool is_form(ins_request *r)
{
    const char *type = apr_table_get(r->headers_in, "Content-Type");
    size_t len = type ? strcspn(type, "; \t") : 0;

    return http_same_word(type ? type : "", len, "application/x-www-form-urlencoded");
}

static const struct pair_list *form_of(ins_request *r)
{
    struct request *q = request_of(r);

    if (!q->form) {
        size_t len = 0;
        const char *text = is_form(r) ? ins_body(r, FORM_MAX, &len) : NULL;

        q->form = pairs_parse_form(text ? text : "", len, r->pool);
    }
    return q->form;
}

const char *ins_form(ins_request *r, const char *name)
{
    return pairs_get(form_of(r), name);
}

void ins_form_each(ins_request *r, ins_pair_fn fn, void *ctx)
{
    each(form_of(r), fn, ctx);
}

/* ---- Cookies ----------------------------------------------------------- */

const char *ins_cookie(ins_request *r, const char *name)
{
    struct request *q = request_of(r);

    if (!q->cookies) {
        const char *field = joined(r, "Cookie", "; ");

        q->cookies = pairs_parse_cookies(field ? field : "", r->pool);
    }
    return pairs_get(q->cookies, name);
}
