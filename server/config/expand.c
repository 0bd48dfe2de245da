/* SPDX-License-Identifier: Apache-2.0 */
/* ${VAR} in a line. As in httpd it is replaced before the line is split into words: a
 * value may be a directive's name, or several arguments where no quotes stand around
 * it. Each byte keeps the place that it has in the file, for messages. */
#include "config/reader.h"

#include <string.h>

#include <apr_strings.h>

/* A node for the place of line[at] alone. */
static void warn_undefined(struct conf_reader *rd, const struct logical_line *line, size_t at,
                           const char *name)
{
    const uint32_t offset = lexer_offset(line, at);
    const struct conf_node place = { .file = rd->reading->file,
                                     .line = line->line,
                                     .at = lexer_offset(line, 0),
                                     .argc = 1,
                                     .arg_at = &offset };

    conf_warn(rd->diags, &place, 0, "${%s} is not defined: kept as it is", name);
}

static void too_long(struct conf_reader *rd, const struct logical_line *line)
{
    const struct conf_node place = { .file = rd->reading->file,
                                     .line = line->line,
                                     .at = lexer_offset(line, 0) };

    conf_error(rd->diags, &place, -1, "too long once its variables are replaced");
    rd->stop = rd->total > CONF_TOTAL_MAX;
}

/* The "${" at or behind at with a '}' behind it; *close is told where that is. */
static const char *find_variable(const struct logical_line *line, size_t at, const char **close)
{
    const char *open = memmem(line->text + at, line->length - at, "${", 2);

    *close = open ? memchr(open, '}', (size_t)(line->text + line->length - open)) : NULL;
    return *close ? open : NULL;
}

/* Copies line[at..) up to the variable's end; returns where that is. */
static size_t replace(struct conf_reader *rd, const struct logical_line *line, size_t at,
                      const char *open, const char *close, struct logical_line *out)
{
    const char *name = apr_pstrmemdup(rd->temp, open + 2, (size_t)(close - open - 2));
    const char *value = define_value(rd, name);
    const size_t begin = (size_t)(open - line->text), end = (size_t)(close - line->text) + 1;

    lexer_copy(&rd->expanded, line, at, (value ? begin : end) - at, out);
    if (value) {
        lexer_copy_value(&rd->expanded, line, begin, value, out);
    }
    else if (!strchr(name, ':')) {
        warn_undefined(rd, line, begin, name);
    }
    return end;
}

const struct logical_line *expand_line(struct conf_reader *rd, const struct logical_line *line,
                                       struct logical_line *out)
{
    const char *close, *open = find_variable(line, 0, &close);
    size_t at = 0;

    if (!open) {
        return line;
    }
    lexer_copy_start(&rd->expanded, line, out);
    while (open && out->length <= CONF_LINE_MAX) {
        at = replace(rd, line, at, open, close, out);
        open = find_variable(line, at, &close);
    }
    lexer_copy(&rd->expanded, line, at, line->length - at, out);
    rd->total += out->length;
    if (out->length > CONF_LINE_MAX || rd->total > CONF_TOTAL_MAX) {
        too_long(rd, line);
        return NULL;
    }
    lexer_copy_end(out);
    return out->length > 0 ? out : NULL;
}
