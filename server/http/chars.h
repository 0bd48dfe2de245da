/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and small words of HTTP's grammar (RFC 9110, 5.6; RFC 3986). No
 * locale, no allocation. */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHAR_TOKEN = 0x01,    /* tchar */
    CHAR_TARGET = 0x02,   /* VCHAR without '#': a request target */
    CHAR_REG_NAME = 0x04, /* unreserved and sub-delims: a host's name */
    CHAR_HEX = 0x08,
    CHAR_DIGIT = 0x10,
    CHAR_TEXT = 0x20,  /* VCHAR, obs-text, SP, HTAB: a field value */
    CHAR_PATH = 0x40,  /* target bytes that path decoding need not look at */
    CHAR_COOKIE = 0x80 /* cookie-octet, RFC 6265, 4.1.1 */
};

extern const unsigned char http_char_bits[256];

static inline bool http_is(char c, unsigned bits)
{
    return (http_char_bits[(unsigned char)c] & bits) != 0;
}
static inline char http_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Only bytes that a field value may hold. */
bool http_text_clean(const char *text, size_t len);
/* Every byte has one of bits. True where len is 0. */
bool http_all(const char *text, size_t len, unsigned bits);
/* text[0..len) is lower, whatever its case. */
bool http_same_word(const char *text, size_t len, const char *lower);
/* 0 to 15, or -1. */
int http_hex_digit(char c);
/* The next element of a comma-separated list, trimmed, never empty; false at the end. */
bool http_list_next(const char **at, const char *end, const char **element, size_t *len);
/* Digits alone, no overflow. */
bool http_decimal(const char *text, size_t len, int64_t *value);

#endif
