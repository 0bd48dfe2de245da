/* SPDX-License-Identifier: Apache-2.0 */
/* What one request head costs the parser, in nanoseconds: the best of several runs. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http/h1_parser.h"

enum { ROUNDS = 200000, RUNS = 7, FIELDS = 32 };

static const char small[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
static const char browser[] =
    "GET /hello/world?lang=en HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"120\", \"Not?A_Brand\";v=\"8\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: none\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double one_run(const char *text, size_t len, size_t step)
{
    const struct h1_limits limits = { 8190, 100, 8190 };
    struct h1_field fields[FIELDS];
    struct h1_head head;
    char buf[2048];
    double start = now_ns();

    for (int n = 0; n < ROUNDS; n++) {
        memcpy(buf, text, len);
        h1_head_init(&head, fields, FIELDS);
        for (size_t at = step; at < len; at += step) {
            if (h1_parse_head(&head, buf, at, &limits) != H1_MORE) {
                return -1;
            }
        }
        if (h1_parse_head(&head, buf, len, &limits) != H1_COMPLETE) {
            return -1;
        }
    }
    return (now_ns() - start) / ROUNDS;
}

static void report(const char *what, const char *text, size_t len, size_t step)
{
    double best = 0;

    for (int n = 0; n < RUNS; n++) {
        double ns = one_run(text, len, step);

        best = n == 0 || ns < best ? ns : best;
    }
    printf("%-40s %5zu bytes %8.0f ns\n", what, len, best);
}

int main(void)
{
    report("one field, whole", small, sizeof(small) - 1, sizeof(small));
    report("12 fields, whole", browser, sizeof(browser) - 1, sizeof(browser));
    report("one field, byte by byte", small, sizeof(small) - 1, 1);
    report("12 fields, byte by byte", browser, sizeof(browser) - 1, 1);
    return 0;
}
