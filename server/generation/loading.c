/* SPDX-License-Identifier: Apache-2.0 */
/* What every step of loading says: where it is, and what is wrong where. */
#include "generation/loading.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void loading_doing(struct loading *l, const char *format, ...)
{
    char words[SB_DOING];
    va_list args;

    if (!l->slot) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    sb_doing(l->slot, "%s", words);
}

/* The line of node's file that node stands in. */
static void add_excerpt(struct diags *d, const struct conf_node *node)
{
    const struct conf_file *file = node->file;
    size_t start = node->at - (node->column - 1);
    const char *end;

    if (node->at >= file->length || node->column > node->at + 1) {
        return;
    }
    end = memchr(file->text + start, '\n', file->length - start);
    diags_excerpt(d, file->text + start,
                  end ? (size_t)(end - file->text) - start : file->length - start, node->column);
}

void loading_error(struct loading *l, enum diag_stage stage, const struct conf_node *node,
                   const char *format, ...)
{
    char words[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    diags_add(l->diags, stage, DIAG_ERROR, node->file->path, node->line, node->column, "%s", words);
    add_excerpt(l->diags, node);
}
