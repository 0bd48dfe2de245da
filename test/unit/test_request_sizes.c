/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of any size, both ways: around every limit at which the server does
 * something else, and where the other side stops. */

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

/* ---- Sizes --------------------------------------------------------------- */

static char *room(size_t size)
{
    char *text = malloc(size);

    if (!text) {
        abort();
    }
    return text;
}

static char *chunked_text(size_t len, size_t chunk)
{
    char *text = room(len * 2 + 100), *at = text;

    while (len > 0) {
        size_t n = len < chunk ? len : chunk;

        at += sprintf(at, "%zx\r\n", n);
        memset(at, 'z', n);
        at += n;
        at += sprintf(at, "\r\n");
        len -= n;
    }
    strcpy(at, "0\r\n\r\n");
    return text;
}

/* Bodies around the inline limit, read by both ways, then another request. */
static void bodies_of_any_size_are_read_whole(void **state)
{
    static const size_t sizes[] = { 1, 700, BODY_INLINE - 1, BODY_INLINE, BODY_INLINE + 1, 300000 };
    static const char *const paths[] = { "/echo", "/slurp" };
    static const size_t steps[] = { 0, 1000, 7777 };

    (void)state;
    for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes) * 12; n++) {
        size_t size = sizes[n / 12];
        bool chunked = n % 2;
        char *body = chunked ? chunked_text(size, 5000) : room(size + 1), *in, end[100];
        struct driver d = { .app = plain_app, .step = steps[n / 2 % 3] };

        if (!chunked) {
            memset(body, 'z', size);
            body[size] = '\0';
        }
        in = room(strlen(body) + 300);
        sprintf(in, "POST %s HTTP/1.1\r\n" H, paths[n / 6 % 2]);
        if (chunked) {
            strcat(in, "Transfer-Encoding: chunked\r\n\r\n");
        }
        else {
            sprintf(in + strlen(in), "Content-Length: %zu\r\n\r\n", size);
        }
        strcat(in, body);
        strcat(in, "GET /hello/next HTTP/1.1\r\n" H END);
        driver_serve(&d, in, strlen(in));
        assert_int_equal(d.requests, 2);
        assert_string_equal(d.out + d.out_len - 13, "Hello, next!\n");
        sprintf(end, "Content-Length: %zu\r\n\r\nz", size);
        if (n / 6 % 2 == 0) {
            assert_non_null(strstr(d.out, end));
        }
        else {
            sprintf(end, "\r\n\r\n%zuHTTP/1.1 200 ", size);
            assert_non_null(strstr(d.out, end));
        }
        if (size != BODY_INLINE) {
            assert_int_equal(d.blocked, size > BODY_INLINE);
        }
        free(in);
        free(body);
        driver_free(&d);
    }
}

/* However it is read, and whether or not its end came with the byte that was too many. */
static void a_streamed_body_keeps_to_its_limit(void **state)
{
    static const size_t sizes[] = { 100000, 100001, 110000, 300000 };

    (void)state;
    for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes) * 8; n++) {
        char *body = chunked_text(sizes[n / 8], 10000), *in = room(strlen(body) + 200);
        struct driver d = { .app = plain_app, .step = n % 4 * 5000 };
        const char *status = sizes[n / 8] > 100000 ? "HTTP/1.1 413 " : "HTTP/1.1 200 ";

        sprintf(in, "POST /medium/%s HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%s",
                n / 4 % 2 ? "echo" : "slurp", body);
        driver_serve(&d, in, strlen(in));
        assert_memory_equal(d.out, status, strlen(status));
        assert_int_equal(d.closed, sizes[n / 8] > 100000);
        driver_free(&d);
        free(in);
        free(body);
    }
}

