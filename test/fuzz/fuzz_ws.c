/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes behind the handshake, whatever they are, and what it offers in the handshake.
 * How the bytes were cut must not show in what comes of them. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/check.h"
#include "websocket/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 8192 };

static const struct ws_rules rules = { 600, 1000, true };
static const struct ws_terms terms = { 1, 1, 1, WS_WINDOW_MAX, WS_WINDOW_MAX, 0 };

/* A sum over everything that came of an input. */
static uint64_t mix(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ bytes[i]) * 1099511628211u;
    }
    return sum;
}

static uint64_t take_message(struct ws_context *context, struct ws_parser *p,
                             struct ws_bytes *message, uint64_t sum)
{
    struct ws_bytes plain = { NULL, 0, 0 };

    if (p->compressed) {
        int status = ws_inflate(context, &terms, message->data, message->len, &plain, 1000);

        INS_CHECK(status != 0 || plain.len <= 1000);
        sum = mix(sum, &status, sizeof(status));
        sum = mix(sum, plain.data, plain.len);
    }
    else {
        INS_CHECK(message->len <= rules.max_message);
        sum = mix(sum, message->data, message->len);
    }
    ws_bytes_free(&plain);
    ws_parser_next(p, message);
    return sum + 1;
}

static uint64_t read_all(char *in, size_t len, size_t step)
{
    struct ws_parser p = { 0 };
    struct ws_bytes message = { NULL, 0, 0 };
    struct ws_context context = { NULL, NULL };
    enum ws_news news = WS_NEWS_MORE;
    uint64_t sum = 0;
    const char *why;

    for (size_t at = 0, used; news < WS_NEWS_BROKEN && at < len; at += used) {
        size_t n = len - at < step ? len - at : step;

        news = ws_parse(&p, &rules, &message, in + at, n, &used, &why);
        INS_CHECK(used <= n && (news != WS_NEWS_MORE || used == n));
        if (news == WS_NEWS_MESSAGE) {
            sum = take_message(&context, &p, &message, sum);
        }
        else if (news != WS_NEWS_MORE) {
            uint32_t word = (uint32_t)news << 16 | p.fault;

            sum = mix(sum, &word, sizeof(word));
            sum = mix(sum, p.control, news < WS_NEWS_BROKEN ? p.control_len : 0);
        }
    }
    ws_bytes_free(&message);
    ws_context_free(&context);
    return sum;
}

static void read_offer(const uint8_t *data, size_t size)
{
    static const struct ws_wish wish = { true, true, WS_WINDOW_MAX };
    char *text = malloc(size + 1), out[WS_TERMS_MAX];
    struct ws_terms agreed;

    memcpy(text, data, size);
    text[size] = '\0';
    if (ws_terms_agree(&agreed, &wish, text) && agreed.on) {
        INS_CHECK(agreed.server_bits >= WS_WINDOW_MIN && agreed.server_bits <= WS_WINDOW_MAX);
        ws_terms_text(&agreed, out);
        INS_CHECK(strlen(out) < WS_TERMS_MAX - 1);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *whole, *cut;

    if (size > INPUT_MAX) {
        return -1;
    }
    if (size > 0 && data[0] == 'p') {
        read_offer(data, size);
        return 0;
    }
    whole = malloc(size + 1);
    cut = malloc(size + 1);
    memcpy(whole, data, size);
    memcpy(cut, data, size);
    INS_CHECK(read_all(whole, size, INPUT_MAX) == read_all(cut, size, 1));
    free(whole);
    free(cut);
    return 0;
}
