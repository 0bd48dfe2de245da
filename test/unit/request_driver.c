/* SPDX-License-Identifier: Apache-2.0 */
/* The calls a worker makes, in its order; see http/request.h. */
#include "request_driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/core_directives.h"
#include "http/request.h"
#include "util/check.h"

enum { MODULES = 2, OUT_ROOM = 4096, PULL_ROOM = 1000 };

static struct listener only_listener = { .id = 1, .fd = -1, .name = "0.0.0.0:80" };
static struct listener_set listeners = { 1, &only_listener };

/* ---- The app ------------------------------------------------------------ */

struct building {
    struct http_app *app;
    ins_module *modules[MODULES];
    ins_server *last;
    struct diags *diags;
    apr_pool_t *pool;
};

static void **new_configs(struct building *b, const char *path)
{
    void **configs = apr_pcalloc(b->pool, sizeof(void *) * MODULES);

    for (int n = 0; n < MODULES; n++) {
        if (b->modules[n]->create_location) {
            configs[n] = b->modules[n]->create_location(b->pool, path);
        }
    }
    return configs;
}

static ins_server *new_server(struct building *b, bool is_virtual)
{
    ins_server *s = apr_pcalloc(b->pool, sizeof(*s));

    s->is_virtual = is_virtual;
    s->module_config = apr_pcalloc(b->pool, sizeof(void *) * MODULES);
    for (int n = 0; n < MODULES; n++) {
        if (b->modules[n]->create_server) {
            s->module_config[n] = b->modules[n]->create_server(b->pool, s);
        }
    }
    s->lookup_defaults = new_configs(b, NULL);
    if (b->last) {
        b->last->next = s;
    }
    b->last = s;
    return s;
}

static void apply(struct building *b, const struct conf_node *node, ins_server *s,
                  const char *location, void **configs)
{
    const ins_directive *row = core_directives;

    while (row->name && !conf_is(node, row->name)) {
        row++;
    }
    if (!row->name) {
        return; /* the master's */
    }
    conf_apply(row, node, s, location,
               row->where & INS_IN_LOCATION ? configs[0] : s->module_config[0], b->diags, b->pool,
               b->pool);
}

static void walk(struct building *b, const struct conf_node *node, ins_server *s)
{
    for (; node; node = node->next) {
        if (conf_is(node, "VirtualHost")) {
            ins_server *host = new_server(b, true);

            http_app_add_host(b->app, host, node, b->diags);
            walk(b, node->children, host);
        }
        else if (conf_is(node, "Location")) {
            void **configs = new_configs(b, node->argv[0]);

            for (const struct conf_node *in = node->children; in; in = in->next) {
                apply(b, in, s, node->argv[0], configs);
            }
            http_app_add_section(b->app, s, HTTP_LOCATION, node->argv[0], configs, node, b->diags);
        }
        else {
            apply(b, node, s, NULL, s->lookup_defaults);
        }
    }
}

static void merge(struct building *b, ins_server *base)
{
    for (ins_server *s = base->next; s; s = s->next) {
        for (int n = 0; n < MODULES; n++) {
            const ins_module *m = b->modules[n];

            if (m->merge_server) {
                s->module_config[n] =
                    m->merge_server(b->pool, base->module_config[n], s->module_config[n]);
            }
            if (m->merge_location) {
                s->lookup_defaults[n] =
                    m->merge_location(b->pool, base->lookup_defaults[n], s->lookup_defaults[n]);
            }
        }
    }
}

struct http_app *driver_app(const char *text, ins_module *module, apr_pool_t *pool)
{
    struct conf_options options = { .server_root = "/srv" };
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(80) };
    struct building *b = apr_pcalloc(pool, sizeof(*b));
    ins_server *main_server;
    struct conf *conf;

    memcpy(&only_listener.addr, &addr, sizeof(addr));
    only_listener.addr_len = sizeof(addr);
    b->pool = pool;
    b->diags = diags_create(pool);
    b->modules[0] = &core_module;
    b->modules[1] = module;
    core_module.index = 0;
    core_module.name = "core_module";
    module->index = 1;
    module->name = "test_module";
    main_server = new_server(b, false);
    text = apr_pstrcat(pool, text, "Listen 80\n", NULL);
    conf_read_text(&conf, &options, "test", text, strlen(text), b->diags, pool);
    b->app = http_app_create(main_server, b->modules, MODULES, &listeners, pool);
    walk(b, conf->root->children, main_server);
    merge(b, main_server);
    http_app_finish(b->app, NULL, b->diags);
    if (b->diags->errors > 0) {
        (void)fputs(diags_text(b->diags, false, pool), stderr);
        return NULL;
    }
    return b->app;
}

/* ---- The wire ------------------------------------------------------------ */

static void put(struct driver *d, const char *data, size_t len)
{
    if (d->out_len + len >= d->out_cap) {
        d->out_cap = (d->out_len + len + 1) * 2;
        d->out = realloc(d->out, d->out_cap);
        INS_CHECK(d->out);
    }
    memcpy(d->out + d->out_len, data, len);
    d->out_len += len;
    d->out[d->out_len] = '\0';
}

/* More bytes arrive; false at the end of the input. */
static bool arrive(struct driver *d)
{
    size_t left = d->in_len - d->in_come;

    if (left == 0) {
        return false;
    }
    d->in_come += d->step && d->step < left ? d->step : left;
    return true;
}

