/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests of the tests are answered by. */
#include "request_module.h"

#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_tables.h>

#include "request_driver.h"
#include "util/log.h"

static int hello(ins_request *r)
{
    const char *name = ins_param(r, "name");

    ins_set_type(r, "text/plain");
    ins_printf(r, "Hello, %s!\n", name ? name : "all");
    return INS_OK;
}

static int echo(ins_request *r)
{
    size_t len;
    const char *body = ins_body(r, 1000000, &len);

    if (!body) {
        return ins_body_status(r);
    }
    ins_set_length(r, (int64_t)len);
    ins_write(r, body, len);
    return INS_OK;
}

static int slurp(ins_request *r)
{
    char buf[700];
    int64_t n, sum = 0;

    while ((n = ins_read(r, buf, sizeof(buf))) > 0) {
        sum += n;
    }
    if (n < 0) {
        return ins_body_status(r);
    }
    ins_printf(r, "%lld", (long long)sum);
    return INS_OK;
}

static int64_t number(ins_request *r, const char *name, int64_t other)
{
    const char *text = ins_query(r, name);

    return text ? atoll(text) : other;
}

/* ?n=BYTES&piece=BYTES&length=DECLARED&flush=1 */
static int big(ins_request *r)
{
    int64_t left = number(r, "n", 10), piece = number(r, "piece", 10);
    char *text = ins_alloc(r, (size_t)piece + 1);

    memset(text, 'x', (size_t)piece);
    ins_set_length(r, number(r, "length", -1));
    while (left > 0) {
        size_t now = (size_t)(left < piece ? left : piece);

        if (ins_write(r, text, now) != 0) {
            return INS_OK;
        }
        if (number(r, "flush", 0) && ins_flush(r) != 0) {
            return INS_OK;
        }
        left -= (int64_t)now;
    }
    return (int)number(r, "result", INS_OK);
}

static int64_t next(ins_request *r, void *state, char *buf, size_t size)
{
    int64_t *left = state, n = *left < (int64_t)size ? *left : (int64_t)size;

    if (n == 0) {
        return number(r, "end", 0);
    }
    memset(buf, 'y', (size_t)n);
    *left -= n;
    return n;
}

static int stream(ins_request *r)
{
    int64_t *left = ins_alloc(r, sizeof(*left));

    *left = number(r, "n", 10);
    ins_set_length(r, number(r, "length", -1));
    if (number(r, "before", 0)) {
        ins_puts(r, "before,");
    }
    if (number(r, "flush", 0)) {
        ins_flush(r);
    }
    return ins_stream(r, next, left);
}

static int result(ins_request *r)
{
    ins_set_status(r, (int)number(r, "set", 200));
    if (ins_query(r, "write")) {
        ins_puts(r, ins_query(r, "write"));
    }
    return (int)number(r, "return", INS_OK);
}

static int forbid(ins_request *r)
{
    ins_puts(r, "never seen");
    ins_set_header(r, "X-Dropped", "y");
    apr_table_set(r->err_headers_out, "X-Kept", "y");
    return ins_error(r, 403, "<no> & \"never\"");
}

static int fields(ins_request *r)
{
    ins_set_header(r, "X-One", "1");
    ins_set_header(r, "x-one", "2");
    ins_add_header(r, "X-Two", "1");
    ins_add_header(r, "X-Two", "2");
    ins_set_header(r, "X-Evil", "a\r\nSet-Cookie: evil=1");
    ins_set_header(r, "X Evil", "a");
    ins_set_header(r, "X-Evil:", "a");
    ins_set_header(r, "", "a");
    ins_set_type(r, "text/x\nX-Evil: y");
    apr_table_setn(r->headers_out, "X-Evil-Table", "a\nb");
    apr_table_setn(r->headers_out, "Transfer-Encoding", "chunked");
    apr_table_setn(r->headers_out, "Server", "mine");
    ins_set_header(r, "Content-Type", "text/y");
    return INS_OK;
}

static int cookies(ins_request *r)
{
    static const ins_cookie_options all = { "/x", "example.com", "Strict", 60, 1, 1 };
    const char *a = ins_cookie(r, "a"), *b = ins_cookie(r, "b");

    ins_set_cookie(r, "plain", "v", NULL);
    ins_set_cookie(r, "all", "", &all);
    ins_set_cookie(r, "evil", "a;b", NULL);
    ins_set_cookie(r, "e=vil", "a", NULL);
    ins_printf(r, "%s,%s", a ? a : "-", b ? b : "-");
    return INS_OK;
}

