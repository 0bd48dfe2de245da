/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Route lines: read by the directive one by one, compiled together when all
 * sections, hosts and handlers are known.
 */
#include "http/routes.h"

#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"

enum { FEWEST_BUCKETS = 256 };

/* ---- Reading ---- */

static bool is_method_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* METHOD[|METHOD...]: upper case, as on the wire (RFC 9110, 9.1). */
static const char *check_methods(const char *all)
{
    const char *text = all;

    for (;;) {
        size_t len = 0;

        while (is_method_byte(text[len])) {
            len++;
        }
        if (len == 0 || (text[len] != '|' && text[len] != '\0')) {
            return "a method is in upper case: GET, or GET|POST";
        }
        if (len == 2 && memcmp(text, "WS", 2) == 0 && (text != all || text[len] == '|')) {
            return "WS stands alone: other methods of the path have a Route line of their own";
        }
        if (len == 7 && memcmp(text, "CONNECT", 7) == 0) {
            return "CONNECT names no path, so it has no route";
        }
        if (text[len] == '\0') {
            return NULL;
        }
        text += len + 1;
    }
}

static const char *check_option(const char *option)
{
    const char *equals = strchr(option, '=');

    if (equals == NULL || equals == option) {
        return "behind the handler stand key=value pairs";
    }
    if (strncasecmp(option, "isolate=", 8) == 0) {
        return "isolate= is reserved for handlers in a process of their own, "
               "which this version does not have";
    }
    return NULL;
}

/* Where the pattern ends: it may be "~ REGEX", "~REGEX" or ~ REGEX in two arguments. */
static int read_pattern(struct route_def *def, int argc, const char *const argv[])
{
    const char *pattern = argv[1];

    def->pattern_arg = 1;
    if (*pattern == '~') {
        def->is_regex = true;
        pattern += 1 + strspn(pattern + 1, " \t");
        if (*pattern == '\0' && argc > 2) {
            def->pattern_arg = 2;
            pattern = argv[2];
        }
    }
    def->pub.pattern = pattern;
    return def->pattern_arg;
}

const char *route_read(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    static unsigned lines; /* file order over all servers */
    struct http_server_conf *server = http_server_conf(cmd->server);
    struct route_list *list = server->route_lines;
    struct route_def *def = apr_pcalloc(cmd->pool, sizeof(*def));
    const char *error = check_methods(argv[0]);

    if (error) {
        conf_cmd_at(cmd, 0);
        return error;
    }
    def->pub.method = argv[0];
    def->handler_arg = read_pattern(def, argc, argv) + 1;
    if (def->handler_arg >= argc) {
        return "the handler is missing: METHOD PATTERN HANDLER";
    }
    def->handler = argv[def->handler_arg];
    def->options = argv + def->handler_arg + 1;
    def->option_count = argc - def->handler_arg - 1;
    for (int i = 0; i < def->option_count; i++) {
        error = check_option(def->options[i]);
        if (error) {
            conf_cmd_at(cmd, def->handler_arg + 1 + i);
            return error;
        }
    }
    def->pub.node = conf_cmd_node(cmd);
    def->location = cmd->path ? conf : NULL;
    def->order = ++lines;
    if (list == NULL) {
        list = server->route_lines = apr_pcalloc(cmd->pool, sizeof(*list));
    }
    *(list->last ? &list->last->next : &list->first) = def;
    list->last = def;
    list->count++;
    return NULL;
}

/* ---- Building ---- */

struct route_set *route_set_create(unsigned lines, apr_pool_t *pool)
{
    static const char *const usual[] = { "GET",  "HEAD", "OPTIONS", "WS",
                                         "POST", "PUT",  "PATCH",   "DELETE" };
    struct route_set *set = apr_pcalloc(pool, sizeof(*set));

