/* SPDX-License-Identifier: Apache-2.0 */
/* Text and memory for modules. */

#include "http/request_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

void *ins_alloc(ins_request *r, size_t size)
{
    return apr_pcalloc(r->pool, size);
}

char *ins_strdup(ins_request *r, const char *text)
{
    return apr_pstrdup(r->pool, text);
}

char *pool_vprintf(apr_pool_t *pool, const char *format, va_list args)
{
    va_list again;
    char *text;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0) {
        return apr_pstrdup(pool, "");
    }
    text = apr_palloc(pool, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    return text;
}

char *ins_sprintf(ins_request *r, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = pool_vprintf(r->pool, format, args);
    va_end(args);
    return text;
}

static const char *escaped(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

const char *ins_escape_html(ins_request *r, const char *text)
{
    size_t len = 0;
    char *copy, *at;

    for (const char *p = text; *p; p++) {
        const char *e = escaped(*p);

        len += e ? strlen(e) : 1;
    }
    copy = at = apr_palloc(r->pool, len + 1);
    for (; *text; text++) {
        const char *e = escaped(*text);

        if (e) {
            at = memcpy(at, e, strlen(e));
            at += strlen(e);
        }
        else {
            *at++ = *text;
        }
    }
    *at = '\0';
    return copy;
}
