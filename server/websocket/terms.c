/* SPDX-License-Identifier: Apache-2.0 */
/* Sec-WebSocket-Extensions (RFC 6455, 9.1) and the parameters of permessage-deflate (RFC
 * 7692, 7.1). An offer that has anything we do not know is passed over, as the RFC wants it. */
#include <stdio.h>
#include <string.h>

#include "websocket/deflate.h"
#include "websocket/words.h"

struct parameter {
    struct ws_word name, value;
    bool has_value;
};

static bool read_value(const char **at, struct parameter *p)
{
    const char *s = *at;

    if (*s != '"') {
        return ws_token(at, &p->value);
    }
    s++;
    if (!ws_token(&s, &p->value) || *s != '"') {
        return false; /* quoted, it must still be a token */
    }
    *at = s + 1;
    return true;
}

static bool read_parameter(const char **at, struct parameter *p)
{
    ws_skip_space(at);
    if (!ws_token(at, &p->name)) {
        return false;
    }
    ws_skip_space(at);
    p->has_value = **at == '=';
    if (p->has_value) {
        (*at)++;
        ws_skip_space(at);
        if (!read_value(at, p)) {
            return false;
        }
        ws_skip_space(at);
    }
    return true;
}

/* 8 to 15, without a leading nought; 0: something else. */
static int window_bits(const struct parameter *p)
{
    const char *t = p->value.text;
    size_t len = p->value.len;

    if (len == 1) {
        return *t == '8' || *t == '9' ? *t - '0' : 0;
    }
    return len == 2 && t[0] == '1' && t[1] >= '0' && t[1] <= '5' ? 10 + t[1] - '0' : 0;
}

enum { SERVER_NO_CONTEXT, CLIENT_NO_CONTEXT, SERVER_BITS, CLIENT_BITS, PARAMETERS };

static const char *const names[PARAMETERS] = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
};

static int which(const struct parameter *p)
{
    int i = 0;

    while (i < PARAMETERS && !ws_word_is(&p->name, names[i])) {
        i++;
    }
    return i;
}

/* One parameter of an offer; false: it cannot be met. */
static bool take_parameter(struct ws_terms *terms, unsigned *seen, const struct parameter *p)
{
    int name = which(p), bits = p->has_value ? window_bits(p) : 0;

    if (name == PARAMETERS || (*seen & 1u << name) != 0) {
        return false;
    }
    *seen |= 1u << name;
    switch (name) {
    case SERVER_NO_CONTEXT:
        terms->server_keeps = 0;
        return !p->has_value;
    case CLIENT_NO_CONTEXT:
        terms->client_keeps = 0;
        return !p->has_value;
    case SERVER_BITS:
        /* zlib cannot compress into a window of 8 bits */
        terms->server_bits = bits < terms->server_bits ? (uint8_t)bits : terms->server_bits;
        return bits >= WS_WINDOW_MIN;
    default:
        terms->client_bits_told = 1;
        terms->client_bits =
            bits > 0 && bits < terms->client_bits ? (uint8_t)bits : terms->client_bits;
        return !p->has_value || bits > 0;
    }
}

/* Up to the ',' or the end. False: no grammar. *met: it is one that we agree to. */
static bool read_offer(const char **at, const struct ws_wish *wish, struct ws_terms *terms,
                       bool *met)
{
    struct ws_word name;
    struct parameter p;
    unsigned seen = 0;

    *terms = (struct ws_terms){ .on = 1,
                                .server_keeps = wish->keep_context,
                                .client_keeps = wish->keep_context,
                                .server_bits = (uint8_t)wish->bits,
                                .client_bits = (uint8_t)wish->bits };
    if (!ws_token(at, &name)) {
        return false;
    }
    *met = wish->on && ws_word_is(&name, "permessage-deflate");
    ws_skip_space(at);
    while (**at == ';') {
        (*at)++;
        if (!read_parameter(at, &p)) {
            return false;
        }
        *met = *met && take_parameter(terms, &seen, &p);
    }
    return **at == ',' || **at == '\0';
}

/* A client that cannot be told its window may use the largest. */
static void settle_bits(struct ws_terms *terms)
{
    if (!terms->client_bits_told) {
        terms->client_bits = WS_WINDOW_MAX;
    }
    terms->client_bits_told = terms->client_bits_told && terms->client_bits < WS_WINDOW_MAX;
}

bool ws_terms_agree(struct ws_terms *terms, const struct ws_wish *wish, const char *offers)
{
    struct ws_terms offer;
    const char *at = offers;
    bool met;

    *terms = (struct ws_terms){ 0 };
    for (;;) {
        ws_skip_space(&at);
        if (*at == ',') {
            at++;
            continue;
        }
        if (*at == '\0') {
            return true;
        }
        if (!read_offer(&at, wish, &offer, &met)) {
            return false;
        }
        if (met && !terms->on) {
            settle_bits(&offer);
            *terms = offer;
        }
    }
}

void ws_terms_text(const struct ws_terms *terms, char out[WS_TERMS_MAX])
{
    int len = snprintf(out, WS_TERMS_MAX, "permessage-deflate%s%s",
                       terms->server_keeps ? "" : "; server_no_context_takeover",
                       terms->client_keeps ? "" : "; client_no_context_takeover");

    if (terms->server_bits < WS_WINDOW_MAX) {
        len += snprintf(out + len, (size_t)(WS_TERMS_MAX - len), "; server_max_window_bits=%u",
                        terms->server_bits);
    }
    if (terms->client_bits_told) {
        (void)snprintf(out + len, (size_t)(WS_TERMS_MAX - len), "; client_max_window_bits=%u",
                       terms->client_bits);
    }
}
