/* SPDX-License-Identifier: Apache-2.0 */
/* conf_error() speaks of the text; a port in use or a module that crashes is
 * no fault of the text, but the line that asked for it is where to look. */
#include "master/place.h"

#include <stdarg.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"

/* A continued line's argument may stand on a later line than its name. */
static unsigned line_at(const struct conf_node *node, size_t at)
{
    unsigned line = node->line;

    for (size_t i = node->at; i < at; i++) {
        line += node->file->text[i] == '\n';
    }
    return line;
}

static void add(struct diags *diags, enum diag_stage stage, const struct conf_node *node, size_t at,
                const char *words)
{
    const char *text = node->file->text;
    size_t start = at, end = at;
    unsigned column;

    while (start > 0 && text[start - 1] != '\n') {
        start--;
    }
    while (end < node->file->length && text[end] != '\n') {
        end++;
    }
    column = (unsigned)(at - start) + 1;
    diags_add(diags, stage, DIAG_ERROR, node->file->path, line_at(node, at), column, "%s", words);
    diags_excerpt(diags, text + start, end - start, column);
}

void place_error(struct diags *diags, enum diag_stage stage, const struct conf_node *node, int arg,
                 const char *format, ...)
{
    const char *words;
    va_list args;

    va_start(args, format);
    words = apr_pvsprintf(diags->pool, format, args);
    va_end(args);
    if (node == NULL) {
        diags_add(diags, stage, DIAG_ERROR, NULL, 0, 0, "%s", words);
        return;
    }
    add(diags, stage, node, arg >= 0 && arg < node->argc ? node->arg_at[arg] : node->at, words);
}
