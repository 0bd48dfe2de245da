/* SPDX-License-Identifier: Apache-2.0 */
/* The frame parser. See the header. */
#include "websocket/frame.h"

#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"

enum { RSV = 0x70, OPCODE = 0x0f, CONTROL = 0x08, MASKED = 0x80, SHORT = 0x7f, FEW = 256 };

/* ---- Bytes --------------------------------------------------------------- */

bool ws_bytes_reserve(struct ws_bytes *bytes, size_t more)
{
    size_t needed = bytes->len + more + 1, cap = bytes->cap < FEW ? FEW : bytes->cap;
    char *grown;

    if (needed <= bytes->cap) {
        return true;
    }
    while (cap < needed) {
        cap *= 2;
    }
    grown = realloc(bytes->data, cap);
    if (grown == NULL) {
        return false;
    }
    bytes->data = grown;
    bytes->cap = cap;
    return true;
}

bool ws_bytes_set(struct ws_bytes *bytes, const void *data, size_t len)
{
    bytes->len = 0;
    if (len == 0) {
        return true;
    }
    if (!ws_bytes_reserve(bytes, len)) {
        return false;
    }
    memcpy(bytes->data, data, len);
    bytes->len = len;
    return true;
}

void ws_bytes_free(struct ws_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct ws_bytes){ NULL, 0, 0 };
}

/* ---- Masking ------------------------------------------------------------- */

static void turn(uint8_t mask[4], size_t by)
{
    uint8_t old[4];

    memcpy(old, mask, 4);
    for (size_t i = 0; i < 4; i++) {
        mask[i] = old[(i + by) % 4];
    }
}

/* Eight bytes at a time: the mask's phase is the same in every word. */
void ws_unmask(char *data, size_t len, uint8_t mask[4])
{
    uint8_t twice[8];
    uint64_t word, key;
    size_t i = 0;

    memcpy(twice, mask, 4);
    memcpy(twice + 4, mask, 4);
    memcpy(&key, twice, 8);
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, data + i, 8);
        word ^= key;
        memcpy(data + i, &word, 8);
    }
    for (; i < len; i++) {
        data[i] = (char)((uint8_t)data[i] ^ mask[i % 4]);
    }
    turn(mask, len);
}

/* ---- The head of a frame -------------------------------------------------- */

static enum ws_news broken(struct ws_parser *p, enum ws_status status, const char *words,
                           const char **why)
{
    p->fault = (uint16_t)status;
    *why = words;
    return WS_NEWS_BROKEN;
}

/* NULL, or what is wrong with the first byte. */
static const char *check_first(const struct ws_parser *p, const struct ws_rules *rules,
                               uint8_t first)
{
    uint8_t opcode = first & OPCODE;
    bool begins = opcode == WS_TEXT || opcode == WS_BINARY;

    if (!begins && opcode != WS_CONTINUATION && (opcode < WS_CLOSE || opcode > WS_PONG)) {
        return "a reserved opcode";
    }
    if ((first & RSV & ~WS_RSV1) != 0 || ((first & WS_RSV1) != 0 && !rules->compression)) {
        return "a reserved bit is set";
    }
    if ((first & WS_RSV1) != 0 && !begins) {
        return "only a message's first frame says that it is compressed";
    }
    if ((opcode & CONTROL) != 0) {
        return (first & WS_FIN) != 0 ? NULL : "a control frame in fragments";
    }
    if (begins && p->message != 0) {
        return "a message inside another one";
    }
    return !begins && p->message == 0 ? "a continuation of nothing" : NULL;
}

static const char *check_second(uint8_t first, uint8_t second)
{
    if ((second & MASKED) == 0) {
        return "a frame without a mask";
    }
    return (first & CONTROL) != 0 && (second & SHORT) > WS_CONTROL_MAX
               ? "a control frame with more than 125 bytes"
               : NULL;
}

static size_t length_bytes(uint8_t second)
{
    uint8_t length = second & SHORT;

    return length < 126 ? 0 : length == 126 ? 2 : 8;
}

/* The whole head's length as far as its first bytes tell. */
static size_t head_length(const struct ws_parser *p)
{
    return p->head_len < 2 ? 2 : 2 + length_bytes(p->head[1]) + 4;
}

