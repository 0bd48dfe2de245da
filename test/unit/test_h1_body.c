/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: chunked texts with what must come of them, each decoded whole, byte by
 * byte, into little room, in place, and to nowhere. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1_parser.h"

struct expected {
    const char *text;
    size_t len;
    const char *body; /* NULL: refused */
    size_t body_len;
    size_t rest; /* bytes behind the body */
    enum h1_outcome outcome;
};
#define GOOD(text, body)                                                                           \
    {                                                                                              \
        text, sizeof(text) - 1, body, sizeof(body) - 1, 0, H1_COMPLETE                             \
    }
#define THEN(text, body, rest)                                                                     \
    {                                                                                              \
        text rest, sizeof(text rest) - 1, body, sizeof(body) - 1, sizeof(rest) - 1, H1_COMPLETE    \
    }
#define PART(text, body)                                                                           \
    {                                                                                              \
        text, sizeof(text) - 1, body, sizeof(body) - 1, 0, H1_MORE                                 \
    }
#define BAD(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1, NULL, 0, 0, H1_REFUSED                                             \
    }
#define LAST "0\r\n\r\n"

/* clang-format off */
static const struct expected cases[] = {
    GOOD(LAST, ""),
    GOOD("5\r\nhello\r\n" LAST, "hello"),
    GOOD("1\r\na\r\n2\r\nbc\r\n" LAST, "abc"),
    GOOD("a\r\n0123456789\r\n" LAST, "0123456789"),
    GOOD("A\r\n0123456789\r\n" LAST, "0123456789"),
    GOOD("00000005\r\nhello\r\n" LAST, "hello"),
    GOOD("000000000000000000000000005\r\nhello\r\n" LAST, "hello"),
    GOOD("000\r\n\r\n", ""),
    GOOD("2\r\n\r\n\r\n" LAST, "\r\n"),
    GOOD("3\r\na\0b\r\n" LAST, "a\0b"),
    GOOD("5;a\r\nhello\r\n" LAST, "hello"),
    GOOD("5;a=b\r\nhello\r\n" LAST, "hello"),
    GOOD("5;a=b;c;d=e\r\nhello\r\n" LAST, "hello"),
    GOOD("5;a=\"b;c\\\"d\"\r\nhello\r\n" LAST, "hello"),
    GOOD("5;a=\"\"\r\nhello\r\n" LAST, "hello"),
    GOOD("5;a=\"\xe4\t \"\r\nhello\r\n" LAST, "hello"),
    GOOD("5 ;a\r\nhello\r\n" LAST, "hello"),
    GOOD("5\t; a = b ; c = \"d\" ;e\r\nhello\r\n" LAST, "hello"),
    GOOD("0;last\r\n\r\n", ""),
    GOOD("0\r\nX: y\r\n\r\n", ""),
    GOOD("0\r\nX:\r\nY: \t z \r\n\r\n", ""),
    GOOD("0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b\r\n\r\n", ""),
    GOOD("1\r\na\r\n0\r\nX: \xe4\xff\r\n\r\n", "a"),
    THEN("1\r\na\r\n" LAST, "a", "GET / HTTP/1.1\r\n"),
    THEN(LAST, "", "\r\n"),
    THEN("0\r\nX: y\r\n\r\n", "", "0\r\n"),

    PART("", ""),
    PART("5", ""),
    PART("5\r", ""),
    PART("5\r\n", ""),
    PART("5\r\nhel", "hel"),
    PART("5\r\nhello", "hello"),
    PART("5\r\nhello\r", "hello"),
    PART("5\r\nhello\r\n", "hello"),
    PART("5\r\nhello\r\n0\r\n", "hello"),
    PART("5\r\nhello\r\n0\r\n\r", "hello"),
    PART("5;a=\"b", ""),
    PART("0\r\nX", ""),
    PART("0\r\nX: y\r\n", ""),
    PART("7fffffffffffffff\r\n", ""),

    BAD("\r\n"),
    BAD("\n"),
    BAD(" 5\r\nhello\r\n" LAST),
    BAD("\t5\r\nhello\r\n" LAST),
    BAD("+5\r\nhello\r\n" LAST),
    BAD("-5\r\nhello\r\n" LAST),
    BAD("-0\r\n\r\n"),
    BAD("0x5\r\nhello\r\n" LAST),
    BAD("5h\r\nhello\r\n" LAST),
    BAD("g\r\n"),
    BAD("5.0\r\nhello\r\n" LAST),
    BAD("5_0\r\n"),
    BAD("5 \r\nhello\r\n" LAST),
    BAD("5\t\r\nhello\r\n" LAST),
    BAD("5 5\r\nhello\r\n" LAST),
    BAD("5\nhello\r\n" LAST),
    BAD("5\r\rhello\r\n" LAST),
    BAD("5\rhello\r\n" LAST),
    BAD("5\0\r\nhello\r\n" LAST),
    BAD("5,\r\nhello\r\n" LAST),
    BAD("\"5\"\r\nhello\r\n" LAST),
    BAD("8000000000000000\r\n"),
    BAD("ffffffffffffffff\r\n"),
    BAD("10000000000000005\r\nhello\r\n" LAST),
    BAD("100000000000000000000000000000005\r\n"),
    BAD("5\r\nhello\r\n7fffffffffffffff\r\n"),
    BAD("5\r\nhello!\r\n" LAST),
    BAD("5\r\nhell\r\n" LAST),
    BAD("5\r\nhello\n" LAST),
    BAD("5\r\nhello\r0\r\n\r\n"),
    BAD("5\r\nhello0\r\n\r\n"),
    BAD("5\r\nhello\r\n\r\n0\r\n\r\n"),
    BAD("5;\r\nhello\r\n" LAST),
    BAD("5;;a\r\nhello\r\n" LAST),
    BAD("5;=b\r\nhello\r\n" LAST),
    BAD("5;a=\r\nhello\r\n" LAST),
    BAD("5;a=b=c\r\nhello\r\n" LAST),
    BAD("5;a b\r\nhello\r\n" LAST),
    BAD("5;a \r\nhello\r\n" LAST),
    BAD("5;a=b \r\nhello\r\n" LAST),
    BAD("5;a=b c\r\nhello\r\n" LAST),
    BAD("5;a=b,c\r\nhello\r\n" LAST),
    BAD("5;a=\"b\r\nhello\r\n" LAST),
    BAD("5;a=\"b\"c\r\nhello\r\n" LAST),
    BAD("5;a=\"b\" \r\nhello\r\n" LAST),
    BAD("5;a=\"\\\r\nhello\r\n" LAST),
    BAD("5;a=\"\0\"\r\nhello\r\n" LAST),
    BAD("5;a=\n\r\nhello\r\n" LAST),
    BAD("5;a\nhello\r\n" LAST),
    BAD("5;\xe4\r\nhello\r\n" LAST),
    BAD("5;a\rb\r\nhello\r\n" LAST),
    BAD("0\n\r\n"),
    BAD("0\r\n\n"),
    BAD("0\r\n\rX"),
    BAD("0\r\nX\r\n\r\n"),
    BAD("0\r\nX : y\r\n\r\n"),
    BAD("0\r\n: y\r\n\r\n"),
    BAD("0\r\n X: y\r\n\r\n"),
    BAD("0\r\nX: y\r\n z\r\n\r\n"),
    BAD("0\r\nX: y\n\r\n"),
    BAD("0\r\nX: a\rb\r\n\r\n"),
    BAD("0\r\nX: \0\r\n\r\n"),
    BAD("0\r\nX: \x7f\r\n\r\n"),
    BAD("0\r\nX\xe4: y\r\n\r\n"),
    BAD("0\r\nGET / HTTP/1.1\r\n\r\n"),
};
/* clang-format on */
enum { CASES = sizeof(cases) / sizeof(*cases) };