static int redirect(ins_request *r)
{
    return ins_redirect(r, (int)number(r, "status", 302), ins_query(r, "to"));
}

static int print_pair(void *ctx, const char *name, const char *value)
{
    ins_printf(ctx, "[%s=%s]", name, value);
    return strcmp(name, "stop") != 0;
}

static int form(ins_request *r)
{
    ins_query_each(r, print_pair, r);
    ins_puts(r, "|");
    ins_form_each(r, print_pair, r);
    return ins_body_status(r);
}

static int facts(ins_request *r)
{
    const char *header = ins_header(r, "X-Many"), *mode = ins_query(r, "mode");

    if (mode) {
        ins_set_header(r, "Connection", mode);
    }
    ins_printf(r, "%s %s %s %d|%s|%s|%s|%s|%s:%d|%lld|%s|%s", r->method, r->protocol,
               r->hostname ? r->hostname : "-", r->proto_num, r->the_request, r->unparsed_uri,
               r->uri, r->args ? r->args : "-", r->connection->client_ip,
               r->connection->client_port, (long long)r->clength, header ? header : "-",
               r->server->server_hostname ? r->server->server_hostname : "-");
    return INS_OK;
}

static int decline(ins_request *r)
{
    (void)r;
    return INS_DECLINED;
}

/* A hook that answers where the query asks it to. */
static int access_hook(ins_request *r)
{
    const char *how = ins_query(r, "hook");

    if (how && strcmp(how, "done") == 0) {
        ins_puts(r, "by the hook");
        return INS_DONE;
    }
    return how ? atoi(how) : INS_DECLINED;
}

static int handler_hook(ins_request *r)
{
    if (strcmp(r->uri, "/hooked") != 0) {
        return INS_DECLINED;
    }
    ins_puts(r, "hooked");
    return INS_OK;
}

static const ins_handler handlers[] = {
    { "hello", hello },       { "echo", echo },
    { "slurp", slurp },       { "big", big },
    { "stream", stream },     { "result", result },
    { "fail", forbid },       { "fields", fields },
    { "cookies", cookies },   { "form", form },
    { "redirect", redirect }, { "facts", facts },
    { "decline", decline },   { 0 },
};
static const ins_hook hooks[] = {
    INS_HOOK(access_checker, access_hook, INS_MIDDLE),
    INS_HOOK(handler, handler_hook, INS_MIDDLE),
    { 0 },
};
ins_module plain_module = { INS_MODULE_HEADER, .handlers = handlers };
ins_module hook_module = { INS_MODULE_HEADER, .handlers = handlers, .hooks = hooks };

const char request_config[] = "ServerName main.example\n"
                              "ServerTokens Prod\n"
                              "MaxKeepAliveRequests 50\n"
                              "Route GET /hello/{name} hello\n"
                              "Route GET|POST / hello\n"
                              "Route POST /echo echo\n"
                              "Route POST /slurp slurp\n"
                              "Route GET|POST /big big\n"
                              "Route GET /stream stream\n"
                              "Route GET|POST /result result\n"
                              "Route GET /fail fail\n"
                              "Route GET /fields fields\n"
                              "Route GET /cookies cookies\n"
                              "Route GET|POST /form form\n"
                              "Route GET /redirect redirect\n"
                              "Route GET /facts facts\n"
                              "Route GET /facts/{path...} facts\n"
                              "Route GET /decline decline\n"
                              "Route POST /small/echo echo\n"
                              "Route POST /small/slurp slurp\n"
                              "Route POST /medium/echo echo\n"
                              "Route POST /medium/slurp slurp\n"
                              "<Location /medium>\nLimitRequestBody 100000\n</Location>\n"
                              "<Location /small>\nLimitRequestBody 10\n</Location>\n"
                              "<VirtualHost *>\nServerName first.example\n</VirtualHost>\n"
                              "<VirtualHost *>\nServerName other.example\nKeepAlive Off\n"
                              "</VirtualHost>\n";

struct http_app *plain_app, *hook_app;

int request_module_setup(void **state)
{
    apr_pool_t *pool;

    apr_initialize();
    log_set_level(INS_EMERG);
    apr_pool_create(&pool, NULL);
    *state = pool;
    plain_app = driver_app(request_config, &plain_module, pool);
    hook_app = driver_app(request_config, &hook_module, pool);
    return plain_app && hook_app ? 0 : -1;
}

int request_module_teardown(void **state)
{
    apr_pool_destroy(*state);
    return 0;
}
