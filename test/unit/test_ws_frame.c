/* SPDX-License-Identifier: Apache-2.0 */
/* The frame parser: every input is read whole and cut at every byte, with the parser's
 * state copied at the cut, as it is when a connection moves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/utf8.h"
#include "websocket/frame.h"

enum { TRACE_MAX = 4096, INPUT_MAX = 2048 };

static const struct ws_rules rules = { 600, 1000, false };
static const struct ws_rules packed_rules = { 600, 1000, true };

/* What came of an input, as text. */
struct trace {
    char text[TRACE_MAX];
    size_t len;
};

static void note(struct trace *t, const char *words, const char *data, size_t len)
{
    size_t words_len = strlen(words);

    assert_true(t->len + words_len + len + 2 < TRACE_MAX);
    memcpy(t->text + t->len, words, words_len);
    memcpy(t->text + t->len + words_len, data, len);
    t->len += words_len + len;
    t->text[t->len++] = '\n';
    t->text[t->len] = '\0';
}

/* False: the connection is over. */
static bool tell(struct trace *t, struct ws_parser *p, enum ws_news news, struct ws_bytes *message)
{
    char code[16];

    switch (news) {
    case WS_NEWS_MESSAGE:
        assert_int_equal(message->data[message->len], '\0');
        note(t, p->message == WS_TEXT ? "text " : "binary ", message->data, message->len);
        ws_parser_next(p, message);
        return true;
    case WS_NEWS_PING:
        note(t, "ping ", p->control, p->control_len);
        return true;
    case WS_NEWS_PONG:
        note(t, "pong ", p->control, p->control_len);
        return true;
    case WS_NEWS_CLOSE:
        note(t, "close ", p->control, p->control_len);
        return false;
    case WS_NEWS_BROKEN:
        (void)snprintf(code, sizeof(code), "%u", p->fault);
        note(t, "broken ", code, strlen(code));
        return false;
    default:
        return true;
    }
}

/* The parser moves at the cut: only the bytes of its state and of the message go along. */
static void move(struct ws_parser *p, struct ws_bytes *message)
{
    struct ws_parser *copy = malloc(sizeof(*copy));
    struct ws_bytes other = { NULL, 0, 0 };

    memcpy(copy, p, sizeof(*copy));
    memset(p, 0xee, sizeof(*p));
    memcpy(p, copy, sizeof(*p));
    free(copy);
    assert_true(ws_bytes_reserve(&other, message->len));
    if (message->len > 0) {
        memcpy(other.data, message->data, message->len);
    }
    other.len = message->len;
    ws_bytes_free(message);
    *message = other;
}

static void read_in_two(struct trace *t, const struct ws_rules *r, const char *input, size_t len,
                        size_t cut)
{
    char in[INPUT_MAX];
    struct ws_parser p = { 0 };
    struct ws_bytes message = { NULL, 0, 0 };
    size_t at = 0, end = cut, used;
    bool goes_on = true;
    const char *why;

    t->len = 0;
    t->text[0] = '\0';
    memcpy(in, input, len);
    while (goes_on) {
        enum ws_news news = ws_parse(&p, r, &message, in + at, end - at, &used, &why);

        at += used;
        assert_true(at <= end);
        goes_on = tell(t, &p, news, &message);
        if (news == WS_NEWS_MORE) {
            assert_int_equal(at, end);
            goes_on = end < len;
            end = len;
            move(&p, &message);
        }
    }
    ws_bytes_free(&message);
}

/* Client frames are masked with this key here. */
static size_t frame(char *out, uint8_t first, const char *data, size_t len)
{
    uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
    size_t head = ws_write_head(out, first, len);

    out[1] = (char)((uint8_t)out[1] | 0x80);
    memcpy(out + head, key, 4);
    memcpy(out + head + 4, data, len);
    ws_unmask(out + head + 4, len, key);
    return head + 4 + len;
}

struct piece {
    uint8_t first;
    const char *data;
};

struct sequence {
    const char *name;
    const struct ws_rules *rules;
    struct piece pieces[6];
    const char *trace;
};

#define FIN WS_FIN

static const struct sequence sequences[] = {
    { "one text", &rules, { { FIN | WS_TEXT, "Hello" } }, "text Hello\n" },
    { "one binary", &rules, { { FIN | WS_BINARY, "\xff\xfe" } }, "binary \xff\xfe\n" },
    { "an empty one", &rules, { { FIN | WS_TEXT, "" } }, "text \n" },
    { "in fragments",
      &rules,
      { { WS_TEXT, "Hel" }, { WS_CONTINUATION, "" }, { FIN, "lo" }, { FIN | WS_TEXT, "x" } },
      "text Hello\ntext x\n" },
    { "a ping between",
      &rules,
      { { WS_TEXT, "\xce" }, { FIN | WS_PING, "p" }, { FIN, "\xba" } },
      "ping p\ntext \xce\xba\n" },
    { "pong and close",
      &rules,
      { { FIN | WS_PONG, "" }, { FIN | WS_CLOSE, "\x03\xe9why" } },
      "pong \nclose \x03\xe9why\n" },
    { "not UTF-8", &rules, { { FIN | WS_TEXT, "a\xc0" } }, "broken 1007\n" },
    { "half a character", &rules, { { FIN | WS_TEXT, "a\xc3" } }, "broken 1007\n" },
    { "a reserved bit", &rules, { { FIN | WS_RSV1 | WS_TEXT, "a" } }, "broken 1002\n" },
    { "compressed, as it came",
      &packed_rules,
      { { WS_RSV1 | WS_TEXT, "\xff\xff" }, { FIN, "\xff" } },
      "text \xff\xff\xff\n" },
    { "a continuation says that it is compressed",
      &packed_rules,
      { { WS_RSV1 | WS_TEXT, "a" }, { FIN | WS_RSV1, "b" } },
      "broken 1002\n" },
    { "a continuation of nothing", &rules, { { FIN, "b" } }, "broken 1002\n" },
    { "one inside another", &rules, { { WS_TEXT, "a" }, { FIN | WS_TEXT, "b" } }, "broken 1002\n" },
    { "a ping in fragments", &rules, { { WS_PING, "a" } }, "broken 1002\n" },
    { "a reserved opcode", &rules, { { FIN | 3, "a" } }, "broken 1002\n" },
};