/* The body of an answer, chunks undone; *len its length. */
static char *body_of(const char *out, size_t out_len, size_t *len)
{
    const char *at = strstr(out, "\r\n\r\n") + 4;
    bool chunked = strstr(out, "Transfer-Encoding: chunked") != NULL;
    struct h1_head head = { .chunked = chunked, .content_length = 1 << 30 };
    struct h1_body body;
    char *text = room(out_len + 1);
    size_t used;
    enum h1_outcome outcome;
    struct h1_limits no_limits = { 0, 0, 100 };

    h1_body_init(&body, &head, &no_limits);
    outcome = h1_body_decode(&body, at, out_len - (size_t)(at - out), &used, text, out_len, len);
    if (outcome != (chunked ? H1_COMPLETE : H1_MORE)) {
        fail_msg("outcome %d of %zu bytes: %.200s ... %s", (int)outcome, out_len, out,
                 out + (out_len > 300 ? out_len - 100 : 0));
    }
    return text;
}

static void answers_of_any_size_arrive_whole(void **state)
{
    static const size_t sizes[] = { 0, 1, 2048, 2049, 10240, 65535, 65536, 65537, 200000, 1000000 };
    static const size_t pieces[] = { 1000, 8192, 70000, 1000000 };

    (void)state;
    for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes) * 24; n++) {
        size_t size = sizes[n / 24], piece = pieces[n % 4], len;
        const char *path = n / 4 % 2 ? "/stream" : "/big",
                   *version = n / 8 % 3 == 2 ? "1.0" : "1.1";
        struct driver d = { .app = plain_app };
        char in[200], *body;

        sprintf(in, "GET %s?n=%zu&piece=%zu", path, size, piece);
        if (n / 8 % 3 == 1) {
            sprintf(in + strlen(in), "&length=%zu", size);
        }
        sprintf(in + strlen(in), " HTTP/%s\r\n" H END, version);
        driver_serve(&d, in, strlen(in));
        body = body_of(d.out, d.out_len, &len);
        if (len != size) {
            fail_msg("%s: %zu bytes of %zu", in, len, size);
        }
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(body[i], n / 4 % 2 ? 'y' : 'x');
        }
        if (d.blocked != (n / 4 % 2 == 0 && size > OUTPUT_BUFFER)) {
            fail_msg("%s: blocked %d", in, d.blocked);
        }
        free(body);
        driver_free(&d);
    }
}

static void a_client_that_vanishes_ends_the_handler(void **state)
{
    static const char in[] = "GET /big?n=100000000&piece=1000 HTTP/1.1\r\n" H END;
    struct driver d = { .app = plain_app, .vanished = true };

    (void)state;
    driver_serve(&d, in, sizeof(in) - 1);
    assert_true(d.closed);
    driver_free(&d);
}

static void reading_fails_with_a_status(void **state)
{
    static const char in[] = "POST /slurp HTTP/1.1\r\n" H "Content-Length: 200000\r\n\r\n";
    struct driver d = { .app = plain_app, .timed_out = true };
    char *long_in = room(70000);

    (void)state;
    memset(long_in, 'z', 70000);
    memcpy(long_in, in, sizeof(in) - 1);
    driver_serve(&d, long_in, 70000);
    assert_memory_equal(d.out, "HTTP/1.1 408 ", 13);
    assert_true(d.closed);
    driver_free(&d);
    d.timed_out = false;
    driver_serve(&d, long_in, 70000);
    assert_memory_equal(d.out, "HTTP/1.1 400 ", 13);
    driver_free(&d);
    free(long_in);
}

static void a_long_unread_body_closes(void **state)
{
    static const char in[] = "POST / HTTP/1.1\r\n" H "Content-Length: 10000000\r\n\r\n";
    char *text = room(200000);
    struct driver d = { .app = plain_app };

    (void)state;
    memset(text, 'z', 200000);
    memcpy(text, in, sizeof(in) - 1);
    driver_serve(&d, text, 200000);
    assert_non_null(strstr(d.out, CLOSE));
    assert_true(d.closed);
    driver_free(&d);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_any_size_are_read_whole),
        cmocka_unit_test(a_streamed_body_keeps_to_its_limit),
        cmocka_unit_test(answers_of_any_size_arrive_whole),
        cmocka_unit_test(a_client_that_vanishes_ends_the_handler),
        cmocka_unit_test(reading_fails_with_a_status),
        cmocka_unit_test(a_long_unread_body_closes),
    };

    return cmocka_run_group_tests(tests, request_module_setup, request_module_teardown);
}
