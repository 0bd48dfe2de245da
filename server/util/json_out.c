/* SPDX-License-Identifier: Apache-2.0 */
/* Why a writer of our own: the control replies are small and flat, and the core
 * takes no library for them. Memory grows by doubling inside one pool. */
#include "util/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/check.h"
#include "util/utf8.h"

struct jout {
    apr_pool_t *pool;
    char *data;
    size_t len, cap;
    int depth;
    char closing[JOUT_DEPTH]; /* '}' or ']' of each open container */
    bool filled[JOUT_DEPTH];  /* it holds something: the next one needs a comma */
    bool keyed;               /* a key was written, its value is due */
};

static void append(struct jout *j, const char *text, size_t len)
{
    if (j->len + len + 1 > j->cap) {
        size_t cap = (j->len + len + 1) * 2;
        char *data = apr_palloc(j->pool, cap);

        memcpy(data, j->data, j->len);
        j->data = data;
        j->cap = cap;
    }
    memcpy(j->data + j->len, text, len);
    j->len += len;
    j->data[j->len] = '\0';
}

static void escape(struct jout *j, const char *text, size_t len)
{
    static const char short_from[] = "\"\\\b\f\n\r\t", short_to[] = "\"\\bfnrt";
    char buf[8];
    const char *found;

    append(j, "\"", 1);
    while (len > 0) {
        size_t n = utf8_length(text, len);

        if (n == 0) {
            append(j, "\\ufffd", 6);
            n = 1;
        }
        else if (*text != '\0' && (found = strchr(short_from, *text)) != NULL) {
            buf[0] = '\\';
            buf[1] = short_to[found - short_from];
            append(j, buf, 2);
        }
        else if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            (void)snprintf(buf, sizeof(buf), "\\u%04x", (unsigned char)*text);
            append(j, buf, 6);
        }
        else {
            append(j, text, n);
        }
        text += n;
        len -= n;
    }
    append(j, "\"", 1);
}

/* Everything that may stand in an array or behind a key begins here. */
static void begin_value(struct jout *j)
{
    if (j->depth == 0) {
        INS_CHECK(j->len == 0);
        return;
    }
    if (j->closing[j->depth - 1] == '}') {
        INS_CHECK(j->keyed);
        j->keyed = false;
        return;
    }
    if (j->filled[j->depth - 1]) {
        append(j, ", ", 2);
    }
    j->filled[j->depth - 1] = true;
}

static void open_container(struct jout *j, const char *opening, char closing)
{
    begin_value(j);
    INS_CHECK(j->depth < JOUT_DEPTH);
    append(j, opening, 1);
    j->closing[j->depth] = closing;
    j->filled[j->depth] = false;
    j->depth++;
}

static void close_container(struct jout *j, char closing)
{
    INS_CHECK(j->depth > 0 && !j->keyed && j->closing[j->depth - 1] == closing);
    append(j, &closing, 1);
    j->depth--;
}

struct jout *jout_create(apr_pool_t *pool)
{
    struct jout *j = apr_pcalloc(pool, sizeof(*j));

    j->pool = pool;
    j->cap = 512;
    j->data = apr_palloc(pool, j->cap);
    j->data[0] = '\0';
    return j;
}

void jout_object_begin(struct jout *j)
{
    open_container(j, "{", '}');
}

void jout_object_end(struct jout *j)
{
    close_container(j, '}');
}

void jout_array_begin(struct jout *j)
{
    open_container(j, "[", ']');
}

void jout_array_end(struct jout *j)
{
    close_container(j, ']');
}

void jout_key(struct jout *j, const char *name)
{
    INS_CHECK(j->depth > 0 && j->closing[j->depth - 1] == '}' && !j->keyed);
    if (j->filled[j->depth - 1]) {
        append(j, ", ", 2);
    }
    j->filled[j->depth - 1] = true;
    escape(j, name, strlen(name));
    append(j, ": ", 2);
    j->keyed = true;
}

void jout_string(struct jout *j, const char *text)
{
    if (!text) {
        jout_null(j);
        return;
    }
    jout_string_n(j, text, strlen(text));
}

void jout_string_n(struct jout *j, const char *text, size_t len)
{
    begin_value(j);
    escape(j, text, len);
}

void jout_int(struct jout *j, int64_t value)
{
    char buf[24];
    int len = snprintf(buf, sizeof(buf), "%" PRId64, value);

    begin_value(j);
    append(j, buf, (size_t)len);
}

void jout_uint(struct jout *j, uint64_t value)
{
    char buf[24];
    int len = snprintf(buf, sizeof(buf), "%" PRIu64, value);

    begin_value(j);
    append(j, buf, (size_t)len);
}

void jout_bool(struct jout *j, bool value)
{
    begin_value(j);
    append(j, value ? "true" : "false", value ? 4 : 5);
}

void jout_null(struct jout *j)
{
    begin_value(j);
    append(j, "null", 4);
}

const char *jout_text(struct jout *j, size_t *len)
{
    INS_CHECK(j->depth == 0);
    if (len) {
        *len = j->len;
    }
    return j->data;
}