static const struct h1_limits limits = { 100, 10, 50 };

static void start(struct h1_body *body, bool chunked, int64_t length)
{
    struct h1_head head = { .chunked = chunked, .content_length = length };

    h1_body_init(body, &head, &limits);
}

static void check(const struct expected *e, enum h1_outcome got, const struct h1_body *body,
                  const char *out, size_t made, size_t used)
{
    if (got != e->outcome) {
        fail_msg("\"%s\": outcome %d, wanted %d (%s)", e->text, (int)got, (int)e->outcome,
                 body->why ? body->why : "");
    }
    if (got == H1_REFUSED) {
        assert_int_equal(body->status, 400);
        assert_non_null(body->why);
        return;
    }
    assert_int_equal(used, e->len - e->rest);
    assert_int_equal(made, e->body_len);
    assert_int_equal(body->total, (int64_t)made);
    assert_int_equal(body->done, got == H1_COMPLETE);
    if (out) {
        assert_memory_equal(out, e->body, made);
    }
}

/* in_step bytes of input at most at a time, out_step bytes of room. */
static void decode(const struct expected *e, size_t in_step, size_t out_step)
{
    struct h1_body body;
    char out[256];
    size_t at = 0, made = 0;
    enum h1_outcome outcome = H1_MORE;

    start(&body, true, -1);
    while (outcome == H1_MORE) {
        size_t n = e->len - at < in_step ? e->len - at : in_step, used, produced;

        outcome = h1_body_decode(&body, e->text + at, n, &used, out + made, out_step, &produced);
        assert_true(used <= n && produced <= out_step);
        at += used;
        made += produced;
        if (at == e->len) {
            break;
        }
        assert_true(outcome != H1_MORE || used > 0);
    }
    check(e, outcome, &body, out, made, at);
}