static uint64_t read_length(const struct ws_parser *p)
{
    size_t count = length_bytes(p->head[1]);
    uint64_t length = 0;

    if (count == 0) {
        return p->head[1] & SHORT;
    }
    for (size_t i = 0; i < count; i++) {
        length = length << 8 | p->head[2 + i];
    }
    return length;
}

static const char *check_length(const struct ws_parser *p, uint64_t length)
{
    size_t count = length_bytes(p->head[1]);

    if (count == 8 && length >> 63 != 0) {
        return "a length above 2^63";
    }
    return (count == 2 && length < 126) || (count == 8 && length < 65536)
               ? "a length in more bytes than it needs"
               : NULL;
}

/* What is collected compressed may be a little longer than what comes of it. */
static uint64_t collected_max(const struct ws_parser *p, const struct ws_rules *rules)
{
    return p->compressed ? rules->max_message + rules->max_message / 1024 + 64 : rules->max_message;
}

/* The head is whole: MORE where all is well. */
static enum ws_news begin_frame(struct ws_parser *p, const struct ws_rules *rules,
                                const struct ws_bytes *message, const char **why)
{
    uint64_t length = read_length(p);
    const char *wrong = check_length(p, length);
    uint8_t opcode = p->head[0] & OPCODE;

    if (wrong != NULL) {
        return broken(p, WS_PROTOCOL_ERROR, wrong, why);
    }
    p->first = p->head[0];
    memcpy(p->mask, p->head + p->head_len - 4, 4);
    p->left = length;
    p->head_len = 0;
    p->in_payload = 1;
    if ((opcode & CONTROL) != 0) {
        p->control_len = 0;
        return WS_NEWS_MORE;
    }
    if (opcode != WS_CONTINUATION) {
        p->message = opcode;
        p->compressed = (p->first & WS_RSV1) != 0;
        p->utf8 = 0;
    }
    if (length > rules->max_frame) {
        return broken(p, WS_TOO_BIG, "a frame longer than WebSocketMaxFrame", why);
    }
    if (length > collected_max(p, rules) || message->len > collected_max(p, rules) - length) {
        return broken(p, WS_TOO_BIG, "a message longer than WebSocketMaxMessage", why);
    }
    return WS_NEWS_MORE;
}

/* Byte by byte, so that what is wrong is refused as soon as it is there. */
static enum ws_news read_head(struct ws_parser *p, const struct ws_rules *rules,
                              const struct ws_bytes *message, const char *in, size_t len,
                              size_t *used, const char **why)
{
    const char *wrong = NULL;

    *used = 0;
    while (*used < len) {
        p->head[p->head_len++] = (uint8_t)in[(*used)++];
        if (p->head_len == 1) {
            wrong = check_first(p, rules, p->head[0]);
        }
        else if (p->head_len == 2) {
            wrong = check_second(p->head[0], p->head[1]);
        }
        if (wrong != NULL) {
            return broken(p, WS_PROTOCOL_ERROR, wrong, why);
        }
        if (p->head_len >= 2 && p->head_len == head_length(p)) {
            return begin_frame(p, rules, message, why);
        }
    }
    return WS_NEWS_MORE;
}

/* ---- The payload ---------------------------------------------------------- */

static bool is_control(const struct ws_parser *p)
{
    return (p->first & CONTROL) != 0;
}

/* Appends the unmasked bytes to whatever the frame belongs to. */
static enum ws_news take_payload(struct ws_parser *p, struct ws_bytes *message, const char *data,
                                 size_t len, const char **why)
{
    if (is_control(p)) {
        memcpy(p->control + p->control_len, data, len);
        p->control_len = (uint8_t)(p->control_len + len);
        return WS_NEWS_MORE;
    }
    if (p->message == WS_TEXT && !p->compressed && !utf8_feed(&p->utf8, data, len)) {
        return broken(p, WS_INVALID_DATA, "text that is not UTF-8", why);
    }
    if (!ws_bytes_reserve(message, len)) {
        return WS_NEWS_NO_MEMORY;
    }
    memcpy(message->data + message->len, data, len);
    message->len += len;
    return WS_NEWS_MORE;
}

