/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as a client sees them: bytes in, bytes out. Each case is run with
 * its input whole and byte by byte. Dates are left out of what is compared. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/request.h"
#include "request_driver.h"
#include "request_module.h"

/* ---- The cases ----------------------------------------------------------- */

#define S "Server: Instar\r\n"
#define OK "HTTP/1.1 200 OK\r\n" S
#define TEXT "Content-Type: text/plain\r\n"
#define HELLO OK TEXT LENGTH(12) END "Hello, all!\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

struct wire_case {
    const char *name, *in, *out;
    int closed; /* 1: by the server */
};

/* clang-format off */
static const struct wire_case exact[] = {
    { "hello", "GET / HTTP/1.1\r\n" H END, HELLO, 0 },
    { "parameter", "GET /hello/w%6frld HTTP/1.1\r\n" H END, OK TEXT LENGTH(14) END "Hello, world!\n", 0 },
    { "head", "HEAD / HTTP/1.1\r\n" H END, OK TEXT LENGTH(12) END, 0 },
    { "pipelined", "GET / HTTP/1.1\r\n" H END "HEAD / HTTP/1.1\r\n" H END "\r\nGET / HTTP/1.1\r\n" H END,
      HELLO OK TEXT LENGTH(12) END HELLO, 0 },
    { "head of an error", "HEAD /result?return=500 HTTP/1.1\r\n" H END, "HTTP/1.1 500 Internal Server Error\r\n" S "Content-Type: text/html; charset=utf-8\r\n" LENGTH(163) END, 0 },
    { "close", "GET / HTTP/1.1\r\n" H CLOSE END "GET / HTTP/1.1\r\n" H END, OK TEXT LENGTH(12) CLOSE END "Hello, all!\n", 1 },
    { "1.0", "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", OK TEXT LENGTH(12) CLOSE END "Hello, all!\n", 1 },
    { "1.0 kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK TEXT LENGTH(12) "Connection: keep-alive\r\n" END "Hello, all!\n", 0 },
    { "KeepAlive Off", "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", OK TEXT LENGTH(12) CLOSE END "Hello, all!\n", 1 },

    { "body", "POST /echo HTTP/1.1\r\n" H LENGTH(5) END "hello", OK LENGTH(5) END "hello", 0 },
    { "body and pipelined", "POST /echo HTTP/1.1\r\n" H LENGTH(5) END "helloGET / HTTP/1.1\r\n" H END, OK LENGTH(5) END "hello" HELLO, 0 },
    { "empty body", "POST /echo HTTP/1.1\r\n" H LENGTH(0) END, OK LENGTH(0) END, 0 },
    { "chunked body", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\n" H END,
      OK LENGTH(5) END "hello" HELLO, 0 },
    { "read by pieces", "POST /slurp HTTP/1.1\r\n" H LENGTH(5) END "hello", OK LENGTH(1) END "5", 0 },
    { "100-continue", "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n" LENGTH(0) END, OK LENGTH(0) END, 0 },
    { "body of a handler that does not read", "POST / HTTP/1.1\r\n" H LENGTH(5) END "helloGET / HTTP/1.1\r\n" H END, HELLO HELLO, 0 },

    { "304 has neither body nor length", "GET /result?set=304&write=x HTTP/1.1\r\n" H END, "HTTP/1.1 304 Not Modified\r\n" S END, 0 },
    { "204", "GET /result?return=204&write=x HTTP/1.1\r\n" H END, "HTTP/1.1 204 No Content\r\n" S END, 0 },
    { "205", "GET /result?set=205&write=x HTTP/1.1\r\n" H END, "HTTP/1.1 205 Reset Content\r\n" S LENGTH(0) END, 0 },
    { "201", "GET /result?return=201&write=x HTTP/1.1\r\n" H END, "HTTP/1.1 201 Created\r\n" S LENGTH(1) END "x", 0 },
    { "own words with 404", "GET /result?set=404&write=mine HTTP/1.1\r\n" H END, "HTTP/1.1 404 Not Found\r\n" S LENGTH(4) END "mine", 0 },
    { "unknown status", "GET /result?set=299&write=x HTTP/1.1\r\n" H END, "HTTP/1.1 299 Unknown\r\n" S LENGTH(1) END "x", 0 },
    { "OPTIONS", "OPTIONS /echo HTTP/1.1\r\n" H END, OK LENGTH(0) "Allow: POST, OPTIONS\r\n" END, 0 },
    { "OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H END, OK LENGTH(0) "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" END, 0 },
    { "OPTIONS absolute", "OPTIONS http://a HTTP/1.1\r\n" H END, OK LENGTH(0) "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" END, 0 },

    { "declared", "GET /big?n=10&length=10 HTTP/1.1\r\n" H END, OK LENGTH(10) END "xxxxxxxxxx", 0 },
    { "declared, HEAD", "HEAD /big?n=10&length=77 HTTP/1.1\r\n" H END, OK LENGTH(77) END, 0 },
    { "wrote more than declared", "GET /big?n=10&length=4 HTTP/1.1\r\n" H END, OK LENGTH(4) END "xxxx", 0 },
    { "wrote less than declared", "GET /big?n=4&length=10 HTTP/1.1\r\n" H END "GET / HTTP/1.1\r\n" H END, OK LENGTH(10) CLOSE END "xxxx", 1 },
    { "flushed", "GET /big?n=6&piece=3&flush=1 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n3\r\nxxx\r\n0\r\n\r\n", 0 },
    { "flushed, declared", "GET /big?n=6&piece=3&flush=1&length=6 HTTP/1.1\r\n" H END, OK LENGTH(6) END "xxxxxx", 0 },
    { "flushed, declared too much", "GET /big?n=6&piece=3&flush=1&length=7 HTTP/1.1\r\n" H END, OK LENGTH(7) END "xxxxxx", 1 },
    { "flushed, declared too little", "GET /big?n=6&piece=3&flush=1&length=4 HTTP/1.1\r\n" H END, OK LENGTH(4) END "xxxx", 0 },
    { "flushed, 1.0", "GET /big?n=6&piece=3&flush=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK CLOSE END "xxxxxx", 1 },
    { "flushed, HEAD", "HEAD /big?n=6&piece=3&flush=1 HTTP/1.1\r\n" H END, OK LENGTH(6) END, 0 },
    { "flushed, then failed", "GET /big?n=3&piece=3&flush=1&result=500 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n", 1 },

    { "stream", "GET /stream HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\na\r\nyyyyyyyyyy\r\n0\r\n\r\n", 0 },
    { "empty stream", "GET /stream?n=0 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
    { "stream with words before", "GET /stream?before=1 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\n7\r\nbefore,\r\na\r\nyyyyyyyyyy\r\n0\r\n\r\n", 0 },
    { "stream behind a flush", "GET /stream?before=1&flush=1 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\n7\r\nbefore,\r\na\r\nyyyyyyyyyy\r\n0\r\n\r\n", 0 },
    { "stream, declared", "GET /stream?length=10 HTTP/1.1\r\n" H END, OK LENGTH(10) END "yyyyyyyyyy", 0 },
    { "stream, declared with words before", "GET /stream?before=1&length=17 HTTP/1.1\r\n" H END, OK LENGTH(17) END "before,yyyyyyyyyy", 0 },
    { "stream, declared too little", "GET /stream?length=4 HTTP/1.1\r\n" H END, OK LENGTH(4) END "yyyy", 0 },
    { "stream, declared too much", "GET /stream?length=40 HTTP/1.1\r\n" H END, OK LENGTH(40) END "yyyyyyyyyy", 1 },
    { "stream broken off", "GET /stream?end=-1 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\na\r\nyyyyyyyyyy\r\n", 1 },
    { "stream that lies", "GET /stream?n=0&end=99999 HTTP/1.1\r\n" H END, OK "Transfer-Encoding: chunked\r\n\r\n", 1 },
    { "stream, 1.0", "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK CLOSE END "yyyyyyyyyy", 1 },
    { "stream, 1.0, declared", "GET /stream?length=10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK LENGTH(10) "Connection: keep-alive\r\n" END "yyyyyyyyyy", 0 },
    { "stream, HEAD", "HEAD /stream HTTP/1.1\r\n" H END, OK END, 0 },
    { "stream, HEAD, declared", "HEAD /stream?length=10 HTTP/1.1\r\n" H END, OK LENGTH(10) END, 0 },

    { "fields", "GET /fields HTTP/1.1\r\n" H END, OK "Content-Type: text/y\r\n" LENGTH(0) "X-One: 2\r\nX-Two: 1\r\nX-Two: 2\r\n" END, 0 },
    { "cookies", "GET /cookies HTTP/1.1\r\n" H "Cookie: a=1; b=\"2 3\" ; a=4\r\nCookie: c=5\r\n\r\n",
      OK LENGTH(7) "Set-Cookie: plain=v; Path=/; SameSite=Lax; HttpOnly\r\n"
      "Set-Cookie: all=; Path=/x; Domain=example.com; Max-Age=60; SameSite=Strict; Secure; HttpOnly\r\n" END "1,\"2 3\"", 0 },
    { "cookies over two fields", "GET /cookies HTTP/1.1\r\n" H "Cookie: x=1\r\nCookie: b=2;a\r\n\r\n",
      OK LENGTH(3) "Set-Cookie: plain=v; Path=/; SameSite=Lax; HttpOnly\r\n"
      "Set-Cookie: all=; Path=/x; Domain=example.com; Max-Age=60; SameSite=Strict; Secure; HttpOnly\r\n" END "-,2", 0 },
    { "query", "GET /form?a=1&b=x+y%21&a=2&&c&=d&e=%zz%00%4&F=%c3%a4 HTTP/1.1\r\n" H END,
      OK LENGTH(45) END "[a=1][b=x y!][a=2][c=][=d][e=%zz%00%4][F=\xc3\xa4]|", 0 },
    { "each stops", "GET /form?a=1&stop&b=2 HTTP/1.1\r\n" H END, OK LENGTH(13) END "[a=1][stop=]|", 0 },
    { "form", "POST /form HTTP/1.1\r\n" H "Content-Type: application/x-www-form-urlencoded; charset=x\r\n" LENGTH(8) END "k=v+w&l=",
      OK LENGTH(12) END "|[k=v w][l=]", 0 },
    { "form of another type", "POST /form HTTP/1.1\r\n" H "Content-Type: text/plain\r\n" LENGTH(3) END "k=v", OK LENGTH(1) END "|", 0 },
    { "facts", "GET /facts/./x//%79?q=%20 HTTP/1.1\r\nHost: A.Example.:80\r\nX-Many: 1\r\nx-many: 2\r\n\r\n",
      OK LENGTH(138) END "GET HTTP/1.1 a.example 1001|GET /facts/./x//%79?q=%20 HTTP/1.1|/facts/./x//%79?q=%20|/facts/x/y|q=%20|192.0.2.7:40000|0|1, 2|first.example", 0 },
    { "module closes", "GET /facts?mode=close HTTP/1.1\r\nHost: first.example\r\n\r\n",
      OK LENGTH(132) CLOSE END "GET HTTP/1.1 first.example 1001|GET /facts?mode=close HTTP/1.1|/facts?mode=close|/facts|mode=close|192.0.2.7:40000|0|-|first.example", 1 },
};

/* Begins so, and is closed or not. */
static const struct wire_case beginnings[] = {
    { "404", "GET /nowhere HTTP/1.1\r\n" H END, "HTTP/1.1 404 Not Found\r\n" S "Content-Type: text/html; charset=utf-8\r\n", 0 },
    { "declined", "GET /decline HTTP/1.1\r\n" H END, "HTTP/1.1 404 ", 0 },
    { "405", "DELETE /echo HTTP/1.1\r\n" H END, "HTTP/1.1 405 Method Not Allowed\r\n", 0 },
    { "unknown method", "BREW /echo HTTP/1.1\r\n" H END, "HTTP/1.1 405 ", 0 },
    { "unknown method nowhere", "BREW /nowhere HTTP/1.1\r\n" H END, "HTTP/1.1 404 ", 0 },
    { "CONNECT", "CONNECT a:80 HTTP/1.1\r\n" H END, "HTTP/1.1 405 ", 1 },
    { "encoded slash", "GET /hello%2Fx HTTP/1.1\r\n" H END, "HTTP/1.1 404 ", 0 },
    { "encoded NUL", "GET /hello/%00 HTTP/1.1\r\n" H END, "HTTP/1.1 400 ", 1 },
    { "bad escape", "GET /hello/%4 HTTP/1.1\r\n" H END, "HTTP/1.1 400 ", 1 },
    { "above the root", "GET /../etc/passwd HTTP/1.1\r\n" H END, "HTTP/1.1 400 ", 1 },
    { "above the root, encoded", "GET /hello/%2e%2e/.%2e/x HTTP/1.1\r\n" H END, "HTTP/1.1 400 ", 1 },
    { "bad head", "GET / HTTP/1.1\r\nHost : a\r\n\r\nGET / HTTP/1.1\r\n" H END, "HTTP/1.1 400 ", 1 },
    { "http/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 ", 1 },
    { "417", "POST /echo HTTP/1.1\r\n" H "Expect: x\r\n" LENGTH(5) END, "HTTP/1.1 417 ", 1 },
    { "411", "POST /echo HTTP/1.0\r\n\r\n", "HTTP/1.1 411 ", 1 },
    { "501", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 ", 1 },
    { "426", "GET /result?return=426 HTTP/1.1\r\n" H END, "HTTP/1.1 426 Upgrade Required\r\n" S "Content-Type: text/html; charset=utf-8\r\nContent-Length: 153\r\nConnection: upgrade\r\nUpgrade: HTTP/1.1\r\n", 0 },
    { "https target in the clear", "GET https://a/ HTTP/1.1\r\n" H END, "HTTP/1.1 421 ", 0 },
    { "413 by its length", "POST /small/echo HTTP/1.1\r\n" H LENGTH(11) END "hello world", "HTTP/1.1 413 ", 1 },
    { "413 while it comes", "POST /small/echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n", "HTTP/1.1 413 ", 1 },
    { "the limit itself", "POST /small/echo HTTP/1.1\r\n" H LENGTH(10) END "0123456789", OK LENGTH(10), 0 },
    { "the limit itself, chunked", "POST /small/echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", OK LENGTH(10), 0 },
    { "413 and no 100", "POST /small/echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n" LENGTH(11) END, "HTTP/1.1 413 ", 1 },
    { "404 and no 100", "POST /nowhere HTTP/1.1\r\n" H "Expect: 100-continue\r\n" LENGTH(11) END, "HTTP/1.1 404 ", 1 },
    { "bad chunk", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 ", 1 },
    { "the body stops", "POST /echo HTTP/1.1\r\n" H LENGTH(5) END "hel", "HTTP/1.1 408 ", 1 },
    { "error answers with a body", "POST /nowhere HTTP/1.1\r\n" H LENGTH(5) END "helloGET /nowhere HTTP/1.1\r\n" H END, "HTTP/1.1 404 ", 0 },
    { "a result that means nothing", "GET /result?return=99 HTTP/1.1\r\n" H END, "HTTP/1.1 500 ", 0 },
    { "another one", "GET /result?return=-7 HTTP/1.1\r\n" H END, "HTTP/1.1 500 ", 0 },
    { "600", "GET /result?return=600 HTTP/1.1\r\n" H END, "HTTP/1.1 500 ", 0 },
    { "a status that means nothing", "GET /result?set=101 HTTP/1.1\r\n" H END, "HTTP/1.1 500 ", 0 },
    { "500", "GET /result?return=500&write=dropped HTTP/1.1\r\n" H END, "HTTP/1.1 500 Internal Server Error\r\n", 0 },
    { "error with the module's words", "GET /fail HTTP/1.1\r\n" H END, "HTTP/1.1 403 Forbidden\r\n" S "Content-Type: text/html; charset=utf-8\r\nContent-Length: 181\r\nX-Kept: y\r\n\r\n<!DOCTYPE html>", 0 },
};
/* clang-format on */

/* Dates are checked for their place and left out. */
static char *without_dates(const char *text)
{
    char *copy = strdup(text), *date;

    assert_non_null(copy);
    while ((date = strstr(copy, "Date: ")) != NULL) {
        assert_memory_equal(date + 35, "\r\n", 2);
        assert_memory_equal(date + 31, " GMT", 4);
        memmove(date, date + 37, strlen(date + 37) + 1);
    }
    return copy;
}

static void run_case(struct http_app *app, const struct wire_case *c, size_t step, bool whole)
{
    struct driver d = { .app = app, .step = step };
    char *out;

    driver_serve(&d, c->in, strlen(c->in));
    out = without_dates(d.out);
    if (whole ? strcmp(out, c->out) != 0 : strncmp(out, c->out, strlen(c->out)) != 0) {
        fail_msg("%s, step %zu: got\n%s\nwanted\n%s", c->name, step, out, c->out);
    }
    if (d.closed != (c->closed == 1)) {
        fail_msg("%s: closed %d", c->name, d.closed);
    }
    free(out);
    driver_free(&d);
}

static void answers_are_exact(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(exact) / sizeof(*exact); n++) {
        run_case(plain_app, &exact[n], 0, true);
        run_case(plain_app, &exact[n], 1, true);
    }
}

static void errors_begin_so(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(beginnings) / sizeof(*beginnings); n++) {
        run_case(plain_app, &beginnings[n], 0, false);
        run_case(plain_app, &beginnings[n], 1, false);
    }
}

/* With hooks in the app nothing but what they do may change. */
static void hooks_stay_out_of_the_way(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(exact) / sizeof(*exact); n++) {
        run_case(hook_app, &exact[n], 0, true);
    }
    for (size_t n = 0; n < sizeof(beginnings) / sizeof(*beginnings); n++) {
        run_case(hook_app, &beginnings[n], 3, false);
    }
}

static void hooks_decide(void **state)
{
    static const struct wire_case cases[] = {
        { "refused", "GET /?hook=403 HTTP/1.1\r\n" H END, "HTTP/1.1 403 ", 0 },
        { "done", "GET /?hook=done HTTP/1.1\r\n" H END, OK LENGTH(11) END "by the hook", 0 },
        { "in place of a handler", "GET /hooked HTTP/1.1\r\n" H END, OK LENGTH(6) END "hooked", 0 },
        { "refused before the body is asked for",
          "POST /echo?hook=401 HTTP/1.1\r\n" H "Expect: 100-continue\r\n" LENGTH(5) END,
          "HTTP/1.1 401 ", 1 },
        { "asked for when the handler reads",
          "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n" LENGTH(5) END "hello",
          CONTINUE OK LENGTH(5) END "hello", 0 },
    };

    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        run_case(hook_app, &cases[n], 0, false);
    }
}

static void continue_is_sent_before_the_body(void **state)
{
    static const char head[] = "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n" LENGTH(5) END;
    char in[200];
    struct driver d = { .app = plain_app, .step = sizeof(head) - 1 };
    char *out;

    (void)state;
    sprintf(in, "%shello", head);
    driver_serve(&d, in, strlen(in));
    out = without_dates(d.out);
    assert_string_equal(out, CONTINUE OK LENGTH(5) END "hello");
    free(out);
    driver_free(&d);
    /* not to a client that did not wait */
    d.step = 0;
    driver_serve(&d, in, strlen(in));
    assert_memory_equal(d.out, "HTTP/1.1 ", 9);
    driver_free(&d);
}

/* ---- The rest ------------------------------------------------------------ */

static void keep_alive_ends_at_its_maximum(void **state)
{
    char in[60 * 40] = "";
    struct driver d = { .app = plain_app };

    (void)state;
    for (int n = 0; n < 60; n++) {
        strcat(in, "GET / HTTP/1.1\r\n" H END);
    }
    driver_serve(&d, in, strlen(in));
    assert_int_equal(d.requests, 50);
    assert_true(d.closed);
    assert_non_null(strstr(d.out, CLOSE));
    driver_free(&d);
}

/* Tables grow into the request's pool, and are as new for the next request. */
static void many_fields_leave_nothing_behind(void **state)
{
    char in[4000] = "";
    struct driver d = { .app = plain_app };
    const char *second;

    (void)state;
    strcat(in, "GET /facts HTTP/1.1\r\n" H);
    for (int n = 0; n < 90; n++) {
        sprintf(in + strlen(in), "X-Field-%d: value\r\n", n);
    }
    strcat(in, "X-Many: last\r\n\r\nGET /facts HTTP/1.1\r\n" H "\r\n");
    driver_serve(&d, in, strlen(in));
    assert_non_null(strstr(d.out, "|last|"));
    second = strstr(strstr(d.out, "|last|"), "HTTP/1.1 200");
    assert_non_null(second);
    assert_non_null(strstr(second, "|-|"));
    assert_null(strstr(second, "last"));
    driver_free(&d);
}

static void draining_closes(void **state)
{
    struct wire_case c = { "draining", "GET / HTTP/1.1\r\n" H END, CLOSE, 1 };
    struct driver d = { .app = plain_app, .draining = true };

    (void)state;
    driver_serve(&d, c.in, strlen(c.in));
    assert_non_null(strstr(d.out, CLOSE));
    assert_true(d.closed);
    driver_free(&d);
}

static void tls_servers_are_not_mixed(void **state)
{
    struct driver d = { .app = plain_app, .sni = "first.example" };
    static const char other[] = "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n";
    static const char same[] = "GET https://first.example/ HTTP/1.1\r\nHost: first.example\r\n\r\n";

    (void)state;
    driver_serve(&d, other, sizeof(other) - 1);
    assert_memory_equal(d.out, "HTTP/1.1 421 ", 13);
    driver_free(&d);
    driver_serve(&d, same, sizeof(same) - 1);
    assert_memory_equal(d.out, "HTTP/1.1 200 ", 13);
    driver_free(&d);
}

static void redirects_are_safe(void **state)
{
    static const struct {
        const char *query, *status, *location;
    } cases[] = {
        { "to=/x", "302 Found", "/x" },
        { "to=/x&status=301", "301 Moved Permanently", "/x" },
        { "to=/x&status=308", "308 ", "/x" },
        { "to=/x&status=200", "302 ", "/x" },
        { "to=https://a.example/x%3fy%23z", "302 ", "https://a.example/x?y#z" },
        { "to=//evil.example/", "302 ", "/evil.example/" },
        { "to=/%5cevil.example/", "302 ", "/evil.example/" },
        { "to=///%5c/evil.example/", "302 ", "/evil.example/" },
        { "to=%5c%5cevil", "302 ", "%5C%5Cevil" },
        { "to=/a%0d%0aSet-Cookie:x", "302 ", "/a%0D%0ASet-Cookie:x" },
        { "to=/a%20b%22%3cc%3e%c3%a4", "302 ", "/a%20b%22%3Cc%3E%C3%A4" },
        { "to=/a%2541", "302 ", "/a%41" },
        { "to=x/y", "302 ", "x/y" },
    };

    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct driver d = { .app = plain_app };
        char in[200], want[200];

        sprintf(in, "GET /redirect?%s HTTP/1.1\r\n" H END, cases[n].query);
        driver_serve(&d, in, strlen(in));
        assert_memory_equal(d.out + 9, cases[n].status, strlen(cases[n].status));
        sprintf(want, "\r\nLocation: %s\r\n", cases[n].location);
        if (!strstr(d.out, want)) {
            fail_msg("%s: got %s", cases[n].query, d.out);
        }
        driver_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_exact),
        cmocka_unit_test(errors_begin_so),
        cmocka_unit_test(hooks_stay_out_of_the_way),
        cmocka_unit_test(hooks_decide),
        cmocka_unit_test(continue_is_sent_before_the_body),
        cmocka_unit_test(keep_alive_ends_at_its_maximum),
        cmocka_unit_test(many_fields_leave_nothing_behind),
        cmocka_unit_test(draining_closes),
        cmocka_unit_test(tls_servers_are_not_mixed),
        cmocka_unit_test(redirects_are_safe),
    };

    return cmocka_run_group_tests(tests, request_module_setup, request_module_teardown);
}
