/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names and values as clients write them: forms (as the URL standard
 * has application/x-www-form-urlencoded) and cookies (RFC 6265, 4.2). */

#include "http/pairs.h"

#include <string.h>

#include <apr_strings.h>

#include "http/chars.h"

static size_t count_parts(const char *text, size_t len, char separator)
{
    size_t count = 1;

    for (size_t at = 0; at < len; at++) {
        count += text[at] == separator;
    }
    return count;
}

static struct pair_list *new_list(const char *text, size_t len, char separator, apr_pool_t *pool)
{
    struct pair_list *pairs = apr_palloc(pool, sizeof(*pairs));

    pairs->count = 0;
    pairs->list = apr_palloc(pool, count_parts(text, len, separator) * sizeof(*pairs->list));
    return pairs;
}

/* In place; returns the end. */
static char *decode_part(char *from, const char *end)
{
    char *to = from;

    for (; from < end; from++) {
        int high = -1, low = -1;

        if (*from == '%' && end - from > 2) {
            high = http_hex_digit(from[1]);
            low = http_hex_digit(from[2]);
        }
        if (high >= 0 && low >= 0 && (high | low) != 0) {
            *to++ = (char)(high << 4 | low);
            from += 2;
        }
        else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    return to;
}

static void add_form_pair(struct pair_list *pairs, char *part, char *end)
{
    char *equals = memchr(part, '=', (size_t)(end - part));
    struct pair *pair = &pairs->list[pairs->count++];

    *end = '\0';
    pair->name = part;
    pair->value = end;
    if (equals) {
        *decode_part(equals + 1, end) = '\0';
        pair->value = equals + 1;
    }
    *decode_part(part, equals ? equals : end) = '\0';
}

struct pair_list *pairs_parse_form(const char *text, size_t len, apr_pool_t *pool)
{
    struct pair_list *pairs = new_list(text, len, '&', pool);
    char *copy = apr_pstrmemdup(pool, text, len), *end = copy + len, *next;

    for (char *part = copy; part < end; part = next + 1) {
        next = memchr(part, '&', (size_t)(end - part));
        next = next ? next : end;
        if (next > part) {
            add_form_pair(pairs, part, next);
        }
    }
    return pairs;
}

static void add_cookie(struct pair_list *pairs, char *part)
{
    char *equals = strchr(part, '='), *end = part + strlen(part);

    if (!equals || equals == part) {
        return;
    }
    while (end > equals + 1 && (end[-1] == ' ' || end[-1] == '\t')) {
        *--end = '\0';
    }
    *equals = '\0';
    pairs->list[pairs->count++] = (struct pair){ part, equals + 1 };
}

struct pair_list *pairs_parse_cookies(const char *text, apr_pool_t *pool)
{
    struct pair_list *pairs = new_list(text, strlen(text), ';', pool);
    char *part = apr_pstrdup(pool, text), *next;

    for (; part; part = next) {
        next = strchr(part, ';');
        if (next) {
            *next++ = '\0';
        }
        add_cookie(pairs, part + strspn(part, " \t"));
    }
    return pairs;
}

const char *pairs_get(const struct pair_list *pairs, const char *name)
{
    for (size_t n = 0; n < pairs->count; n++) {
        if (strcmp(pairs->list[n].name, name) == 0) {
            return pairs->list[n].value;
        }
    }
    return NULL;
}
