/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request: taken from a list, begun with its head, run through
 * the phases and the handler, logged, and given back. Nothing here is
 * allocated per request but from the request's own pool, whose memory stays. */

#define LOG_PART "http"

#include "http/request_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"

enum {
    FREE_MAX = 512,          /* requests kept for the next burst */
    POOL_KEEPS = 256 * 1024, /* bytes a request's pool keeps when it is cleared */
    TABLE_SMALL = 4,
    TABLE_EXTRA = 4,
    CLIENT_MAX = 80
};

/* Of this process: one loop takes and gives. */
static struct {
    struct request *first;
    int count;
} free_list;

void request_complain(const struct request *q, const char *tag, ins_level level, const char *format,
                      ...)
{
    char client[CLIENT_MAX];
    va_list args;

    if (!log_enabled(LOG_PART, level)) {
        return;
    }
    snprintf(client, sizeof(client), "%s:%d", q->client_ip, q->conn.client_port);
    va_start(args, format);
    log_vline(http_server_conf(q->pub.server)->error_log_fd, tag, LOG_PART, level, client, format,
              args);
    va_end(args);
}

/* ---- Taking and giving ------------------------------------------------- */

static struct request *new_request(void)
{
    struct request *q = malloc(sizeof(*q));

    if (!q) {
        return NULL;
    }
    memset(&q->pub, 0, sizeof(q->pub));
    if (apr_allocator_create(&q->allocator) != APR_SUCCESS) {
        free(q);
        return NULL;
    }
    apr_allocator_max_free_set(q->allocator, POOL_KEEPS);
    if (apr_pool_create_unmanaged_ex(&q->pub.pool, NULL, q->allocator) != APR_SUCCESS) {
        apr_allocator_destroy(q->allocator);
        free(q);
        return NULL;
    }
    return q;
}

static void free_request(struct request *q)
{
    apr_pool_destroy(q->pub.pool);
    apr_allocator_destroy(q->allocator);
    free(q);
}

struct request *request_take(struct http_app *app)
{
    struct request *q = free_list.first;

    if (q) {
        free_list.first = q->next_free;
        free_list.count--;
    }
    else {
        q = new_request();
    }
    if (q) {
        q->app = app;
        h1_head_init(&q->head, q->fields, H1_FIELDS_MAX);
    }
    return q;
}

void request_give(struct request *q)
{
    if (free_list.count >= FREE_MAX) {
        free_request(q);
        return;
    }
    apr_pool_clear(q->pub.pool);
    q->next_free = free_list.first;
    free_list.first = q;
    free_list.count++;
}

/* ---- Beginning --------------------------------------------------------- */

static void reset(struct request *q)
{
    apr_pool_t *pool = q->pub.pool;

    memset(&q->pub, 0, sizeof(q->pub));
    q->pub.pool = pool;
    q->why = NULL;
    q->match.route = NULL;
    q->match.allow = NULL;
    q->match.param_count = 0;
    q->query = q->form = q->cookies = NULL;
    memset(&q->body, 0, sizeof(q->body));
    q->body.done = true;
    q->body_limit = 0;
    q->body_data = NULL;
    q->body_len = q->body_cap = q->body_read = 0;
    q->body_whole = true;
    q->expect_continue = false;
    q->body_status = INS_OK;
    q->discarded = 0;
    q->raw = q->pending = NULL;
    q->pending_len = 0;
    q->first = (struct body_piece){ NULL, 0, OUTPUT_FIRST, q->first_data };
    q->head_bytes = 0;
    q->head_sent = q->out_chunked = q->failed = q->pull_ended = q->trouble_logged = false;
    q->keep_alive = true;
    q->handler_result = INS_OK;
    output_reset(q);
}

static void make_tables(struct request *q)
{
    ins_request *r = &q->pub;

    r->headers_in = apr_table_make(r->pool, (int)q->head.field_count + TABLE_EXTRA);
    r->headers_out = apr_table_make(r->pool, TABLE_SMALL);
    r->err_headers_out = apr_table_make(r->pool, TABLE_SMALL);
    r->subprocess_env = apr_table_make(r->pool, TABLE_SMALL);
    r->notes = apr_table_make(r->pool, TABLE_SMALL);
    r->request_config = apr_pcalloc(r->pool, sizeof(void *) * (size_t)q->app->module_count);
}

static void choose_server(struct request *q, ins_server *s)
{
    q->pub.server = s;
    q->pub.per_dir_config = s->lookup_defaults;
}

/* What is known whatever came, so that a refusal can be answered and logged. */
static void open_request(struct request *q, const struct request_source *source,
                         const struct request_io *io, void *owner)
{
    ins_request *r = &q->pub;

    reset(q);
    q->io = io;
    q->owner = owner;
    r->status = 200;
    r->request_time = source->received;
    r->method = r->unparsed_uri = r->uri = r->the_request = "";
    r->protocol = "HTTP/1.1";
    r->proto_num = 1001;
    request_read_peer(q, source);
    choose_server(q, http_find_server(source->hosts, NULL, 0));
    make_tables(q);
}

