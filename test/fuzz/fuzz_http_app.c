/* SPDX-License-Identifier: Apache-2.0 */
/* Any config, then any requests for it: routes, sections, hosts and log formats. The
 * bytes up to a NUL are the config; behind it comes a request a line: "GET host /path". */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "config/conf.h"
#include "http/http_app.h"
#include "http/log_format.h"
#include "http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONFIG_MAX = 4096, REQUESTS_MAX = 16, LINE_SIZE = 512 };

static int handle(ins_request *r)
{
    (void)r;
    return INS_OK;
}

static const ins_handler handlers[] = { { "a", handle }, { "b", handle }, { 0 } };
static ins_module fuzz_module = { INS_MODULE_HEADER, .handlers = handlers };
static ins_module *modules[] = { &core_module, &fuzz_module };
enum { MODULES = sizeof(modules) / sizeof(modules[0]) };

struct building {
    struct http_app *app;
    ins_server *last;
    struct diags *diags;
    apr_pool_t *pool;
};

static ins_server *make_server(apr_pool_t *pool, bool is_virtual)
{
    ins_server *s = apr_pcalloc(pool, sizeof(*s));

    s->is_virtual = is_virtual;
    s->module_config = apr_pcalloc(pool, sizeof(void *) * MODULES);
    s->lookup_defaults = apr_pcalloc(pool, sizeof(void *) * MODULES);
    s->module_config[0] = core_module.create_server(pool, s);
    s->lookup_defaults[0] = core_module.create_location(pool, NULL);
    return s;
}

/* Names would be looked up, which a fuzzer has no time for. */
static bool has_numbers_alone(const struct conf_node *node)
{
    for (int i = 0; i < node->argc; i++) {
        if (strspn(node->argv[i], "0123456789.:[]*") != strlen(node->argv[i])) {
            return false;
        }
    }
    return true;
}

static void try_format(const char *text, bool json, apr_pool_t *pool)
{
    const char *error;
    const struct log_format *format = log_format_compile(text, json, &error, pool);
    struct request *q;
    char line[LINE_SIZE];
    bool full;

    if (format) {
        q = apr_pcalloc(pool, sizeof(*q));
        q->pub.pool = pool;
        (void)log_format_write(format, q, 0, line, sizeof(line), &full);
        (void)log_format_write_short(format, q, 0, line, sizeof(line));
    }
}

static void apply(struct building *b, const struct conf_node *node, ins_server *s, void **section,
                  const char *path)
{
    for (const ins_directive *row = core_module.directives; row->name; row++) {
        if (conf_is(node, row->name)) {
            void *conf = row->where & INS_IN_LOCATION
                             ? (section ? section[0] : s->lookup_defaults[0])
                             : s->module_config[0];

            conf_apply(row, node, s, path, conf, b->diags, b->pool, b->pool);
        }
    }
    if (conf_is(node, "LogFormat") && node->argc > 0) {
        try_format(node->argv[node->argc > 2], node->argc > 2, b->pool);
    }
}

static void walk(struct building *b, const struct conf_node *node, ins_server *s, void **section,
                 const char *path)
{
    for (; node; node = node->next) {
        if (!node->container) {
            apply(b, node, s, section, path);
        }
        else if (conf_is(node, "VirtualHost") && !s->is_virtual && has_numbers_alone(node)) {
            b->last = b->last->next = make_server(b->pool, true);
            http_app_add_host(b->app, b->last, node, b->diags);
            walk(b, node->children, b->last, NULL, NULL);
        }
        else if (node->argc > 0 && !conf_is(node, "VirtualHost")) {
            void **vector = apr_pcalloc(b->pool, sizeof(void *) * MODULES);

            vector[0] = core_module.create_location(b->pool, node->argv[0]);
            walk(b, node->children, s, vector, node->argv[0]);
            http_app_add_section(b->app, s,
                                 conf_is(node, "Location") ? HTTP_LOCATION : HTTP_LOCATION_MATCH,
                                 node->argv[0], vector, node, b->diags);
        }
    }
}

static void merge_hosts(ins_server *main_server, apr_pool_t *pool)
{
    for (ins_server *s = main_server->next; s; s = s->next) {
        s->module_config[0] =
            core_module.merge_server(pool, main_server->module_config[0], s->module_config[0]);
        s->lookup_defaults[0] = core_module.merge_location(pool, main_server->lookup_defaults[0],
                                                           s->lookup_defaults[0]);
    }
}

static void ask(struct http_app *app, char *line, apr_pool_t *pool)
{
    char *state;
    const char *method = strtok_r(line, " ", &state);
    const char *host = method ? strtok_r(NULL, " ", &state) : NULL;
    const char *path = host ? strtok_r(NULL, "", &state) : NULL;
    struct route_match match;
    ins_server *s;

    if (path == NULL || *path != '/') {
        return;
    }
    s = http_find_server(http_hosts(app, 0, NULL), host, strlen(host));
    (void)http_locate(app, s, path, pool);
    http_route(app, s, method, path, &match, pool);
    for (int i = 0; i < match.param_count; i++) {
        if (strlen(match.params[i].name) == 0 || match.params[i].value == NULL) {
            abort();
        }
    }
}

static void run(const char *config, size_t size, char *requests, apr_pool_t *pool)
{
    struct conf_options options = { .server_root = "/" };
    struct listener listener = { .id = 1 };
    const struct listener_set listeners = { 1, &listener };
    ins_server *main_server = make_server(pool, false);
    struct building b = { .last = main_server, .diags = diags_create(pool), .pool = pool };
    struct conf *conf;
    char *state;
    char *line = strtok_r(requests, "\n", &state);

    ((struct sockaddr_in *)(void *)&listener.addr)->sin_family = AF_INET;
    ((struct sockaddr_in *)(void *)&listener.addr)->sin_port = htons(80);
    core_module.index = 0;
    core_module.name = "core_module";
    fuzz_module.index = 1;
    fuzz_module.name = "fuzz_module";
    conf_read_text(&conf, &options, "fuzz", config, size, b.diags, pool);
    b.app = http_app_create(main_server, modules, MODULES, &listeners, pool);
    walk(&b, conf->root->children, main_server, NULL, NULL);
    merge_hosts(main_server, pool);
    http_app_finish(b.app, NULL, b.diags);
    for (int i = 0; line && i < REQUESTS_MAX; i++) {
        ask(b.app, line, pool);
        line = strtok_r(NULL, "\n", &state);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\0', size);
    size_t config_size = end ? (size_t)(end - data) : size;
    apr_pool_t *pool;
    char *requests;

    if (config_size > CONFIG_MAX || apr_initialize() != APR_SUCCESS ||
        apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 0;
    }
    requests = end ? apr_pstrmemdup(pool, (const char *)end + 1, size - config_size - 1)
                   : apr_pstrdup(pool, "");
    run((const char *)data, config_size, requests, pool);
    apr_pool_destroy(pool);
    return 0;
}
