/* SPDX-License-Identifier: Apache-2.0 */
/* The framing of a body (RFC 9112, 6 and 7): a counted one, or chunks. A small
 * machine that takes chunk lines and trailers byte by byte, so that it can
 * stop anywhere, and data in whole runs. */

#include "http/h1_parser.h"

#include <string.h>

#include "http/chars.h"

/* States that want one byte; DATA is not one of them. */
enum state {
    SIZE_FIRST,
    SIZE,
    SIZE_SPACE,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_NAME_SPACE,
    EXT_VALUE_FIRST,
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTE_END,
    SIZE_LF,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    STEPS,
    DATA
};

enum { CRLF = 2 };

void h1_body_init(struct h1_body *body, const struct h1_head *head, const struct h1_limits *limits)
{
    memset(body, 0, sizeof(*body));
    body->chunked = head->chunked;
    body->state = head->chunked ? SIZE_FIRST : DATA;
    body->remaining = !head->chunked && head->content_length > 0 ? head->content_length : 0;
    body->done = !head->chunked && body->remaining == 0;
    body->trailers_max = limits->fields > 0 ? limits->fields : H1_FIELDS_MAX;
    body->trailer_size_max = limits->field_size;
}

static bool refuse(struct h1_body *body, const char *why)
{
    body->status = 400;
    body->why = why;
    return false;
}

static bool too_large(struct h1_body *body, const char *why)
{
    body->status = 431;
    body->why = why;
    return false;
}

static bool go(struct h1_body *body, enum state next)
{
    body->state = (int)next;
    return true;
}

static bool add_digit(struct h1_body *body, char c)
{
    if (body->remaining > INT64_MAX >> 4) {
        return refuse(body, "chunk size too large");
    }
    body->remaining = body->remaining << 4 | http_hex_digit(c);
    if (body->remaining > INT64_MAX - body->total) {
        return refuse(body, "chunk size too large");
    }
    return go(body, SIZE);
}

static bool size_first(struct h1_body *body, char c)
{
    body->line = 1;
    return http_is(c, CHAR_HEX) ? add_digit(body, c) : refuse(body, "malformed chunk size");
}

