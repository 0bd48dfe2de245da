/* SPDX-License-Identifier: Apache-2.0 */
/* permessage-deflate: what is agreed to, and messages there and back; and the origins. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "websocket/deflate.h"
#include "websocket/origin.h"
#include "websocket/words.h"

static const struct ws_wish plain = { true, false, 15 };
static const struct ws_wish keeps = { true, true, 12 };

static const struct {
    const struct ws_wish *wish;
    const char *offer, *answer; /* NULL: nothing is agreed */
} terms_cases[] = {
    { &plain, "permessage-deflate",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover" },
    { &keeps, "permessage-deflate", "permessage-deflate; server_max_window_bits=12" },
    { &keeps, "permessage-deflate; client_max_window_bits",
      "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12" },
    { &keeps, "permessage-deflate; client_max_window_bits=9; server_max_window_bits=\"10\"",
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9" },
    { &keeps, "permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
      "server_max_window_bits=12" },
    { &plain, "permessage-deflate; client_max_window_bits=8",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
      "client_max_window_bits=8" },
    { &plain, "permessage-deflate; server_max_window_bits=8", NULL },
    { &plain, "permessage-deflate; server_max_window_bits=1", NULL },
    { &plain, "permessage-deflate; server_max_window_bits=010", NULL },
    { &plain, "permessage-deflate; client_max_window_bits=16", NULL },
    { &plain, "permessage-bzip2, x; y=z", NULL },
    { &plain, "", NULL },
    { &plain, "permessage-deflate; a, permessage-deflate; client_no_context_takeover",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover" },
};

static void offers_are_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(terms_cases) / sizeof(terms_cases[0]); i++) {
        char text[WS_TERMS_MAX];
        struct ws_terms terms;

        assert_true(ws_terms_agree(&terms, terms_cases[i].wish, terms_cases[i].offer));
        assert_int_equal(terms.on, terms_cases[i].answer != NULL);
        if (terms.on) {
            ws_terms_text(&terms, text);
            assert_string_equal(text, terms_cases[i].answer);
        }
    }
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const cases[] = {
        "a b", "a;", "a; b=", "a; b=\"c", "a; b=\"c d\"", ";", "="
    };
    struct ws_terms terms;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(ws_terms_agree(&terms, &plain, cases[i]));
    }
}

/* Each message twice, so that contexts have something to refer back to. */
static void there_and_back(const struct ws_terms *terms)
{
    struct ws_context context = { NULL, NULL };

    for (size_t size = 1; size < 200000; size = size * 3 + 1) {
        char *data = malloc(size);
        struct ws_bytes packed = { NULL, 0, 0 }, back = { NULL, 0, 0 };

        for (size_t i = 0; i < size; i++) {
            data[i] = (char)(i * i >> 5);
        }
        for (int round = 0; round < 2; round++) {
            packed.len = back.len = 0;
            if (ws_deflate(&context, terms, data, size, &packed) == 0) {
                continue; /* not worth it, and nothing is remembered */
            }
            assert_int_equal(ws_inflate(&context, terms, packed.data, packed.len, &back, size), 0);
            assert_int_equal(back.len, size);
            assert_memory_equal(back.data, data, size);
            back.len = 0;
            if (!terms->client_keeps) {
                assert_int_equal(
                    ws_inflate(&context, terms, packed.data, packed.len, &back, size - 1),
                    WS_TOO_BIG);
            }
        }
        ws_bytes_free(&packed);
        ws_bytes_free(&back);
        free(data);
    }
    ws_context_free(&context);
}

static void messages_come_back(void **state)
{
    (void)state;
    if (!ws_deflate_available()) {
        skip();
    }
    for (int bits = WS_WINDOW_MIN; bits <= WS_WINDOW_MAX; bits++) {
        there_and_back(&(struct ws_terms){ 1, 0, 0, (uint8_t)bits, WS_WINDOW_MAX, 0 });
        there_and_back(&(struct ws_terms){ 1, 1, 1, (uint8_t)bits, WS_WINDOW_MAX, 0 });
    }
}

static void origins_are_compared(void **state)
{
    static const struct {
        const char *pattern, *origin, *host;
        bool matches;
    } cases[] = {
        { "same", "http://a.example", "a.example", true },
        { "same", "https://A.example", "a.EXAMPLE:443", true },
        { "same", "http://a.example:80", "a.example", true },
        { "same", "http://a.example", "a.example:8080", false },
        { "same", "http://[::1]:8080", "[::1]:8080", true },
        { "same", "http://[::1]", "[::1]:8080", false },
        { "same", "http://a.example", NULL, false },
        { "same", "null", "null", false },
        { "any", "null", NULL, true },
        { "a.example", "https://a.example:99", "x", true },
        { "a.example", "https://xa.example", "x", false },
        { "a.example:443", "https://a.example", "x", true },
        { "a.example:443", "http://a.example", "x", false },
        { "*.example", "http://a.b.example", "x", true },
        { "*.example", "http://example", "x", false },
        { "*.example", "http://aexample", "x", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (ws_origin_matches(cases[i].pattern, cases[i].origin, cases[i].host) !=
            cases[i].matches) {
            fail_msg("%s and %s", cases[i].pattern, cases[i].origin);
        }
    }
}

static void lists_are_read(void **state)
{
    (void)state;
    assert_true(ws_list_has("a, b ,c", "b", true));
    assert_true(ws_list_has("WebSocket", "websocket", false));
    assert_false(ws_list_has("A", "a", true));
    assert_false(ws_list_has("ab", "a", true));
    assert_true(ws_list_valid("a,b , c"));
    assert_false(ws_list_valid("a,b,a"));
    assert_false(ws_list_valid("a b"));
    assert_false(ws_list_valid(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_answered), cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(messages_come_back),  cmocka_unit_test(origins_are_compared),
        cmocka_unit_test(lists_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
