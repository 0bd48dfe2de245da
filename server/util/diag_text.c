/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics as a person reads them, in the compiler's own format, so that an
 * editor can jump to them. */
#include "util/diag.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

static const char red[] = "\033[1;31m", magenta[] = "\033[1;35m", bold[] = "\033[1m",
                  plain[] = "\033[0m";

static const char *place(const struct diag *e, apr_pool_t *pool)
{
    if (!e->file) {
        return "";
    }
    if (e->line == 0) {
        return apr_psprintf(pool, "%s: ", e->file);
    }
    if (e->column == 0) {
        return apr_psprintf(pool, "%s:%u: ", e->file, e->line);
    }
    return apr_psprintf(pool, "%s:%u:%u: ", e->file, e->line, e->column);
}

static const char *entry_text(const struct diag *e, bool colour, apr_pool_t *pool)
{
    bool error = e->severity == DIAG_ERROR;
    const char *word = error ? "error" : "warning", *where = place(e, pool);
    const char *excerpt = e->excerpt ? e->excerpt : "", *end = e->excerpt ? "\n" : "";

    if (colour) {
        return apr_psprintf(pool, "%s%s%s%s%s:%s %s\n%s%s", bold, where, plain,
                            error ? red : magenta, word, plain, e->message, excerpt, end);
    }
    return apr_psprintf(pool, "%s%s: %s\n%s%s", where, word, e->message, excerpt, end);
}

/* The length of the escape sequence at text (ECMA-48), which may be cut off. */
static size_t escape_length(const char *text)
{
    size_t n = 1;

    if (text[1] == '[') {
        n = 2;
        while (text[n] >= 0x20 && text[n] < 0x40) {
            n++;
        }
        return text[n] ? n + 1 : n;
    }
    if (text[1] == ']') {
        /* an operating system command, such as gcc's links: ends with BEL or ESC \ */
        while (text[n] && text[n] != '\a' && text[n] != '\033') {
            n++;
        }
        if (text[n] == '\033' && text[n + 1] == '\\') {
            n++;
        }
        return text[n] ? n + 1 : n;
    }
    return text[1] ? 2 : 1;
}

static const char *strip_escapes(const char *text, apr_pool_t *pool)
{
    char *out = apr_palloc(pool, strlen(text) + 1), *at = out;

    while (*text) {
        if (*text == '\033') {
            text += escape_length(text);
        }
        else {
            *at++ = *text++;
        }
    }
    *at = '\0';
    return out;
}

const char *diags_text(const struct diags *d, bool colour, apr_pool_t *pool)
{
    apr_array_header_t *parts = apr_array_make(pool, 16, sizeof(const char *));
    unsigned listed = 0;

    if (d->output) {
        APR_ARRAY_PUSH(parts, const char *) = colour ? d->output : strip_escapes(d->output, pool);
    }
    for (const struct diag *e = d->first; e; e = e->next) {
        listed++;
        if (e->stage != DIAG_BUILD || !d->output) {
            APR_ARRAY_PUSH(parts, const char *) = entry_text(e, colour, pool);
        }
    }
    if (d->errors + d->warnings > listed) {
        APR_ARRAY_PUSH(parts, const char *) =
            apr_psprintf(pool, "and %u more\n", d->errors + d->warnings - listed);
    }
    return apr_array_pstrcat(pool, parts, '\0');
}
