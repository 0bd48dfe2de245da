/* SPDX-License-Identifier: Apache-2.0 */
/* instarctl routes --json. */
#include "http/explain.h"

#include <stdio.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/parts.h"
#include "util/json_out.h"

static void member(struct jout *j, const char *name, const char *text)
{
    jout_key(j, name);
    jout_string(j, text);
}

static void place_members(struct jout *j, const struct conf_node *node)
{
    member(j, "file", node != NULL ? node->file->path : NULL);
    jout_key(j, "line");
    if (node != NULL) {
        jout_uint(j, node->line);
    }
    else {
        jout_null(j);
    }
}

static void route_members(struct jout *j, const struct route_def *def, apr_pool_t *pool)
{
    member(j, "methods", def->pub.method);
    member(j, "pattern", explain_pattern(def, pool));
    member(j, "handler", def->pub.handler_name);
    member(j, "module", def->pub.module->name);
    place_members(j, def->pub.node);
}

static void params_member(struct jout *j, const struct route_match *match)
{
    jout_key(j, "params");
    jout_object_begin(j);
    for (int i = 0; i < match->param_count; i++) {
        member(j, match->params[i].name, match->params[i].value);
    }
    jout_object_end(j);
}

static void route_member(struct jout *j, const struct explained *e, apr_pool_t *pool)
{
    jout_key(j, "route");
    if (e->match.route == NULL) {
        jout_null(j);
        member(j, "allow", e->match.allow);
        return;
    }
    jout_object_begin(j);
    route_members(j, (const struct route_def *)e->match.route, pool);
    params_member(j, &e->match);
    jout_object_end(j);
}

static void lists(struct jout *j, const struct explained *e, apr_pool_t *pool)
{
    jout_key(j, "sections");
    jout_array_begin(j);
    for (unsigned i = 0; i < e->section_count; i++) {
        jout_object_begin(j);
        member(j, "section",
               apr_psprintf(pool, "<%s %s>", e->sections[i]->name, e->sections[i]->raw));
        place_members(j, e->sections[i]);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_key(j, "tried");
    jout_array_begin(j);
    for (unsigned i = 0; i < e->tried_count; i++) {
        if (e->tried[i].why != NULL) {
            jout_object_begin(j);
            route_members(j, e->tried[i].def, pool);
            member(j, "why_not", e->tried[i].why);
            jout_object_end(j);
        }
    }
    jout_array_end(j);
}

static void server_members(struct jout *j, const ins_server *s)
{
    member(j, "host", s->server_hostname);
    member(j, "file", s->is_virtual ? s->defn_name : NULL);
    jout_key(j, "line");
    jout_uint(j, s->defn_line_number);
}

void explain_json(const struct http_app *app, const struct route_question *question,
                  const char *path, const struct explained *list, apr_pool_t *pool)
{
    struct jout *j = jout_create(pool);

    (void)app;
    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, true);
    member(j, "method", question->method);
    member(j, "path", path);
    jout_key(j, "answers");
    jout_array_begin(j);
    for (const struct explained *e = list; e != NULL; e = e->next) {
        jout_object_begin(j);
        member(j, "addresses", e->addresses);
        server_members(j, e->server);
        member(j, "chosen", e->chosen);
        route_member(j, e, pool);
        lists(j, e, pool);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_object_end(j);
    printf("%s\n", jout_text(j, NULL));
}

void explain_all_json(const struct http_app *app, apr_pool_t *pool)
{
    struct jout *j = jout_create(pool);

    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, true);
    jout_key(j, "hosts");
    jout_array_begin(j);
    for (const ins_server *s = app->servers; s != NULL; s = s->next) {
        const struct route_list *list = http_server_conf(s)->route_lines;

        jout_object_begin(j);
        server_members(j, s);
        jout_key(j, "routes");
        jout_array_begin(j);
        for (const struct route_def *def = list != NULL ? list->first : NULL; def != NULL;
             def = def->next) {
            jout_object_begin(j);
            route_members(j, def, pool);
            jout_object_end(j);
        }
        jout_array_end(j);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_object_end(j);
    printf("%s\n", jout_text(j, NULL));
}
