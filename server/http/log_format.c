/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a LogFormat to its items, and from these to a line. */
#include "http/log_format.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>

#include "http/request.h"
#include "util/json_text.h"

enum { STATUSES_MAX = 64, LITERAL_DIGITS = 24, VALUE_LONG = 16384, VALUE_SHORT = 16 };

/* ---- Writing ---- */

void log_put(struct log_out *out, const char *text, size_t len)
{
    size_t room = (size_t)(out->end - out->at);

    if (len > room) {
        len = room;
        out->full = true;
    }
    memcpy(out->at, text, len);
    out->at += len;
}

void log_put_number(struct log_out *out, int64_t number, int digits)
{
    char text[LITERAL_DIGITS];
    char *at = text + sizeof(text);
    uint64_t value = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || text + sizeof(text) - at < digits);
    if (number < 0) {
        *--at = '-';
    }
    log_put(out, at, (size_t)(text + sizeof(text) - at));
}

static void put_escape(struct log_out *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "\b\n\r\t\v\"\\";
    static const char names[] = "bnrtv\"\\";
    const char *known = c ? strchr(letters, c) : NULL;
    char text[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

    if (known) {
        text[1] = names[known - letters];
    }
    if (out->end - out->at < (known ? 2 : 4)) {
        out->full = true; /* half an escape would be another character's */
        return;
    }
    log_put(out, text, known ? 2 : 4);
}

static void put_text(struct log_out *out, const char *text)
{
    for (;;) {
        const char *plain = text;

        while (*text >= ' ' && *text < 0x7f && *text != '"' && *text != '\\') {
            text++;
        }
        log_put(out, plain, (size_t)(text - plain));
        if (*text == '\0' || out->full) {
            return;
        }
        put_escape(out, (unsigned char)*text++);
    }
}

static void put_json(struct log_out *out, const char *text)
{
    size_t len = strlen(text), read;

    out->at += json_text(out->at, (size_t)(out->end - out->at), text, len, &read);
    out->full = out->full || read < len;
}

static void put_value(struct log_out *out, const char *text)
{
    if (out->json) {
        put_json(out, text);
    }
    else {
        put_text(out, text);
    }
}

void log_put_escaped(struct log_out *out, const char *text)
{
    struct log_out part = *out;

    if (out->value_max == 0 || (size_t)(out->end - out->at) <= out->value_max) {
        put_value(out, text);
        return;
    }
    part.end = part.at + out->value_max;
    put_value(&part, text);
    out->at = part.at;
    if (part.full) {
        log_put(out, "...", 3);
    }
}

void log_put_nothing(struct log_out *out)
{
    if (!out->json) {
        log_put(out, "-", 1);
    }
}

static bool applies(const struct log_item *item, int status)
{
    const int *wanted = item->statuses;

    if (wanted == NULL) {
        return true;
    }
    while (*wanted && *wanted != status) {
        wanted++;
    }
    return (*wanted != 0) != item->not_statuses;
}

static size_t write_line(const struct log_format *format, struct request *q, apr_time_t now,
                         char *buf, size_t size, size_t value_max, bool *full)
{
    struct log_out out = { buf, buf + size - 1, value_max, format->json, false };

    for (int i = 0; i < format->count; i++) {
        const struct log_item *item = &format->items[i];

        if (applies(item, q->pub.status)) {
            item->write(&out, q, item, now);
        }
        else {
            log_put_nothing(&out);
        }
    }
    *full = out.full;
    *out.at++ = '\n';
    return (size_t)(out.at - buf);
}

size_t log_format_write(const struct log_format *format, struct request *q, apr_time_t now,
                        char *buf, size_t size, bool *full)
{
    return write_line(format, q, now, buf, size, 0, full);
}

size_t log_format_write_short(const struct log_format *format, struct request *q, apr_time_t now,
                              char *buf, size_t size)
{
    bool full = true;
    size_t len = 0;

    for (size_t max = VALUE_LONG; full && max >= VALUE_SHORT; max /= 2) {
        len = write_line(format, q, now, buf, size, max, &full);
    }
    return len;
}

/* ---- Compiling ---- */

static void write_literal(struct log_out *out, struct request *q, const struct log_item *item,
                          apr_time_t now)
{
    (void)q;
    (void)now;
    log_put(out, item->text, item->len);
}

/* \n, \t, \r, \\ and \" inside the format; another backslash stands for itself. */
static char *unescape(const char *text, size_t len, size_t *out_len, apr_pool_t *pool)
{
    static const char names[] = "ntr\\\"";
    static const char values[] = "\n\t\r\\\"";
    char *out = apr_palloc(pool, len + 1);
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        const char *name = text[i] == '\\' && i + 1 < len ? strchr(names, text[i + 1]) : NULL;

        out[used++] = name ? values[name - names] : text[i];
        i += name != NULL;
    }
    out[used] = '\0';
    *out_len = used;
    return out;
}

