/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs to find a route, a host and a section among few and among many,
 * and what it costs to build them: one table on standard output. */
#include "../unit/http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "config/conf.h"

enum { ROUNDS = 300000, LINE_SIZE = 256 };

static int handle(ins_request *r)
{
    (void)r;
    return INS_OK;
}

static const ins_handler handlers[] = { { "hello", handle }, { 0 } };
static ins_module bench_module = { INS_MODULE_HEADER, .handlers = handlers };
static ins_module *modules[] = { &bench_module, NULL };

static double now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* A line for each number below count; format has one %d, used up to four times. */
static const char *repeat(apr_pool_t *pool, const char *format, int count)
{
    char *text = apr_palloc(pool, (size_t)count * LINE_SIZE + 1);
    char *at = text;

    for (int i = 0; i < count; i++) {
        for (const char *f = format; *f; f++) {
            if (*f == '#') {
                at += sprintf(at, "%d", i);
            }
            else {
                *at++ = *f;
            }
        }
    }
    *at = '\0';
    return text;
}

static void time_route(const char *what, const char *format, int count, const char *path)
{
    apr_pool_t *pool;
    apr_pool_t *request;
    struct http_case http;
    struct route_match match;
    double start;

    apr_pool_create(&pool, NULL);
    apr_pool_create(&request, pool);
    http = http_good(pool, repeat(pool, format, count), NULL, modules, NULL);
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        http_route(http.app, http.main_server, "GET", path, &match, request);
        if ((i & 255) == 0) {
            apr_pool_clear(request);
        }
    }
    printf("%-34s %6d  %7.0f ns   read %6.2f ms, built in %5.2f ms%s\n", what, count,
           (now_ns() - start) / ROUNDS, (double)http.apply_time / 1e3,
           (double)http.finish_time / 1e3, match.route ? "" : "   (no match)");
    apr_pool_destroy(pool);
}

static void time_host(const char *what, const char *format, int count, const char *name)
{
    apr_pool_t *pool;
    struct http_case http;
    const struct host_table *hosts;
    const ins_server *found = NULL;
    double start;

    apr_pool_create(&pool, NULL);
    http = http_good(pool, repeat(pool, format, count), "0.0.0.0:80", modules, NULL);
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        hosts = http_hosts(http.app, 0, NULL);
        found = http_find_server(hosts, name, strlen(name));
    }
    printf("%-34s %6d  %7.0f ns   read %6.2f ms, built in %5.2f ms   (%s)\n", what, count,
           (now_ns() - start) / ROUNDS, (double)http.apply_time / 1e3,
           (double)http.finish_time / 1e3, found ? found->server_hostname : "");
    apr_pool_destroy(pool);
}

static void time_section(const char *what, const char *format, int count, const char *path)
{
    apr_pool_t *pool;
    struct http_case http;
    double start;

    apr_pool_create(&pool, NULL);
    http = http_good(pool, repeat(pool, format, count), NULL, modules, NULL);
    start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        (void)http_locate(http.app, http.main_server, path, pool);
    }
    printf("%-34s %6d  %7.0f ns   read %6.2f ms, built in %5.2f ms\n", what, count,
           (now_ns() - start) / ROUNDS, (double)http.apply_time / 1e3,
           (double)http.finish_time / 1e3);
    apr_pool_destroy(pool);
}

int main(void)
{
    static const char pattern[] = "Route GET /api/r#/{id:[0-9]+}/item/{name} hello\n";
    static const char plain[] = "Route GET /api/r#/{id}/item/{name} hello\n";
    static const char literal[] = "Route GET /site/page#/index.html hello\n";
    static const char expression[] = "Route GET ~ ^/r#/(?<id>[0-9]+)$ hello\n";
    static const char host[] = "<VirtualHost *:80>\nServerName h#.example.com\n</VirtualHost>\n";
    static const char wild[] = "<VirtualHost *:80>\nServerName h#.example.com\n"
                               "ServerAlias *.h#.example.com\n</VirtualHost>\n";
    static const char section[] = "<Location /p#>\nLimitRequestBody 5\n</Location>\n";

    apr_initialize();
    bench_module.name = "bench_module";
    time_route("pattern routes", pattern, 10, "/api/r7/123/item/abc");
    time_route("pattern routes", pattern, 5000, "/api/r777/123/item/abc");
    time_route("pattern routes", pattern, 10000, "/api/r7777/123/item/abc");
    time_route("pattern routes, plain", plain, 10, "/api/r7/123/item/abc");
    time_route("pattern routes, plain", plain, 5000, "/api/r777/123/item/abc");
    time_route("pattern routes, plain", plain, 10000, "/api/r7777/123/item/abc");
    time_route("pattern routes, none matches", plain, 10000, "/api/r7777/123/item");
    time_route("literal routes", literal, 10, "/site/page7/index.html");
    time_route("literal routes", literal, 10000, "/site/page7777/index.html");
    time_route("~ routes", expression, 10, "/r7/12");
    time_route("~ routes", expression, 1000, "/r777/12");
    time_host("names", host, 10, "h7.example.com");
    time_host("names", host, 10000, "h7777.example.com");
    time_host("names with wildcards", wild, 10, "www.h7.example.com");
    time_host("names with wildcards", wild, 10000, "www.h7777.example.com");
    time_section("sections", section, 10, "/p7/x");
    time_section("sections", section, 5000, "/p777/x");
    return 0;
}