static void will_block(struct request *q)
{
    struct driver *d = q->owner;

    d->blocked = true;
}

static int64_t receive(struct request *q, void *buf, size_t size)
{
    struct driver *d = q->owner;
    size_t n;

    if (d->in_at == d->in_come && !arrive(d)) {
        errno = ETIMEDOUT;
        return d->timed_out ? -1 : 0;
    }
    n = d->in_come - d->in_at < size ? d->in_come - d->in_at : size;
    memcpy(buf, d->in + d->in_at, n);
    d->in_at += n;
    return (int64_t)n;
}

static int send_bytes(struct request *q, const struct iovec *iov, int count)
{
    struct driver *d = q->owner;

    if (d->vanished) {
        return -1;
    }
    for (int n = 0; n < count; n++) {
        put(d, iov[n].iov_base, iov[n].iov_len);
    }
    return 0;
}

static const struct request_io io = { .will_block = will_block,
                                      .receive = receive,
                                      .send = send_bytes };

/* ---- One request --------------------------------------------------------- */

static bool read_head(struct driver *d, struct request *q, const struct h1_limits *limits)
{
    enum h1_outcome outcome;

    do {
        outcome = h1_parse_head(&q->head, d->in + d->in_at, d->in_come - d->in_at, limits);
    } while (outcome == H1_MORE && arrive(d));
    return outcome != H1_MORE;
}

/* False: refused. */
static bool read_body(struct driver *d, struct request *q)
{
    enum h1_outcome outcome;

    if (request_owes_continue(q)) {
        put(d, REQUEST_CONTINUE, sizeof(REQUEST_CONTINUE) - 1);
        q->expect_continue = false;
    }
    for (;;) {
        size_t used = 0;

        outcome = request_feed(q, d->in + d->in_at, d->in_come - d->in_at, &used);
        d->in_at += used;
        if (outcome == H1_REFUSED) {
            request_refuse(q, q->body_status, NULL);
        }
        if (outcome != H1_MORE) {
            return outcome == H1_COMPLETE;
        }
        if (!arrive(d)) {
            request_refuse(q, 408, "no more of the body");
            return false;
        }
    }
}

static void put_pieces(struct driver *d, struct request *q)
{
    for (struct body_piece *piece = &q->first; piece; piece = piece->next) {
        put(d, piece->data, piece->len);
    }
}

static void answer(struct driver *d, struct request *q)
{
    char head_room[OUT_ROOM], room[PULL_ROOM];
    const char *head, *unread;
    size_t len, unread_len;
    int64_t n = 1;

    unread = request_unread(q, &unread_len);
    if (unread_len > 0) {
        INS_CHECK(memcmp(d->in + d->in_at - unread_len, unread, unread_len) == 0);
        d->in_at -= unread_len;
    }
    len = request_answer(q, d->draining, head_room, sizeof(head_room), &head);
    put(d, head, len);
    put_pieces(d, q);
    while (n > 0 && q->next && !q->failed) {
        n = request_pull(q, room, sizeof(room));
        put(d, room, n > 0 ? (size_t)n : 0);
    }
}

static bool discard(struct driver *d, struct request *q)
{
    while (!q->body.done) {
        size_t used;

        if (request_discard(q, d->in + d->in_at, d->in_come - d->in_at, &used) == H1_REFUSED) {
            return false;
        }
        d->in_at += used;
        if (!q->body.done && !arrive(d)) {
            return false;
        }
    }
    return true;
}

static bool compatible(const ins_server *sni, const ins_server *host)
{
    return sni == host;
}

static int begin(struct driver *d, struct request *q)
{
    struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(40000) };
    struct request_source source = { .peer = (struct sockaddr *)&peer,
                                     .hosts = http_hosts(d->app, 0, (struct sockaddr *)&peer),
                                     .compatible = compatible,
                                     .secure = d->sni != NULL,
                                     .keepalives = d->requests,
                                     .id = 1 };

    inet_pton(AF_INET, "192.0.2.7", &peer.sin_addr);
    if (d->sni) {
        source.sni_server = http_find_server(source.hosts, d->sni, strlen(d->sni));
    }
    return request_begin(q, &source, &io, d);
}

static bool one_request(struct driver *d)
{
    struct request *q = request_take(d->app);
    bool go_on = false;
    int status;

    if (read_head(d, q, &http_server_conf(d->app->servers)->limits)) {
        d->in_at += q->head.length;
        status = begin(d, q);
        if (status != INS_OK) {
            request_refuse(q, status, NULL);
        }
        else if (request_ready(q) || read_body(d, q)) {
            request_run(q);
        }
        answer(d, q);
        request_log(q, 0);
        d->requests++;
        d->closed = !q->keep_alive || q->failed;
        go_on = !d->closed && discard(d, q);
    }
    request_give(q);
    return go_on;
}

void driver_serve(struct driver *d, const char *input, size_t len)
{
    d->in = malloc(len + 1);
    INS_CHECK(d->in);
    memcpy(d->in, input, len);
    d->in_len = len;
    d->in_come = d->in_at = 0;
    put(d, "", 0);
    (void)arrive(d);
    while (d->in_at < d->in_len && one_request(d)) {
    }
    free(d->in);
}

void driver_free(struct driver *d)
{
    free(d->out);
    d->out = NULL;
    d->out_len = d->out_cap = 0;
}
