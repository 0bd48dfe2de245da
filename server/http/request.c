/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a request from its head to its log line: server, path, route;
 * then the phases and the handler. */

#define LOG_PART "http"

#include "http/request_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"

enum { CLIENT_MAX = 80 };

void request_complain(const struct request *q, const char *tag, ins_level level, const char *format,
                      ...)
{
    const struct log_host *host = &http_server_conf(q->pub.server)->log;
    char client[CLIENT_MAX];
    const struct log_about about = { client, q->pub.log_id };
    va_list args;

    if (!log_enabled_in(host->levels, LOG_PART, level)) {
        return;
    }
    snprintf(client, sizeof(client), "%s:%d", q->client_ip.text, q->conn.client_port);
    va_start(args, format);
    log_vline(host, tag, LOG_PART, level, &about, format, args);
    va_end(args);
}

/* ---- Beginning --------------------------------------------------------- */

static void choose_server(struct request *q, ins_server *s)
{
    q->pub.server = s;
    q->pub.per_dir_config = s->lookup_defaults;
}

/* What is known whatever came, so that a refusal can be answered and logged. */
static void open_request(struct request *q, const struct request_source *source,
                         const struct request_io *io, void *owner, const char *id)
{
    ins_request *r = &q->pub;

    request_reset(q);
    q->io = io;
    q->owner = owner;
    r->status = 200;
    r->request_time = source->received;
    r->log_id = id ? id : request_id_make(q->id);
    r->method = r->unparsed_uri = r->uri = r->the_request = "";
    r->protocol = "HTTP/1.1";
    r->proto_num = 1001;
    request_read_peer(q, source);
}

/* The method has no NUL behind it; the common ones need no copy. */
static const char *method_text(const struct request *q)
{
    static const char *const common[] = { "POST", "HEAD", "PUT", "DELETE", "OPTIONS" };
    const struct h1_head *head = &q->head;

    if (head->method_len == 3 && memcmp(head->method, "GET", 3) == 0) {
        return "GET";
    }
    for (size_t n = 0; n < sizeof(common) / sizeof(*common); n++) {
        if (strncmp(common[n], head->method, head->method_len) == 0 &&
            common[n][head->method_len] == '\0') {
            return common[n];
        }
    }
    return apr_pstrmemdup(q->pub.pool, head->method, head->method_len);
}

static void read_method(struct request *q)
{
    q->pub.method = method_text(q);
    q->pub.header_only = strcmp(q->pub.method, "HEAD") == 0;
}

static void read_head(struct request *q)
{
    ins_request *r = &q->pub;
    const struct h1_head *head = &q->head;

    r->the_request = head->request_line;
    read_method(q);
    r->proto_num = head->proto_num;
    r->protocol = head->proto_num == 1000 ? "HTTP/1.0" : "HTTP/1.1";
    for (unsigned n = 0; n < head->field_count; n++) {
        apr_table_addn(r->headers_in, head->fields[n].name, head->fields[n].value);
    }
    if (head->form == H1_ABSOLUTE) {
        /* The target's host counts, whatever Host says (RFC 9112, 3.2.2). */
        apr_table_setn(r->headers_in, "Host", apr_pstrmemdup(r->pool, head->host, head->host_len));
    }
}

/* r->hostname: lower case, no port, no final dot. Its length, 0: there is none. */
static size_t read_hostname(struct request *q)
{
    size_t len = q->head.host ? q->head.host_name_len : 0;
    char *name;

    if (len > 1 && q->head.host[len - 1] == '.') {
        len--;
    }
    if (len == 0) {
        return 0;
    }
    name = apr_palloc(q->pub.pool, len + 1);
    for (size_t n = 0; n < len; n++) {
        name[n] = http_lower(q->head.host[n]);
    }
    name[len] = '\0';
    q->pub.hostname = name;
    return len;
}

static int find_server(struct request *q, const struct request_source *source)
{
    size_t len = read_hostname(q);
    ins_server *s = http_find_server(source->hosts, q->pub.hostname, len);

    choose_server(q, s);
    if (q->head.scheme == H1_HTTPS && !source->secure) {
        q->why = "https target on a connection without TLS";
        return 421;
    }
    if (len > 0 && source->sni_server && source->compatible && s != source->sni_server &&
        !source->compatible(source->sni_server, s)) {
        choose_server(q, source->sni_server);
        q->why = "Host asks for a server whose TLS settings are others";
        return 421;
    }
    return INS_OK;
}

/* Does it ask for a WebSocket? The handshake is checked later, and answered in words. */
static bool wants_socket(const struct request *q)
{
    const char *list;

    if (!q->head.upgrade || strcmp(q->pub.method, "GET") != 0) {
        return false;
    }
    list = apr_table_get(q->pub.headers_in, "Upgrade");
    while (list && *list) {
        size_t len;

        list += strspn(list, ", \t");
        len = strcspn(list, ", \t");
        if (http_same_word(list, len, "websocket")) {
            return true;
        }
        list += len;
    }
    return false;
}

static void look_up_route(struct request *q)
{
    ins_request *r = &q->pub;
    /* WS stands in Route lines and is no method that a client may send */
    const char *method = strcmp(r->method, HTTP_ROUTE_WS) == 0 ? "" : r->method;

    q->match.route = NULL;
    if (wants_socket(q)) {
        http_route(q->app, r->server, HTTP_ROUTE_WS, r->uri, &q->match, r->pool);
    }
    if (q->match.route == NULL) {
        http_route(q->app, r->server, method, r->uri, &q->match, r->pool);
    }
    if (q->match.route) {
        r->handler = q->match.route->handler_name;
    }
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
    look_up_route(q);
    return INS_OK;
}

static void take_place(struct request *q, const struct request_place *place)
{
    q->pub.per_dir_config = place->per_dir_config;
    q->pub.handler = place->route ? place->route->handler_name : NULL;
    q->match.route = place->route;
    q->match.param_count = place->param_count;
    for (int n = 0; n < place->param_count; n++) {
        q->match.params[n] = place->params[n];
    }
}

static int refused_head(struct request *q)
{
    size_t len = q->head.line_len;

    if (q->head.request_line) {
        q->pub.the_request = apr_pstrmemdup(q->pub.pool, q->head.request_line, len);
    }
    if (q->head.method) {
        read_method(q);
    }
    q->why = q->head.why;
    return q->head.status;
}

int request_begin_at(struct request *q, const struct request_source *source,
                     const struct request_io *io, void *owner, const struct request_place *place)
{
    int status;

    open_request(q, source, io, owner, place ? place->id : NULL);
    if (q->head.status) {
        choose_server(q, http_find_server(source->hosts, NULL, 0));
        request_id_tell(q);
        return refused_head(q);
    }
    read_head(q);
    status = find_server(q, source);
    request_id_tell(q);
    request_open_body(q);
    if (status == INS_OK) {
        status = request_read_target(q);
    }
    if (status == INS_OK && place) {
        take_place(q, place);
    }
    else if (status == INS_OK) {
        status = find_route(q);
    }
    return status == INS_OK ? request_limit_body(q) : status;
}

int request_begin(struct request *q, const struct request_source *source,
                  const struct request_io *io, void *owner)
{
    return request_begin_at(q, source, io, owner, NULL);
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
    if (q->match.upgrade && (strcmp(r->method, "GET") == 0 || r->header_only)) {
        apr_table_setn(r->err_headers_out, "Upgrade", "websocket");
        return 426;
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
    if (!q->match.route) {
        return answer_unrouted(q);
    }
    return q->match.route->socket ? q->io->upgrade(q) : q->match.route->handle(&q->pub);
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