    set->pool = pool;
    set->bucket_count = FEWEST_BUCKETS;
    while (set->bucket_count < 2 * lines) {
        set->bucket_count *= 2;
    }
    set->buckets = apr_pcalloc(pool, set->bucket_count * sizeof(struct trie_node *));
    set->expressions[REGEX_SEARCH] = apr_hash_make(pool);
    set->expressions[REGEX_WHOLE] = apr_hash_make(pool);
    set->regex_routes = apr_hash_make(pool);
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        set->methods[set->method_count++] = usual[i];
    }
    return set;
}

uint64_t route_method_bit(struct route_set *set, const char *name, size_t len)
{
    for (int i = 0; i < set->method_count; i++) {
        if (strncmp(set->methods[i], name, len) == 0 && set->methods[i][len] == '\0') {
            return 1ull << i;
        }
    }
    if (set->method_count == ROUTE_METHODS_MAX) {
        return 0;
    }
    set->methods[set->method_count] = apr_pstrmemdup(set->pool, name, len);
    return 1ull << set->method_count++;
}

uint64_t route_method_find(const struct route_set *set, const char *name)
{
    for (int i = 0; i < set->method_count; i++) {
        if (strcmp(set->methods[i], name) == 0) {
            return 1ull << i;
        }
    }
    return 0;
}

static bool read_methods(struct route_set *set, struct route_def *def, struct diags *diags)
{
    const char *text = def->pub.method;

    for (;;) {
        size_t len = strcspn(text, "|");
        uint64_t bit = route_method_bit(set, text, len);

        if (bit == 0 || (def->methods & bit)) {
            conf_error(diags, def->pub.node, 0,
                       bit ? "the method %.*s stands in it twice"
                           : "the method %.*s is one too many: 64 different ones are the limit",
                       (int)len, text);
            return false;
        }
        def->methods |= bit;
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

static void read_options(struct route_def *def, apr_pool_t *pool)
{
    if (def->option_count == 0) {
        return;
    }
    def->pub.options = apr_table_make(pool, def->option_count);
    for (int i = 0; i < def->option_count; i++) {
        const char *equals = strchr(def->options[i], '=');
        char *key = apr_pstrmemdup(pool, def->options[i], (size_t)(equals - def->options[i]));

        apr_table_setn(def->pub.options, key, equals + 1);
    }
}

static void build_server(struct route_set *set, struct http_server_conf *conf,
                         struct handler_index *handlers, struct diags *diags)
{
    struct route_def *def = conf->route_lines->first;

    conf->routes = apr_pcalloc(set->pool, sizeof(*conf->routes));
    for (; def; def = def->next) {
        if (def->location && def->location->section == NULL) {
            continue; /* its section is wrong, which has been said */
        }
        def->pub.index = set->count++;
        if (read_methods(set, def, diags)) {
            route_compile(set, conf->routes, def, diags);
        }
        read_options(def, set->pool);
        handler_resolve(handlers, def, diags);
    }
}

void routes_build(struct http_app *app, struct diags *diags)
{
    struct handler_index *handlers = handler_index_create(app, app->pool);
    struct route_set *set;
    unsigned lines = 0;

    for (ins_server *s = app->servers; s; s = s->next) {
        const struct route_list *list = http_server_conf(s)->route_lines;

        lines += list ? list->count : 0;
    }
    app->routes = set = route_set_create(lines, app->pool);
    for (ins_server *s = app->servers; s; s = s->next) {
        struct http_server_conf *conf = http_server_conf(s);

        if (conf->route_lines) {
            build_server(set, conf, handlers, diags);
        }
    }
}

unsigned http_route_count(const struct http_app *app)
{
    return app->routes ? app->routes->count : 0;
}

unsigned http_route_line(const struct route *route, const char **file)
{
    *file = route && route->node ? route->node->file->path : "-";
    return route && route->node ? route->node->line : 0;
}

const struct route *http_route_at(const struct http_app *app, unsigned index)
{
    for (const ins_server *s = app->servers; s; s = s->next) {
        const struct route_list *list = http_server_conf(s)->route_lines;

        for (const struct route_def *def = list ? list->first : NULL; def; def = def->next) {
            if (def->pub.index == index && def->pub.handler_name) {
                return &def->pub;
            }
        }
    }
    return NULL;
}
