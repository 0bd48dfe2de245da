/* SPDX-License-Identifier: Apache-2.0 */
/* What a whole request costs around its handler, in nanoseconds, without I/O:
 * head, begin, route, run, answer, log, give. The best of several runs. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>

#include "../unit/request_driver.h"
#include "http/request.h"

enum { RUNS = 7, OUT = 4096 };

static const char config[] = "MaxKeepAliveRequests 0\nRoute GET / hello\n";

static int hello(ins_request *r)
{
    ins_set_type(r, "text/plain");
    ins_puts(r, "Hello, World!\n");
    return INS_OK;
}

static const ins_handler handlers[] = { { "hello", hello }, { 0 } };
static ins_module module = { INS_MODULE_HEADER, .handlers = handlers };

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t serve(struct http_app *app, const struct request_source *source, const char *text,
                    size_t len)
{
    struct request *q = request_take(app);
    char buf[2048], out[OUT];
    const char *head;
    size_t head_len;

    memcpy(buf, text, len);
    if (h1_parse_head(&q->head, buf, len, &http_server_conf(app->servers)->limits) != H1_COMPLETE ||
        request_begin(q, source, NULL, NULL) != INS_OK) {
        abort();
    }
    request_run(q);
    head_len = request_answer(q, false, out, sizeof(out), &head);
    request_log(q, 0);
    request_give(q);
    return head_len;
}

static void report(struct http_app *app, const char *what, const char *text, int rounds)
{
    struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(40000) };
    struct request_source source = { .peer = (struct sockaddr *)&peer,
                                     .hosts = http_hosts(app, 0, (struct sockaddr *)&peer) };
    double best = 0;

    inet_pton(AF_INET, "127.0.0.1", &peer.sin_addr);
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns(), ns;

        for (int n = 0; n < rounds; n++) {
            serve(app, &source, text, strlen(text));
        }
        ns = (now_ns() - start) / rounds;
        best = run == 0 || ns < best ? ns : best;
    }
    printf("%-40s %5zu bytes %8.0f ns\n", what, strlen(text), best);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 200000;
    struct http_app *app;
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    app = driver_app(config, &module, pool);
    if (!app) {
        return 1;
    }
    report(app, "hello, one field", "GET / HTTP/1.1\r\nHost: 127.0.0.1:9851\r\n\r\n", rounds);
    report(app, "hello, 8 fields",
           "GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
           "Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko\r\n"
           "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
           "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n"
           "Cookie: session=0123456789abcdef\r\n\r\n",
           rounds);
    return 0;
}