static void read_head(struct request *q)
{
    ins_request *r = &q->pub;
    const struct h1_head *head = &q->head;

    r->the_request = head->request_line;
    r->method = apr_pstrmemdup(r->pool, head->method, head->method_len);
    r->header_only = head->method_len == 4 && memcmp(head->method, "HEAD", 4) == 0;
    r->proto_num = head->proto_num;
    r->protocol = head->proto_num == 1000 ? "HTTP/1.0" : "HTTP/1.1";
    for (unsigned n = 0; n < head->field_count; n++) {
        apr_table_addn(r->headers_in, head->fields[n].name, head->fields[n].value);
    }
}

/* r->hostname from host[:port]: lower case, no port, no final dot. */
static void read_hostname(struct request *q)
{
    size_t len = 0;
    char *name;

    if (!q->head.host || !h1_host_valid(q->head.host, q->head.host_len, &len)) {
        return;
    }
    if (len > 1 && q->head.host[len - 1] == '.') {
        len--;
    }
    if (len == 0) {
        return;
    }
    name = apr_palloc(q->pub.pool, len + 1);
    for (size_t n = 0; n < len; n++) {
        name[n] = http_lower(q->head.host[n]);
    }
    name[len] = '\0';
    q->pub.hostname = name;
}

static int misdirected(struct request *q, const char *why)
{
    q->why = why;
    return 421;
}

static int find_server(struct request *q, const struct request_source *source)
{
    const char *name;
    ins_server *s;

    read_hostname(q);
    if (q->head.scheme == H1_HTTPS && !source->secure) {
        return misdirected(q, "https target on a connection without TLS");
    }
    name = q->pub.hostname;
    if (!name) {
        return INS_OK;
    }
    s = http_find_server(source->hosts, name, strlen(name));
    if (source->sni_server && source->compatible && s != source->sni_server &&
        !source->compatible(source->sni_server, s)) {
        return misdirected(q, "Host asks for a server whose TLS settings are others");
    }
    choose_server(q, s);
    return INS_OK;
}

/* CONNECT is for proxies; a target of * has no path to look up. */
static int find_route(struct request *q)
{
    ins_request *r = &q->pub;

    if (q->head.form == H1_AUTHORITY) {
        q->why = "CONNECT is not offered";
        apr_table_setn(r->err_headers_out, "Allow", "GET, HEAD, OPTIONS");
        return 405;
    }
    if (*r->uri != '/') {
        return INS_OK;
    }
    r->per_dir_config = http_locate(q->app, r->server, r->uri, r->pool);
    http_route(q->app, r->server, r->method, r->uri, &q->match, r->pool);
    if (q->match.route) {
        r->handler = q->match.route->handler_name;
    }
    return INS_OK;
}

static int refused_head(struct request *q)
{
    size_t len = q->head.line_len;

    if (q->head.request_line) {
        q->pub.the_request = apr_pstrmemdup(q->pub.pool, q->head.request_line, len);
    }
    q->why = q->head.why;
    return q->head.status;
}

int request_begin(struct request *q, const struct request_source *source,
                  const struct request_io *io, void *owner)
{
    int status;

    open_request(q, source, io, owner);
    if (q->head.status) {
        return refused_head(q);
    }
    read_head(q);
    request_open_body(q);
    status = find_server(q, source);
    if (status == INS_OK) {
        status = request_read_target(q);
    }
    if (status == INS_OK) {
        status = find_route(q);
    }
    return status == INS_OK ? request_limit_body(q) : status;
}

/* ---- Running ----------------------------------------------------------- */

static bool goes_on(int result)
{
    return result == INS_OK || result == INS_DECLINED;
}

static int run_phase(struct request *q, ins_phase phase)
{
    const struct phase_hook *hook = q->app->hooks[phase];

    for (; hook && hook->run; hook++) {
        int result = hook->run(&q->pub);

        if (!goes_on(result)) {
            return result;
        }
    }
    return INS_OK;
}

/* The server's own answers where no route is. */
static int answer_unrouted(struct request *q)
{
    ins_request *r = &q->pub;
    const char *allow = q->match.allow;
    bool options = strcmp(r->method, "OPTIONS") == 0;

    if (options && *r->uri == '*') {
        allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    }
    if (!allow) {
        return 404;
    }
    apr_table_setn(r->err_headers_out, "Allow", allow);
    return options ? INS_OK : 405;
}

static int run_handler(struct request *q)
{
    const struct phase_hook *hook = q->app->hooks[INS_PHASE_handler];

    for (; hook && hook->run; hook++) {
        int result = hook->run(&q->pub);

        if (result != INS_DECLINED) {
            return result;
        }
    }
    return q->match.route ? q->match.route->handle(&q->pub) : answer_unrouted(q);
}

static int run(struct request *q)
{
    if (q->app->any_hooks) {
        for (int phase = 0; phase < INS_PHASE_handler; phase++) {
            int result = run_phase(q, (ins_phase)phase);

            if (result != INS_OK) {
                return result;
            }
        }
    }
    return run_handler(q);
}

void request_run(struct request *q)
{
    q->handler_result = run(q);
}

/* ---- The end ----------------------------------------------------------- */

void request_log(struct request *q, apr_time_t now)
{
    const struct phase_hook *hook = q->app->hooks[INS_PHASE_log_transaction];

    for (; hook && hook->run; hook++) {
        hook->run(&q->pub);
    }
    access_log_request(q, now);
}
