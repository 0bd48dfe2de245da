/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config tree, applied. One walk makes servers and sections and applies what
 * the core's own modules know; what they do not know waits in file order until the
 * modules are loaded, which happens with fewer privileges.
 */
#include "generation/loading.h"

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "generation/containers.h"
#include "http/http_conf.h"
#include "tls/tls.h"
#include "websocket/settings.h"

const ins_directive container_directives[] = {
    { .name = "<VirtualHost",
      .where = INS_IN_GLOBAL,
      .syntax = "ADDR[:PORT] [ADDR[:PORT]...]",
      .help = "directives for one host: an address, [IPv6], *, or _default_" },
    { .name = "<Location",
      .where = INS_IN_SERVER,
      .syntax = "[~] PATH",
      .help = "directives for a path and what lies below it; behind ~ a regular expression" },
    { .name = "<LocationMatch",
      .where = INS_IN_SERVER,
      .syntax = "REGEX",
      .help = "directives for paths that match a regular expression" },
    { 0 }
};

/* A directive's row and whose it is. */
struct known_row {
    const ins_directive *row;
    int index;
};

static void walk(struct loading *l, const struct conf_node *first, struct place at);

static const char *lower(const char *name, char *buf, size_t size)
{
    size_t i;

    for (i = 0; i < size - 1 && name[i]; i++) {
        buf[i] = (char)apr_tolower(name[i]);
    }
    buf[i] = '\0';
    return buf;
}

/* Earlier modules keep a name that a later one claims too. */
static void learn_rows(struct loading *l, int from, int to)
{
    char name[128];

    for (int i = from; i < to; i++) {
        const ins_module *m = l->app->modules[i];

        for (const ins_directive *row = m ? m->directives : NULL; row && row->name; row++) {
            struct known_row *known;

            if (apr_hash_get(l->rows, lower(row->name, name, sizeof(name)), APR_HASH_KEY_STRING)) {
                continue;
            }
            known = apr_palloc(l->pool, sizeof(*known));
            known->row = row;
            known->index = i;
            apr_hash_set(l->rows, apr_pstrdup(l->pool, name), APR_HASH_KEY_STRING, known);
        }
    }
}

static const struct known_row *find_row(struct loading *l, const struct conf_node *node)
{
    char name[128];

    return apr_hash_get(l->rows, lower(node->name, name, sizeof(name)), APR_HASH_KEY_STRING);
}

static void apply_row(struct loading *l, const struct known_row *known,
                      const struct conf_node *node, const struct place *at)
{
    bool location = (known->row->where & INS_IN_LOCATION) != 0;

    conf_apply(known->row, node, at->server, at->section ? at->section->pattern : NULL,
               configs_for(l, known->index, at, location), l->diags, l->pool, l->temp_pool);
}

/* sure: every module is loaded. Else the directive may be of one that is not, and
 * is an error only where it looks like a known one misspelt. */
static void report_unknown(struct loading *l, const struct conf_node *node, bool sure)
{
    int count = l->app->module_count;
    const ins_directive **tables =
        apr_pcalloc(l->temp_pool, sizeof(const void *) * ((size_t)count + 2));
    int n = 0;

    tables[n++] = conf_process_directives;
    tables[n++] = container_directives;
    for (int i = 0; i < count; i++) {
        const ins_module *m = l->app->modules[i];

        if (m && m->directives) {
            tables[n++] = m->directives;
        }
    }
    if (sure) {
        conf_unknown(node, tables, n, l->diags);
    }
    else {
        (void)conf_misspelt(node, tables, n, l->diags);
    }
}

/* ---- Containers -------------------------------------------------------- */

static ins_server *create_server(struct loading *l, const struct conf_node *node)
{
    ins_server *s = apr_pcalloc(l->pool, sizeof(*s));

    s->is_virtual = node != NULL;
    s->defn_name = node ? node->file->path : l->launch->conf->path;
    s->defn_line_number = node ? node->line : 0;
    s->module_config = configs_create(l);
    s->lookup_defaults = configs_create(l);
    return s;
}