/* What may follow a complete size, name or value. */
static bool line_goes_on(struct h1_body *body, char c, const char *why)
{
    if (c == ';') {
        return go(body, EXT_NAME_FIRST);
    }
    return c == '\r' ? go(body, SIZE_LF) : refuse(body, why);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool size(struct h1_body *body, char c)
{
    if (http_is(c, CHAR_HEX)) {
        return add_digit(body, c);
    }
    return is_space(c) ? go(body, SIZE_SPACE) : line_goes_on(body, c, "malformed chunk size");
}

/* White space is tolerated where the grammar has BWS, which is before a ';' only. */
static bool size_space(struct h1_body *body, char c)
{
    if (is_space(c)) {
        return true;
    }
    return c == ';' ? go(body, EXT_NAME_FIRST) : refuse(body, "malformed chunk size");
}

static bool ext_name_first(struct h1_body *body, char c)
{
    if (is_space(c)) {
        return true;
    }
    return http_is(c, CHAR_TOKEN) ? go(body, EXT_NAME) : refuse(body, "malformed chunk extension");
}

static bool ext_name(struct h1_body *body, char c)
{
    if (http_is(c, CHAR_TOKEN)) {
        return true;
    }
    if (c == '=') {
        return go(body, EXT_VALUE_FIRST);
    }
    return is_space(c) ? go(body, EXT_NAME_SPACE)
                       : line_goes_on(body, c, "malformed chunk extension");
}

static bool ext_name_space(struct h1_body *body, char c)
{
    if (is_space(c)) {
        return true;
    }
    if (c == '=') {
        return go(body, EXT_VALUE_FIRST);
    }
    return c == ';' ? go(body, EXT_NAME_FIRST) : refuse(body, "malformed chunk extension");
}

static bool ext_value_first(struct h1_body *body, char c)
{
    if (is_space(c)) {
        return true;
    }
    if (c == '"') {
        return go(body, EXT_QUOTED);
    }
    return http_is(c, CHAR_TOKEN) ? go(body, EXT_TOKEN) : refuse(body, "malformed chunk extension");
}

static bool ext_token(struct h1_body *body, char c)
{
    if (http_is(c, CHAR_TOKEN)) {
        return true;
    }
    return is_space(c) ? go(body, SIZE_SPACE) : line_goes_on(body, c, "malformed chunk extension");
}

static bool ext_quoted(struct h1_body *body, char c)
{
    if (c == '"') {
        return go(body, EXT_QUOTE_END);
    }
    if (c == '\\') {
        return go(body, EXT_ESCAPED);
    }
    return http_is(c, CHAR_TEXT) || refuse(body, "control character in a chunk extension");
}

static bool ext_escaped(struct h1_body *body, char c)
{
    return http_is(c, CHAR_TEXT) ? go(body, EXT_QUOTED)
                                 : refuse(body, "control character in a chunk extension");
}

static bool ext_quote_end(struct h1_body *body, char c)
{
    return is_space(c) ? go(body, SIZE_SPACE) : line_goes_on(body, c, "malformed chunk extension");
}

static bool size_lf(struct h1_body *body, char c)
{
    if (c != '\n') {
        return refuse(body, "chunk line does not end in CRLF");
    }
    body->line = 0;
    return go(body, body->remaining > 0 ? DATA : TRAILER_FIRST);
}

static bool data_cr(struct h1_body *body, char c)
{
    return c == '\r' ? go(body, DATA_LF) : refuse(body, "chunk longer than its size");
}

static bool data_lf(struct h1_body *body, char c)
{
    return c == '\n' ? go(body, SIZE_FIRST) : refuse(body, "chunk does not end in CRLF");
}

static bool trailer_first(struct h1_body *body, char c)
{
    if (c == '\r') {
        return go(body, LAST_LF);
    }
    if (++body->trailers > body->trailers_max) {
        return too_large(body, "too many trailer fields");
    }
    return http_is(c, CHAR_TOKEN) ? go(body, TRAILER_NAME)
                                  : refuse(body, "malformed trailer field");
}

static bool trailer_name(struct h1_body *body, char c)
{
    if (c == ':') {
        return go(body, TRAILER_VALUE);
    }
    return http_is(c, CHAR_TOKEN) || refuse(body, "malformed trailer field");
}

static bool trailer_value(struct h1_body *body, char c)
{
    if (c == '\r') {
        return go(body, TRAILER_LF);
    }
    return http_is(c, CHAR_TEXT) || refuse(body, "control character in a trailer field");
}

static bool trailer_lf(struct h1_body *body, char c)
{
    body->line = 0;
    return c == '\n' ? go(body, TRAILER_FIRST) : refuse(body, "trailer line does not end in CRLF");
}

static bool last_lf(struct h1_body *body, char c)
{
    body->done = c == '\n';
    return body->done || refuse(body, "chunked body does not end in CRLF");
}

static bool (*const steps[STEPS])(struct h1_body *body, char c) = {
    [SIZE_FIRST] = size_first,
    [SIZE] = size,
    [SIZE_SPACE] = size_space,
    [EXT_NAME_FIRST] = ext_name_first,
    [EXT_NAME] = ext_name,
    [EXT_NAME_SPACE] = ext_name_space,
    [EXT_VALUE_FIRST] = ext_value_first,
    [EXT_TOKEN] = ext_token,
    [EXT_QUOTED] = ext_quoted,
    [EXT_ESCAPED] = ext_escaped,
    [EXT_QUOTE_END] = ext_quote_end,
    [SIZE_LF] = size_lf,
    [DATA_CR] = data_cr,
    [DATA_LF] = data_lf,
    [TRAILER_FIRST] = trailer_first,
    [TRAILER_NAME] = trailer_name,
    [TRAILER_VALUE] = trailer_value,
    [TRAILER_LF] = trailer_lf,
    [LAST_LF] = last_lf,
};

/* A client may not make the server read for ever without sending data. */
static bool bounded(struct h1_body *body)
{
    body->line++;
    if (body->state >= TRAILER_FIRST && body->state <= LAST_LF) {
        return body->line <= body->trailer_size_max + CRLF ||
               too_large(body, "trailer field too long");
    }
    if (body->line > H1_CHUNK_LINE_MAX) {
        return refuse(body, "chunk line too long");
    }
    if (body->state >= SIZE_SPACE && body->state <= EXT_QUOTE_END) {
        return ++body->extensions <= H1_EXTENSIONS_MAX || refuse(body, "chunk extensions too long");
    }
    return true;
}

static size_t smaller(int64_t remaining, size_t a, size_t b)
{
    size_t least = a < b ? a : b;

    return (uint64_t)remaining < least ? (size_t)remaining : least;
}

/* A run of data. 0: there is no input, or no room. */
static size_t take_data(struct h1_body *body, const char *in, size_t in_len, char *out, size_t room)
{
    size_t n = smaller(body->remaining, in_len, room);

    if (out) {
        memmove(out, in, n);
    }
    body->remaining -= (int64_t)n;
    body->total += (int64_t)n;
    if (body->remaining == 0) {
        body->done = !body->chunked;
        body->state = body->chunked ? DATA_CR : DATA;
    }
    return n;
}

enum h1_outcome h1_body_decode(struct h1_body *body, const char *in, size_t in_len,
                               size_t *consumed, char *out, size_t out_size, size_t *produced)
{
    size_t used = 0, made = 0;

    while (!body->done && !body->status && used < in_len) {
        if (body->state == DATA) {
            size_t n = take_data(body, in + used, in_len - used, out ? out + made : NULL,
                                 out ? out_size - made : SIZE_MAX);

            used += n;
            made += n;
            if (n == 0) {
                break;
            }
        }
        else if (bounded(body) && steps[body->state](body, in[used])) {
            used++;
        }
    }
    *consumed = used;
    *produced = made;
    if (body->status) {
        return H1_REFUSED;
    }
    return body->done ? H1_COMPLETE : H1_MORE;
}