static void whole(void **state)
{
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        decode(&cases[n], 256, 128);
    }
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        for (size_t step = 1; step < 9; step++) {
            decode(&cases[n], step, 128);
            decode(&cases[n], 256, step);
            decode(&cases[n], step, step);
        }
    }
}

static void in_place_and_to_nowhere(void **state)
{
    (void)state;
    for (size_t n = 0; n < CASES; n++) {
        struct h1_body body;
        char buf[256];
        size_t used, made;
        enum h1_outcome outcome;

        memcpy(buf, cases[n].text, cases[n].len);
        start(&body, true, -1);
        outcome = h1_body_decode(&body, buf, cases[n].len, &used, buf, sizeof(buf), &made);
        check(&cases[n], outcome, &body, buf, made, used);
        start(&body, true, -1);
        outcome = h1_body_decode(&body, cases[n].text, cases[n].len, &used, NULL, 0, &made);
        check(&cases[n], outcome, &body, NULL, made, used);
    }
}

static void counted(void **state)
{
    struct h1_body body;
    char out[16];
    size_t used, made;

    (void)state;
    start(&body, false, -1);
    assert_true(body.done);
    start(&body, false, 0);
    assert_true(body.done);
    start(&body, false, 5);
    assert_int_equal(h1_body_decode(&body, "he", 2, &used, out, 16, &made), H1_MORE);
    assert_int_equal(h1_body_decode(&body, "llo", 3, &used, out + 2, 2, &made), H1_MORE);
    assert_int_equal(used, 2);
    assert_int_equal(h1_body_decode(&body, "oGET", 4, &used, out + 4, 12, &made), H1_COMPLETE);
    assert_int_equal(used, 1);
    assert_memory_equal(out, "hello", 5);
}

/* Nobody may make the server read on without sending data. */
static void overhead_is_bounded(void **state)
{
    static const char *const endless[][2] = {
        { "5;a=", "b" },
        { "5;a=\"", "x" },
        { "5", " " },
        { "", "0" },
        { "0\r\nX: ", "y" },
        { "0\r\n", "X: y\r\n" },
        { "", "1;abcdefgh\r\na\r\n" },
    };

    (void)state;
    for (size_t n = 0; n < sizeof(endless) / sizeof(*endless); n++) {
        struct h1_body body;
        char out[16];
        size_t used, made, sent = 0;
        enum h1_outcome outcome;

        start(&body, true, -1);
        outcome =
            h1_body_decode(&body, endless[n][0], strlen(endless[n][0]), &used, out, 16, &made);
        while (outcome == H1_MORE && sent < 100000) {
            outcome =
                h1_body_decode(&body, endless[n][1], strlen(endless[n][1]), &used, out, 16, &made);
            sent += used;
        }
        assert_int_equal(outcome, H1_REFUSED);
    }
}

/* Trailer fields keep to the limits of header fields. */
static void trailers_are_limited(void **state)
{
    static const struct {
        const char *field;
        int count, status;
    } trailers[] = {
        { "X: y\r\n", 10, 0 },
        { "X: y\r\n", 11, 431 },
        { "X: 45678901234567890123456789012345678901234567890\r\n", 10, 0 },
        { "X: 456789012345678901234567890123456789012345678901\r\n", 1, 431 },
    };

    (void)state;
    for (size_t n = 0; n < sizeof(trailers) / sizeof(*trailers); n++) {
        struct h1_body body;
        size_t used, made;

        start(&body, true, -1);
        h1_body_decode(&body, "0\r\n", 3, &used, NULL, 0, &made);
        for (int i = 0; i < trailers[n].count && !body.status; i++) {
            h1_body_decode(&body, trailers[n].field, strlen(trailers[n].field), &used, NULL, 0,
                           &made);
        }
        assert_int_equal(body.status, trailers[n].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(in_place_and_to_nowhere),
        cmocka_unit_test(counted),
        cmocka_unit_test(overhead_is_bounded),
        cmocka_unit_test(trailers_are_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