static void sequences_are_read_however_they_are_cut(void **state)
{
    static struct trace t;

    (void)state;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        const struct sequence *s = &sequences[i];
        char input[INPUT_MAX];
        size_t len = 0;

        for (size_t n = 0; n < 6 && s->pieces[n].data != NULL; n++) {
            len += frame(input + len, s->pieces[n].first, s->pieces[n].data,
                         strlen(s->pieces[n].data));
        }
        for (size_t cut = 0; cut <= len; cut++) {
            read_in_two(&t, s->rules, input, len, cut);
            if (strcmp(t.text, s->trace) != 0) {
                fail_msg("%s, cut at %zu: %s", s->name, cut, t.text);
            }
        }
    }
}

static void limits_are_looked_at_before_the_payload(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *trace;
    } cases[] = {
        { "\x82\xfe\x02\x58mask", 8, "" },
        { "\x82\xfe\x02\x59mask", 8, "broken 1009\n" },
        { "\x82\xff\0\0\0\0\0\1\0\0mask", 14, "broken 1009\n" },
        { "\x82\xff\x80\0\0\0\0\0\0\0mask", 14, "broken 1002\n" },
        { "\x82\xfe\0\x7dmask", 8, "broken 1002\n" },
        { "\x82\xff\0\0\0\0\0\0\xff\xffmask", 14, "broken 1002\n" },
        { "\x82\x05", 2, "broken 1002\n" },
        { "\x89\xfe", 2, "broken 1002\n" },
    };
    static struct trace t;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t cut = 0; cut <= cases[i].len; cut++) {
            read_in_two(&t, &rules, cases[i].bytes, cases[i].len, cut);
            assert_string_equal(t.text, cases[i].trace);
        }
    }
}

static void unmasking_is_the_same_in_any_pieces(void **state)
{
    uint8_t key[4] = { 1, 2, 3, 4 };
    char plain[100], whole[100], cut[100];

    (void)state;
    for (size_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (char)(i * 7);
    }
    for (size_t at = 0; at <= sizeof(plain); at++) {
        uint8_t a[4], b[4];

        memcpy(a, key, 4);
        memcpy(b, key, 4);
        memcpy(whole, plain, sizeof(plain));
        memcpy(cut, plain, sizeof(plain));
        ws_unmask(whole, sizeof(whole), a);
        ws_unmask(cut, at, b);
        ws_unmask(cut + at, sizeof(cut) - at, b);
        assert_memory_equal(whole, cut, sizeof(whole));
        assert_memory_equal(a, b, 4);
    }
    for (size_t i = 0; i < sizeof(plain); i++) {
        assert_int_equal((uint8_t)whole[i], (uint8_t)plain[i] ^ key[i % 4]);
    }
}

static void close_frames_are_read(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        unsigned status, fault;
    } cases[] = {
        { "", 0, WS_NO_STATUS, 0 },     { "\x03\xe8", 2, 1000, 0 }, { "\x03\xe8why", 5, 1000, 0 },
        { "\x13\x87", 2, 4999, 0 },     { "\x03", 1, 0, 1002 },     { "\x03\xed", 2, 0, 1002 },
        { "\x03\xe8\xc3", 3, 0, 1007 }, { "\x13\x88", 2, 0, 1002 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_parser p = { .control_len = (uint8_t)cases[i].len };
        char reason[WS_REASON_MAX + 1];
        uint16_t status;

        memcpy(p.control, cases[i].payload, cases[i].len);
        assert_int_equal(ws_read_close(&p, &status, reason), cases[i].fault == 0);
        assert_int_equal(p.fault, cases[i].fault);
        if (cases[i].fault == 0) {
            assert_int_equal(status, cases[i].status);
            assert_string_equal(reason, cases[i].len > 2 ? cases[i].payload + 2 : "");
        }
    }
}

/* Against the whole-text check, for all sequences of three bytes that begin beyond ASCII. */
static void text_in_pieces_is_judged_as_text_at_once(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 0x800000; n += 7) {
        char text[4] = { (char)(0x80 | n >> 16), (char)(n >> 8), (char)n, 'x' };
        uint32_t pieces = 0;
        bool whole = true, fed = true;

        for (size_t at = 0; whole && at < sizeof(text);) {
            size_t length = utf8_length(text + at, sizeof(text) - at);

            whole = length > 0;
            at += length;
        }
        for (size_t i = 0; fed && i < sizeof(text); i++) {
            fed = utf8_feed(&pieces, text + i, 1);
        }
        assert_int_equal(whole, fed && pieces == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_read_however_they_are_cut),
        cmocka_unit_test(limits_are_looked_at_before_the_payload),
        cmocka_unit_test(unmasking_is_the_same_in_any_pieces),
        cmocka_unit_test(close_frames_are_read),
        cmocka_unit_test(text_in_pieces_is_judged_as_text_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
