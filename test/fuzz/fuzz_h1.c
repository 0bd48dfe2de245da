/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's bytes, whatever they are: heads, bodies, targets, forms. Nothing
 * may break, answers must look like answers, and how the bytes were cut must not show in them. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#include "../unit/request_driver.h"
#include "http/request.h"
#include "util/check.h"
#include "util/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096 };

static const char config[] = "MaxKeepAliveRequests 20\n"
                             "LimitRequestLine 300\n"
                             "LimitRequestFieldSize 300\n"
                             "LimitRequestFields 10\n"
                             "LimitRequestBody 0\n"
                             "Route GET / echo\n"
                             "Route GET|POST /echo/{path...} echo\n"
                             "Route POST /slurp slurp\n"
                             "Route GET|POST /form/{a}/{b:[0-9]+} form\n"
                             "<VirtualHost *>\nServerName a\n</VirtualHost>\n"
                             "<VirtualHost *>\nServerName b\n</VirtualHost>\n";

static int echo(ins_request *r)
{
    size_t len;
    const char *body = ins_body(r, 2000, &len), *path = ins_param(r, "path");

    if (!body) {
        return ins_body_status(r);
    }
    ins_set_header(r, "X-Path", path ? path : "");
    ins_set_type(r, ins_header(r, "Accept") ? ins_header(r, "Accept") : "text/plain");
    ins_write(r, body, len);
    return ins_query(r, "flush") ? ins_flush(r) : INS_OK;
}

static int slurp(ins_request *r)
{
    char buf[7];
    int64_t n;

    while ((n = ins_read(r, buf, sizeof(buf))) > 0) {
        ins_write(r, buf, (size_t)n);
    }
    return ins_body_status(r);
}

static int show(void *ctx, const char *name, const char *value)
{
    ins_printf(ctx, "%s=%s;", name, value);
    return 1;
}

static int form(ins_request *r)
{
    const char *to = ins_query(r, "to"), *cookie = ins_cookie(r, "c");

    ins_query_each(r, show, r);
    ins_form_each(r, show, r);
    if (cookie) {
        ins_set_cookie(r, "c", cookie, NULL);
    }
    if (to) {
        return ins_redirect(r, 302, to);
    }
    return ins_query(r, "e") ? ins_error(r, 404, ins_query(r, "e")) : INS_OK;
}

static const ins_handler handlers[] = {
    { "echo", echo }, { "slurp", slurp }, { "form", form }, { 0 }
};
static ins_module module = { INS_MODULE_HEADER, .handlers = handlers };

static apr_pool_t *pool;
static struct http_app *app;

static void destroy(void)
{
    apr_pool_destroy(pool);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    apr_initialize();
    log_set_level(INS_EMERG);
    apr_pool_create(&pool, NULL);
    app = driver_app(config, &module, pool);
    INS_CHECK(app);
    return atexit(destroy);
}

/* Real ones: a body that comes back may hold something that only begins like one. */
static void drop_dates(char *text)
{
    char *date = text;

    while ((date = strstr(date, "\r\nDate: ")) != NULL) {
        if (strnlen(date, 37) == 37 && memcmp(date + 33, " GMT", 4) == 0) {
            memmove(date, date + 37, strlen(date + 37) + 1);
        }
        else {
            date += 8;
        }
    }
}

/* Answers have no NUL in them here unless a body brought one. */
static bool comparable(const struct driver *d)
{
    return strlen(d->out) == d->out_len && !strstr(d->out, " 100 Continue");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct driver whole = { .app = app }, cut = { .app = app, .step = 1 };

    if (size > INPUT_MAX) {
        return -1;
    }
    driver_serve(&whole, (const char *)data, size);
    driver_serve(&cut, (const char *)data, size);
    INS_CHECK(whole.out_len == 0 || memcmp(whole.out, "HTTP/1.1 ", 9) == 0);
    if (comparable(&whole) && comparable(&cut)) {
        drop_dates(whole.out);
        drop_dates(cut.out);
        INS_CHECK(strcmp(whole.out, cut.out) == 0);
    }
    INS_CHECK(whole.requests == cut.requests);
    driver_free(&whole);
    driver_free(&cut);
    return 0;
}