static enum ws_news end_frame(struct ws_parser *p, struct ws_bytes *message, const char **why)
{
    p->in_payload = 0;
    switch (p->first & OPCODE) {
    case WS_CLOSE:
        return WS_NEWS_CLOSE;
    case WS_PING:
        return WS_NEWS_PING;
    case WS_PONG:
        return WS_NEWS_PONG;
    default:
        break;
    }
    if ((p->first & WS_FIN) == 0) {
        return WS_NEWS_MORE;
    }
    if (p->utf8 != 0) {
        return broken(p, WS_INVALID_DATA, "text that ends within a character", why);
    }
    if (!ws_bytes_reserve(message, 0)) {
        return WS_NEWS_NO_MEMORY;
    }
    message->data[message->len] = '\0';
    return WS_NEWS_MESSAGE;
}

bool ws_parser_sound(const struct ws_parser *p)
{
    if (p->message > WS_BINARY || p->control_len > WS_CONTROL_MAX) {
        return false;
    }
    if (!p->in_payload) {
        return p->head_len < head_length(p);
    }
    if (p->head_len != 0 || p->left >> 63 != 0) {
        return false;
    }
    return is_control(p) ? p->left <= WS_CONTROL_MAX && p->left + p->control_len <= WS_CONTROL_MAX
                         : p->message != 0;
}

void ws_parser_next(struct ws_parser *p, struct ws_bytes *message)
{
    p->message = 0;
    p->compressed = 0;
    message->len = 0;
}

enum ws_news ws_parse(struct ws_parser *p, const struct ws_rules *rules, struct ws_bytes *message,
                      char *in, size_t len, size_t *consumed, const char **why)
{
    enum ws_news news = WS_NEWS_MORE;
    size_t used = 0, n;

    while (news == WS_NEWS_MORE && (used < len || (p->in_payload && p->left == 0))) {
        if (!p->in_payload) {
            news = read_head(p, rules, message, in + used, len - used, &n, why);
        }
        else {
            n = len - used < p->left ? len - used : (size_t)p->left;
            ws_unmask(in + used, n, p->mask);
            p->left -= n;
            news = n > 0 ? take_payload(p, message, in + used, n, why) : WS_NEWS_MORE;
        }
        used += n;
        if (news == WS_NEWS_MORE && p->in_payload && p->left == 0) {
            news = end_frame(p, message, why);
        }
    }
    *consumed = used;
    return news;
}

/* ---- Closing, and what we send --------------------------------------------- */

bool ws_status_valid(unsigned status)
{
    return (status >= WS_NORMAL && status <= 1003) ||
           (status >= WS_INVALID_DATA && status <= 1014) || (status >= 3000 && status <= 4999);
}

bool ws_read_close(struct ws_parser *p, uint16_t *status, char reason[WS_REASON_MAX + 1])
{
    const uint8_t *code = (const uint8_t *)p->control;
    size_t len = p->control_len < 2 ? 0 : p->control_len - 2u;
    uint32_t utf8 = 0;

    memcpy(reason, p->control + 2, len);
    reason[len] = '\0';
    if (p->control_len == 0) {
        *status = WS_NO_STATUS;
        return true;
    }
    *status = (uint16_t)(code[0] << 8 | code[1]);
    if (p->control_len == 1 || !ws_status_valid(*status)) {
        p->fault = WS_PROTOCOL_ERROR;
        return false;
    }
    if (!utf8_feed(&utf8, reason, len) || utf8 != 0) {
        p->fault = WS_INVALID_DATA;
        return false;
    }
    return true;
}

size_t ws_write_head(char out[WS_SEND_HEAD_MAX], uint8_t first, uint64_t len)
{
    size_t count = len < 126 ? 0 : len < 65536 ? 2 : 8;

    out[0] = (char)first;
    out[1] = (char)(count == 0 ? len : count == 2 ? 126 : 127);
    for (size_t i = 0; i < count; i++) {
        out[2 + i] = (char)(len >> (8 * (count - 1 - i)) & 0xff);
    }
    return 2 + count;
}