/* "!400,501" behind the '%'. */
static const char *read_statuses(const char *text, struct log_item *item, const char **error,
                                 apr_pool_t *pool)
{
    int list[STATUSES_MAX];
    int count = 0;

    if (*text == '!') {
        item->not_statuses = true;
        text++;
    }
    while (apr_isdigit(*text)) {
        char *end;
        long status = strtol(text, &end, 10);

        if (status < 100 || status > 999 || count == STATUSES_MAX - 1) {
            *error = "a status behind '%' has three digits: %400,501{User-Agent}i";
            return text;
        }
        list[count++] = (int)status;
        text = end;
        if (*text == ',') {
            text++;
        }
    }
    if (count > 0) {
        list[count++] = 0;
        item->statuses = apr_pmemdup(pool, list, (size_t)count * sizeof(int));
    }
    else if (item->not_statuses) {
        *error = "behind '%!' stand statuses: %!200,304{Referer}i";
    }
    return text;
}

/* Behind a '%'. Statuses, '<' or '>', and {words} may come in any order, then the letter. */
static const char *read_directive(const char *text, struct log_item *item, const char **error,
                                  apr_pool_t *pool)
{
    for (;;) {
        if (*text == '!' || apr_isdigit(*text)) {
            text = read_statuses(text, item, error, pool);
        }
        else if (*text == '<' || *text == '>') {
            text++; /* there are no internal redirects: both requests are one */
        }
        else if (*text == '{') {
            const char *end = strchr(text, '}');

            if (end == NULL) {
                *error = "'}' is missing in the format";
                return text;
            }
            item->text = apr_pstrmemdup(pool, text + 1, (size_t)(end - text - 1));
            text = end + 1;
        }
        else {
            break;
        }
        if (*error) {
            return text;
        }
    }
    if (*text == '\0') {
        *error = "the format ends behind a '%'";
        return text;
    }
    *error = log_item_choose(item, text, *text == '^' && text[1] && text[2] ? 3 : 1, pool);
    return text + (*text == '^' && text[1] && text[2] ? 3 : 1);
}

struct log_format *log_format_compile(const char *text, bool json, const char **error,
                                      apr_pool_t *pool)
{
    apr_array_header_t *items = apr_array_make(pool, 16, sizeof(struct log_item));
    struct log_format *format = apr_palloc(pool, sizeof(*format));

    *error = NULL;
    while (*text) {
        struct log_item *item = apr_array_push(items);
        size_t len = strcspn(text, "%");

        memset(item, 0, sizeof(*item));
        if (len == 0 && text[1] != '%') {
            text = read_directive(text + 1, item, error, pool);
        }
        else {
            item->write = write_literal;
            item->text = len ? unescape(text, len, &item->len, pool) : "%";
            item->len = len ? item->len : 1;
            text += len ? len : 2;
        }
        if (*error) {
            return NULL;
        }
    }
    format->json = json;
    format->count = items->nelts;
    format->items = (struct log_item *)(void *)items->elts;
    return format;
}

const char *log_format_check(const char *text, apr_pool_t *pool)
{
    const char *error;

    (void)log_format_compile(text, false, &error, pool);
    return error;
}