static void open_host(struct loading *l, const struct conf_node *node, struct place at)
{
    struct host *h;

    if (node->parent != l->launch->conf->root) {
        conf_error(l->diags, node, -1, "<VirtualHost> may not stand inside <%s>",
                   node->parent->name);
    }
    if (node->argc == 0) {
        conf_error(l->diags, node, -1, "<VirtualHost> takes one address or more");
    }
    at.server = create_server(l, node);
    at.section = NULL;
    l->last_server->next = at.server;
    l->last_server = at.server;
    h = apr_array_push(l->hosts);
    h->server = at.server;
    h->node = node;
    configs_create_own(l, at.server, CORE_INDEX, FIRST_LOADED);
    http_server_conf(at.server)->log.levels = conf_host_log_levels(l->launch->conf, node, l->pool);
    walk(l, node->children, at);
}

static void open_section(struct loading *l, const struct conf_node *node, struct place at)
{
    struct section *s = apr_pcalloc(l->pool, sizeof(*s));
    bool match = conf_is(node, "LocationMatch");
    bool tilde = !match && node->argc == 2 && strcmp(node->argv[0], "~") == 0;

    if (node->argc != 1 && !tilde) {
        conf_error(l->diags, node, -1, "<%s> takes one argument, %s", node->name,
                   match ? "a regular expression" : "a path");
        return;
    }
    s->server = at.server;
    s->kind = match ? HTTP_LOCATION_MATCH : HTTP_LOCATION;
    s->pattern = node->argv[0];
    s->node = node;
    s->config = configs_create(l);
    APR_ARRAY_PUSH(l->sections, struct section *) = s;
    at.section = s;
    walk(l, node->children, at);
}

static const struct {
    const char *name;
    void (*open)(struct loading *l, const struct conf_node *node, struct place at);
} containers[] = { { "VirtualHost", open_host },
                   { "Location", open_section },
                   { "LocationMatch", open_section } };

static void walk_container(struct loading *l, const struct conf_node *node, struct place at)
{
    for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
        if (conf_is(node, containers[i].name)) {
            containers[i].open(l, node, at);
            return;
        }
    }
    report_unknown(l, node, true);
}

static void walk(struct loading *l, const struct conf_node *first, struct place at)
{
    for (const struct conf_node *node = first; node; node = node->next) {
        const struct known_row *known;

        if (node->applied) {
            continue;
        }
        if (node->container) {
            walk_container(l, node, at);
            continue;
        }
        known = find_row(l, node);
        if (known) {
            apply_row(l, known, node, &at);
        }
        else {
            struct pending *p = apr_array_push(l->pending);

            p->node = node;
            p->at = at;
        }
    }
}

/* ---- The two passes ---------------------------------------------------- */

void apply_core(struct loading *l)
{
    struct place at = { .section = NULL };

    l->app->modules[CORE_INDEX] = &core_module;
    l->app->modules[SSL_INDEX] = &ssl_module;
    core_module.index = CORE_INDEX;
    core_module.name = "core_module";
    ssl_module.index = SSL_INDEX;
    ssl_module.name = "ssl_module";
    l->app->modules[WEBSOCKET_INDEX] = &websocket_module;
    websocket_module.index = WEBSOCKET_INDEX;
    websocket_module.name = "websocket_module";
    at.server = create_server(l, NULL);
    l->app->servers = l->last_server = at.server;
    configs_create_main(l, CORE_INDEX, FIRST_LOADED);
    learn_rows(l, CORE_INDEX, FIRST_LOADED);
    walk(l, l->launch->conf->root->children, at);
    configs_merge_hosts(l, CORE_INDEX, FIRST_LOADED);
}

void apply_pending(struct loading *l)
{
    const struct pending *list = (const struct pending *)l->pending->elts;

    configs_create_main(l, FIRST_LOADED, l->app->module_count);
    learn_rows(l, FIRST_LOADED, l->app->module_count);
    for (int i = 0; i < l->pending->nelts; i++) {
        const struct conf_node *node = list[i].node;
        const struct known_row *known = find_row(l, node);

        if (known) {
            loading_doing(l, "applying %s of %s (%s:%u)", node->name,
                          l->app->modules[known->index]->name, node->file->path, node->line);
            apply_row(l, known, node, &list[i].at);
            (void)loading_left_behind(l, known->index, DIAG_START, "when a directive is read");
        }
        else {
            report_unknown(l, node, l->all_loaded);
        }
    }
    configs_merge_hosts(l, FIRST_LOADED, l->app->module_count);
}
