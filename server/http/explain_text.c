/* SPDX-License-Identifier: Apache-2.0 */
/* instarctl routes, for people. */
#include "http/explain.h"

#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/parts.h"

/* Routes that did not answer: so many of them, the nearest. */
enum { SHOWN = 20 };

static void print_line(const char *name, const char *text, const char *place)
{
    if (place[0]) {
        printf("  %-9s %-44s %s\n", name, text, place);
    }
    else {
        printf("  %-9s %s\n", name, text);
    }
}

static void print_options(const struct route_def *def)
{
    for (int i = 0; i < def->option_count; i++) {
        printf("  %-9s   %s\n", "", def->options[i]);
    }
}

static void print_route(const struct http_app *app, const struct explained *e)
{
    const struct route *route = e->match.route;
    const struct route_def *def = (const struct route_def *)route;
    apr_pool_t *pool = app->pool;

    print_line("route",
               apr_psprintf(pool, "%s %s -> %s (%s)", route->method, explain_pattern(def, pool),
                            route->handler_name, route->module->name),
               explain_place(route->node, pool));
    for (int i = 0; i < e->match.param_count; i++) {
        printf("  %-9s   %s = \"%s\"\n", "", e->match.params[i].name, e->match.params[i].value);
    }
    print_options(def);
}

static const char *const phase_names[INS_PHASE_COUNT] = {
    [INS_PHASE_post_read_request] = "post_read_request",
    [INS_PHASE_translate_name] = "translate_name",
    [INS_PHASE_header_parser] = "header_parser",
    [INS_PHASE_access_checker] = "access_checker",
    [INS_PHASE_auth_checker] = "auth_checker",
    [INS_PHASE_type_checker] = "type_checker",
    [INS_PHASE_fixups] = "fixups",
    [INS_PHASE_insert_filter] = "insert_filter",
    [INS_PHASE_handler] = "handler",
    [INS_PHASE_log_transaction] = "log_transaction"
};

/* What may answer in the route's place. */
static void print_hooks(const struct http_app *app)
{
    for (int phase = 0; phase <= INS_PHASE_handler; phase++) {
        for (const struct phase_hook *hook = app->hooks[phase]; hook != NULL && hook->run != NULL;
             hook++) {
            print_line("before it",
                       apr_psprintf(app->pool, "%s of %s", phase_names[phase], hook->module->name),
                       "");
        }
    }
}

static void print_verdict(const struct http_app *app, const struct route_question *question,
                          const struct explained *e)
{
    if (e->match.route != NULL) {
        print_route(app, e);
    }
    else if (e->match.allow != NULL) {
        bool options = strcmp(question->method, "OPTIONS") == 0;

        print_line(
            "route",
            apr_psprintf(app->pool, "none: %s, Allow: %s", options ? "200" : "405", e->match.allow),
            "");
    }
    else {
        print_line("route", "none: 404", "");
    }
}

/* How near a route must have come to be shown: as far as leaves not too many. */
static unsigned nearness(const struct explained *e)
{
    for (unsigned least = 1; least < ROUTE_DEPTH_MAX; least++) {
        unsigned count = 0;

        for (unsigned i = 0; i < e->tried_count; i++) {
            count += e->tried[i].why != NULL && e->tried[i].segments >= least;
        }
        if (count <= SHOWN) {
            return least;
        }
    }
    return ROUTE_DEPTH_MAX;
}

static void print_tried(const struct http_app *app, const struct explained *e)
{
    unsigned least = nearness(e), shown = 0, others = 0;

    for (unsigned i = 0; i < e->tried_count; i++) {
        const struct tried *t = &e->tried[i];

        if (t->why == NULL) {
            continue;
        }
        if (t->segments < least || shown == SHOWN) {
            others++;
            continue;
        }
        shown++;
        print_line("not",
                   apr_psprintf(app->pool, "%s %s", t->def->pub.method,
                                explain_pattern(t->def, app->pool)),
                   explain_place(t->def->pub.node, app->pool));
        printf("  %-9s   %s\n", "", t->why);
    }
    if (others > 0) {
        printf("  %-9s %u more, which have less in common with the path\n", "not", others);
    }
}

static const char *server_name(const struct http_app *app, const ins_server *s)
{
    return s == app->servers ? "the main server"
                             : apr_psprintf(app->pool, "%s", s->server_hostname);
}

static const char *server_place(const struct http_app *app, const ins_server *s)
{
    return s->is_virtual ? apr_psprintf(app->pool, "%s:%u", s->defn_name, s->defn_line_number) : "";
}

void explain_text(const struct http_app *app, const struct route_question *question,
                  const char *path, const struct explained *list)
{
    printf("%s %s%s%s\n", question->method, path, question->host != NULL ? ", Host: " : "",
           question->host != NULL ? question->host : "");
    for (const struct explained *e = list; e != NULL; e = e->next) {
        printf("at %s\n", e->addresses);
        print_line("host", server_name(app, e->server), server_place(app, e->server));
        printf("  %-9s   %s\n", "", e->chosen);
        for (unsigned i = 0; i < e->section_count; i++) {
            print_line(
                "section",
                apr_psprintf(app->pool, "<%s %s>", e->sections[i]->name, e->sections[i]->raw),
                explain_place(e->sections[i], app->pool));
        }
        print_hooks(app);
        print_verdict(app, question, e);
        print_tried(app, e);
    }
}

/* ---- All of them ------------------------------------------------------------- */

void explain_all_text(const struct http_app *app)
{
    for (const ins_server *s = app->servers; s != NULL; s = s->next) {
        const struct route_list *list = http_server_conf(s)->route_lines;

        printf("%s%s%s\n", server_name(app, s), s->is_virtual ? "  " : "", server_place(app, s));
        for (const struct route_def *def = list != NULL ? list->first : NULL; def != NULL;
             def = def->next) {
            printf("  %-12s %-36s %-24s %s\n", def->pub.method, explain_pattern(def, app->pool),
                   apr_psprintf(app->pool, "%s (%s)", def->pub.handler_name, def->pub.module->name),
                   explain_place(def->pub.node, app->pool));
        }
    }
}
