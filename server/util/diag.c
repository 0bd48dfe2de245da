/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting diagnostics. What they say may quote files that anybody wrote, so
 * control characters are taken out here, once, before a terminal can see them. */
#include "util/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

#include "util/check.h"
#include "util/utf8.h"

enum { MESSAGE_MAX = 8192, EXCERPT_WIDTH = 160, EXCERPT_BEFORE = 100 };

static const char *const stage_names[DIAG_STAGES] = { "config", "build", "load", "start", "probe" };

struct diags *diags_create(apr_pool_t *pool)
{
    struct diags *d = apr_pcalloc(pool, sizeof(*d));

    d->pool = pool;
    return d;
}

static bool is_control(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];

    return c < 0x20 || c == 0x7f || (n == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

/* Each control character and each byte that is no text becomes one '?', so that
 * columns stay true; those in but stay. */
static char *printable(const char *text, size_t len, const char *but, apr_pool_t *pool)
{
    char *out = apr_palloc(pool, len + 1), *at = out;

    while (len > 0) {
        size_t n = utf8_length(text, len);

        if (n == 0 || (is_control(text, n) && !(*text && strchr(but, *text)))) {
            *at++ = '?';
            n = n ? n : 1;
        }
        else {
            memcpy(at, text, n);
            at += n;
        }
        text += n;
        len -= n;
    }
    *at = '\0';
    return out;
}

void diags_add(struct diags *d, enum diag_stage stage, enum diag_severity severity,
               const char *file, unsigned line, unsigned column, const char *format, ...)
{
    char words[MESSAGE_MAX];
    struct diag *entry;
    va_list args;

    *(severity == DIAG_ERROR ? &d->errors : &d->warnings) += 1;
    if (d->errors + d->warnings > DIAGS_KEPT) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    entry = apr_pcalloc(d->pool, sizeof(*entry));
    entry->stage = stage;
    entry->severity = severity;
    entry->file = file ? printable(file, strlen(file), "", d->pool) : NULL;
    entry->line = line;
    entry->column = column;
    entry->message = printable(words, strlen(words), "\t", d->pool);
    if (d->last) {
        d->last->next = entry;
    }
    else {
        d->first = entry;
    }
    d->last = entry;
}

/* Moves *start back to where a character begins. */
static void align(const char *text, size_t *start)
{
    while (*start > 0 && ((unsigned char)text[*start] & 0xc0) == 0x80) {
        (*start)--;
    }
}

static char *caret_line(const char *text, size_t before, apr_pool_t *pool)
{
    char *line = apr_palloc(pool, before + 2), *at = line;
    size_t i = 0;

    while (i < before) {
        size_t n = utf8_length(text + i, before - i);

        *at++ = text[i] == '\t' ? '\t' : ' ';
        i += n ? n : 1;
    }
    *at++ = '^';
    *at = '\0';
    return line;
}

void diags_excerpt(struct diags *d, const char *text, size_t len, unsigned column)
{
    size_t start = 0, at = column > 0 ? column - 1 : 0, width;

    /* beyond DIAGS_KEPT the last entry is another one's */
    if (!d->last || d->errors + d->warnings > DIAGS_KEPT) {
        return;
    }
    if (at > len) {
        at = len;
    }
    if (at > EXCERPT_BEFORE) {
        start = at - EXCERPT_BEFORE;
        align(text, &start);
    }
    width = len - start < EXCERPT_WIDTH ? len - start : EXCERPT_WIDTH;
    if (start + width < len) {
        size_t end = start + width;

        align(text, &end);
        width = end - start;
    }
    d->last->excerpt =
        apr_pstrcat(d->pool, "    ", printable(text + start, width, "\t", d->pool),
                    column > 0 ? "\n    " : NULL,
                    column > 0 ? caret_line(text + start, at - start, d->pool) : NULL, NULL);
}

void diag_set_excerpt(struct diag *entry, const char *excerpt, apr_pool_t *pool)
{
    entry->excerpt = excerpt ? printable(excerpt, strlen(excerpt), "\t\n", pool) : NULL;
}

void diags_append(struct diags *to, const struct diags *from)
{
    unsigned errors = to->errors + from->errors, warnings = to->warnings + from->warnings;

    for (const struct diag *e = from->first; e; e = e->next) {
        diags_add(to, e->stage, e->severity, e->file, e->line, e->column, "%s", e->message);
        if (to->errors + to->warnings <= DIAGS_KEPT) {
            diag_set_excerpt(to->last, e->excerpt, to->pool);
        }
    }
    to->errors = errors;
    to->warnings = warnings;
    if (from->output) {
        to->output = to->output ? apr_pstrcat(to->pool, to->output, from->output, NULL)
                                : apr_pstrdup(to->pool, from->output);
    }
}

const char *diag_stage_name(enum diag_stage stage)
{
    INS_CHECK(stage < DIAG_STAGES);
    return stage_names[stage];
}

enum diag_stage diags_stage(const struct diags *d)
{
    enum diag_stage stage = DIAG_STAGES;

    for (const struct diag *e = d->first; e; e = e->next) {
        if (e->severity == DIAG_ERROR && e->stage < stage) {
            stage = e->stage;
        }
    }
    return stage < DIAG_STAGES ? stage : DIAG_CONFIG;
}
