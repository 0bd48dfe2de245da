/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and warnings about a node: the place is found again in the file's
 * text, so that nodes need not carry more than offsets. */
#include "config/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The physical line around an offset. */
struct place {
    unsigned line, column;
    const char *text;
    size_t length;
};

static void find_place(struct place *place, const struct conf_node *node, int arg)
{
    const struct conf_file *file = node->file;
    uint32_t at = arg >= 0 && arg < node->argc ? node->arg_at[arg] : node->at;
    const char *start = file->text + at, *end;

    /* an argument may stand on a continuation line */
    place->line = node->line;
    for (const char *nl = file->text + node->at; (nl = memchr(nl, '\n', (size_t)(start - nl)));) {
        nl++;
        place->line++;
    }
    while (start > file->text && start[-1] != '\n') {
        start--;
    }
    end = memchr(file->text + at, '\n', file->length - at);
    if (!end) {
        end = file->text + file->length;
    }
    if (end > start && end[-1] == '\r') {
        end--;
    }
    place->column = (unsigned)(at - (size_t)(start - file->text)) + 1;
    place->text = start;
    place->length = (size_t)(end - start);
}

/* Not apr_pvsprintf(): it does not know all of printf's formats. */
static const char *words(apr_pool_t *pool, const char *format, va_list args)
{
    va_list again;
    char *text;
    int length;

    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        return format;
    }
    text = apr_palloc(pool, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

static void report(struct diags *diags, enum diag_stage stage, enum diag_severity severity,
                   const struct conf_node *node, int arg, const char *format, va_list args)
{
    struct place place;

    /* a broken file can have a million errors: counted, but not worth the words */
    if (diags->errors + diags->warnings >= DIAGS_KEPT) {
        diags_add(diags, stage, severity, NULL, 0, 0, "more");
        return;
    }
    find_place(&place, node, arg);
    diags_add(diags, stage, severity, node->file->path, place.line, place.column, "%s",
              words(diags->pool, format, args));
    diags_excerpt(diags, place.text, place.length, place.column);
}

void conf_error(struct diags *diags, const struct conf_node *node, int arg, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(diags, DIAG_CONFIG, DIAG_ERROR, node, arg, format, args);
    va_end(args);
}

void conf_warn(struct diags *diags, const struct conf_node *node, int arg, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(diags, DIAG_CONFIG, DIAG_WARNING, node, arg, format, args);
    va_end(args);
}

void conf_report(struct diags *diags, enum diag_stage stage, enum diag_severity severity,
                 const struct conf_node *node, int arg, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(diags, stage, severity, node, arg, format, args);
    va_end(args);
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* FNV-1a */
uint32_t conf_hash(const char *name)
{
    uint32_t hash = 2166136261u;

    for (; *name; name++) {
        hash = (hash ^ lower(*name)) * 16777619u;
    }
    return hash;
}

bool conf_is(const struct conf_node *node, const char *name)
{
    return node->name && strcasecmp(node->name, name) == 0;
}
