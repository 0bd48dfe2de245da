/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a config's text to core_module and the test's modules, as a generation
 * does, without loading anything. */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "config/conf.h"

int http_setup(void **state)
{
    apr_pool_t *pool;

    assert_int_equal(apr_initialize(), APR_SUCCESS);
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    *state = pool;
    return 0;
}

int http_teardown(void **state)
{
    apr_pool_destroy(*state);
    apr_terminate();
    return 0;
}

const struct sockaddr *http_sockaddr(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
    char host[64] = "";
    int port = 0;

    memset(out, 0, sizeof(*out));
    if (strncmp(text, "unix:", 5) == 0) {
        out->ss_family = AF_UNIX;
        *len = sizeof(struct sockaddr_un);
    }
    else if (sscanf(text, "[%63[^]]]:%d", host, &port) == 2) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        assert_int_equal(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
        *len = sizeof(*in6);
    }
    else {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;

        assert_int_equal(sscanf(text, "%63[^:]:%d", host, &port), 2);
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
        *len = sizeof(*in);
    }
    return (const struct sockaddr *)(const void *)out;
}

static const struct listener_set *make_listeners(const char *text, apr_pool_t *pool)
{
    struct listener_set *set = apr_pcalloc(pool, sizeof(*set));
    char *copy = apr_pstrdup(pool, text);
    char *state;

    set->list = apr_pcalloc(pool, 16 * sizeof(struct listener));
    for (char *word = apr_strtok(copy, " ", &state); word; word = apr_strtok(NULL, " ", &state)) {
        struct listener *listener = &set->list[set->count++];

        (void)http_sockaddr(word, &listener->addr, &listener->addr_len);
    }
    return set;
}

struct building {
    struct http_case result;
    ins_module **modules;
    int count;
    ins_server *last;
    apr_pool_t *pool;
    const struct log_set *logs;
};

static void **make_vector(struct building *b)
{
    return apr_pcalloc(b->pool, (size_t)b->count * sizeof(void *));
}

static ins_server *make_server(struct building *b, const struct conf_node *node)
{
    ins_server *s = apr_pcalloc(b->pool, sizeof(*s));

    s->is_virtual = node != NULL;
    s->defn_name = node ? node->file->path : "test";
    s->defn_line_number = node ? node->line : 0;
    s->module_config = make_vector(b);
    s->lookup_defaults = make_vector(b);
    for (int i = 0; i < b->count; i++) {
        const ins_module *m = b->modules[i];

        s->module_config[i] = m->create_server ? m->create_server(b->pool, s) : NULL;
        s->lookup_defaults[i] = m->create_location ? m->create_location(b->pool, NULL) : NULL;
    }
    return s;
}

static const ins_directive *find_row(struct building *b, const struct conf_node *node, int *index)
{
    for (int i = 0; i < b->count; i++) {
        const ins_directive *row = b->modules[i]->directives;

        for (; row && row->name; row++) {
            if (conf_is(node, row->name)) {
                *index = i;
                return row;
            }
        }
    }
    return NULL;
}

static void apply(struct building *b, const struct conf_node *node, ins_server *s, void **section,
                  const char *path)
{
    int index = 0;
    const ins_directive *row = find_row(b, node, &index);
    void *conf;

    if (row == NULL) {
        fail_msg("line %u: unknown directive %s", node->line, node->name);
        return;
    }
    if (!(row->where & INS_IN_LOCATION)) {
        conf = s->module_config[index];
    }
    else if (section) {
        if (section[index] == NULL) {
            section[index] = b->modules[index]->create_location(b->pool, path);
        }
        conf = section[index];
    }
    else {
        conf = s->lookup_defaults[index];
    }
    conf_apply(row, node, s, path, conf, b->result.diags, b->pool, b->pool);
}

static void walk(struct building *b, const struct conf_node *node, ins_server *s, void **section,
                 const char *path);

static void open_container(struct building *b, const struct conf_node *node, ins_server *s)
{
    if (conf_is(node, "VirtualHost")) {
        ins_server *host = make_server(b, node);

        b->last = b->last->next = host;
        walk(b, node->children, host, NULL, NULL);
        http_app_add_host(b->result.app, host, node, b->result.diags);
    }
    else {
        void **section = make_vector(b);

        walk(b, node->children, s, section, node->argv[0]);
        http_app_add_section(b->result.app, s,
                             conf_is(node, "Location") ? HTTP_LOCATION : HTTP_LOCATION_MATCH,
                             node->argv[0], section, node, b->result.diags);
    }
}

static void walk(struct building *b, const struct conf_node *node, ins_server *s, void **section,
                 const char *path)
{
    for (; node; node = node->next) {
        if (node->applied) {
            continue;
        }
        if (node->container) {
            open_container(b, node, s);
        }
        else {
            apply(b, node, s, section, path);
        }
    }
}

static void *merge(struct building *b, void *(*fn)(apr_pool_t *, void *, void *), void *base,
                   void *over)
{
    return fn && base && over ? fn(b->pool, base, over) : over ? over : base;
}

static void merge_hosts(struct building *b)
{
    const ins_server *main_server = b->result.main_server;

    for (ins_server *s = main_server->next; s; s = s->next) {
        for (int i = 0; i < b->count; i++) {
            const ins_module *m = b->modules[i];

            s->module_config[i] =
                merge(b, m->merge_server, main_server->module_config[i], s->module_config[i]);
            s->lookup_defaults[i] =
                merge(b, m->merge_location, main_server->lookup_defaults[i], s->lookup_defaults[i]);
        }
    }
}

static apr_time_t cpu_time(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (apr_time_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct http_case http_text(apr_pool_t *pool, const char *text, const char *listeners,
                           ins_module *const modules[], const struct log_set *logs)
{
    struct building b = { .pool = pool, .logs = logs };
    struct conf_options options = { .server_root = "/srv" };
    struct conf *conf;
    apr_time_t start;

    b.result.diags = diags_create(pool);
    while (modules && modules[b.count]) {
        b.count++;
    }
    b.count++;
    b.modules = apr_pcalloc(pool, (size_t)b.count * sizeof(ins_module *));
    b.modules[0] = &core_module;
    for (int i = 0; i < b.count; i++) {
        b.modules[i] = i ? modules[i - 1] : &core_module;
        b.modules[i]->index = i;
    }
    core_module.name = "core_module";
    text = apr_pstrcat(pool, text, "\nListen 8080\n", NULL);
    conf_read_text(&conf, &options, "test", text, strlen(text), b.result.diags, pool);
    b.result.main_server = b.last = make_server(&b, NULL);
    b.result.app = http_app_create(b.result.main_server, b.modules, b.count,
                                   listeners ? make_listeners(listeners, pool) : NULL, pool);
    start = cpu_time();
    walk(&b, conf->root->children, b.result.main_server, NULL, NULL);
    merge_hosts(&b);
    b.result.apply_time = cpu_time() - start;
    start = cpu_time();
    http_app_finish(b.result.app, logs, b.result.diags);
    b.result.finish_time = cpu_time() - start;
    return b.result;
}

const char *http_words(const struct diags *diags, apr_pool_t *pool)
{
    const char *out = "";

    for (const struct diag *d = diags->first; d; d = d->next) {
        out = apr_psprintf(pool, "%s%u: %s\n", out, d->line, d->message);
    }
    return out;
}

struct http_case http_good(apr_pool_t *pool, const char *text, const char *listeners,
                           ins_module *const modules[], const struct log_set *logs)
{
    struct http_case result = http_text(pool, text, listeners, modules, logs);

    assert_string_equal(http_words(result.diags, pool), "");
    return result;
}
