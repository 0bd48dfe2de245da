/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instarctl routes: what would answer a request, and why. The answer is found the way a request
 * finds it, by the same functions; only why the others do not answer is worked out here.
 */
#include "http/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/hosts.h"
#include "http/parts.h"
#include "http/request_internal.h"

const char *explain_place(const struct conf_node *node, apr_pool_t *pool)
{
    return node != NULL ? apr_psprintf(pool, "%s:%u", node->file->path, node->line) : "";
}

const char *explain_pattern(const struct route_def *def, apr_pool_t *pool)
{
    if (def->is_regex) {
        return apr_pstrcat(pool, "~ ", def->pub.pattern, NULL);
    }
    if (def->section != NULL && section_base(def->section) != NULL) {
        const char *slash = def->pub.pattern[0] == '/' || def->pub.pattern[0] == '\0' ? "" : "/";

        return apr_pstrcat(pool, section_base(def->section), slash, def->pub.pattern, NULL);
    }
    return def->pub.pattern;
}

/* ---- Routes that were looked at ------------------------------------------- */

static const struct route_def *first_route(const ins_server *s)
{
    const struct route_list *list = http_server_conf(s)->route_lines;

    return list != NULL ? list->first : NULL;
}

static unsigned count_routes(const ins_server *s)
{
    const struct route_list *list = http_server_conf(s)->route_lines;

    return list != NULL ? list->count : 0;
}

static int by_order(const void *a, const void *b)
{
    unsigned left = ((const struct tried *)a)->def->order;
    unsigned right = ((const struct tried *)b)->def->order;

    return left < right ? -1 : left > right;
}

static void try_routes(const struct http_app *app, struct explained *e, const ins_server *s,
                       const struct route_question *question, const char *path, apr_pool_t *pool)
{
    for (const struct route_def *def = first_route(s); def != NULL; def = def->next) {
        struct tried *t = &e->tried[e->tried_count++];

        t->def = def;
        t->own = s != app->servers;
        if (&def->pub != e->match.route) {
            t->why = explain_why_not(app, def, question, path, &t->segments, pool);
        }
    }
}

static void explain_server(struct http_app *app, struct explained *e,
                           const struct route_question *question, const char *path,
                           apr_pool_t *pool)
{
    unsigned count = count_routes(app->servers) + count_routes(e->server);

    http_route(app, e->server, question->method, path, &e->match, pool);
    e->sections = sections_of_path(app, e->server, path, &e->section_count, pool);
    e->tried = apr_pcalloc(pool, (count + 1) * sizeof(*e->tried));
    try_routes(app, e, app->servers, question, path, pool);
    if (e->server != app->servers) {
        try_routes(app, e, e->server, question, path, pool);
    }
    qsort(e->tried, e->tried_count, sizeof(*e->tried), by_order);
}

/* ---- Servers --------------------------------------------------------------- */

struct answers {
    struct http_app *app;
    const struct route_question *question;
    apr_pool_t *pool;
    struct explained *first;
};

static const char *why_chosen(const struct answers *a, const struct host_table *hosts,
                              const ins_server *s)
{
    const char *host = a->question->host;

    if (hosts == &a->app->hosts->main) {
        return "no <VirtualHost> is for this address";
    }
    if (hosts->count == 1) {
        return "it is alone on this address";
    }
    if (host == NULL) {
        return "it is the first on this address";
    }
    return hosts->names != NULL && name_table_find(hosts->names, host, strlen(host)) == s
               ? "its name is the request's"
               : "it is the first on this address, and none has the request's name";
}

static void add_answer(struct answers *a, const struct host_table *hosts, const char *address)
{
    const char *host = a->question->host;
    ins_server *s = http_find_server(hosts, host, host != NULL ? strlen(host) : 0);
    struct explained **at = &a->first;

    for (; *at != NULL; at = &(*at)->next) {
        if ((*at)->server == s) {
            (*at)->addresses = apr_pstrcat(a->pool, (*at)->addresses, ", ", address, NULL);
            return;
        }
    }
    *at = apr_pcalloc(a->pool, sizeof(**at));
    (*at)->server = s;
    (*at)->addresses = address;
    (*at)->chosen = why_chosen(a, hosts, s);
}

/* A listener's own address; and the sets that only a more exact local address leads to. */
static void find_answers(struct answers *a)
{
    const struct http_app *app = a->app;
    char text[80];

    for (int i = 0; app->listeners != NULL && i < app->listeners->count; i++) {
        const struct listener *l = &app->listeners->list[i];
        const struct sockaddr *local = l->addr_len > 0 ? (const struct sockaddr *)&l->addr : NULL;

        add_answer(a, http_hosts(app, i, local), l->name);
    }
    for (const struct host_table *set = app->hosts->first; set != NULL; set = set->next) {
        if (set->address.family != AF_UNSPEC) {
            host_address_text(&set->address, text, sizeof(text));
            add_answer(a, set, apr_pstrdup(a->pool, text));
        }
    }
    if (a->first == NULL) {
        add_answer(a, &app->hosts->main, "any");
    }
}

/* ---- The question ----------------------------------------------------------- */

/* As a request's target is read; NULL after an error. */
static const char *normal_path(const struct route_question *question, apr_pool_t *pool)
{
    size_t len = strcspn(question->path, "?"), out_len;
    char *path = apr_palloc(pool, len + 2);
    int status =
        question->path[0] == '/' ? target_normalise(question->path, len, path, &out_len) : 400;

    if (status == INS_OK) {
        return path;
    }
    if (question->json) {
        printf("{\"ok\": false, \"status\": %d}\n", status);
    }
    else {
        printf("answered with %d: %s\n", status,
               status == 404 ? "an encoded slash is in the path" : "that is no path");
    }
    return NULL;
}

void http_explain(struct http_app *app, const struct route_question *question)
{
    struct answers a = { .app = app, .question = question, .pool = app->pool };
    const char *path;

    if (question->path == NULL) {
        if (question->json) {
            explain_all_json(app, a.pool);
        }
        else {
            explain_all_text(app);
        }
        return;
    }
    path = normal_path(question, a.pool);
    if (path == NULL) {
        return;
    }
    find_answers(&a);
    for (struct explained *e = a.first; e != NULL; e = e->next) {
        explain_server(app, e, question, path, a.pool);
    }
    if (question->json) {
        explain_json(app, question, path, a.first, a.pool);
    }
    else {
        explain_text(app, question, path, a.first);
    }
}
