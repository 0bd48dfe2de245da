/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest layer of the config language, byte for byte as httpd reads it: a
 * backslash before the line's end joins lines (in comments too), comments fill
 * whole lines, and a backslash inside a word escapes only itself and the quote around it.
 * Lines without continuation are not copied: most configs have few of these. */
#include "config/lexer.h"

#include <string.h>

bool lexer_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A line of the file without its end; *next is where the following one begins. */
static size_t physical_line(const struct conf_file *file, size_t at, size_t *next, bool *ended)
{
    const char *start = file->text + at;
    const char *end = memchr(start, '\n', file->length - at);
    size_t length;

    *ended = end != NULL;
    if (!end) {
        *next = file->length;
        return file->length - at;
    }
    length = (size_t)(end - start);
    *next = at + length + 1;
    if (length > 0 && start[length - 1] == '\r') {
        length--;
    }
    return length;
}

static void reserve_text(struct lexer_scratch *scratch, size_t used, size_t needed)
{
    char *bigger;
    size_t size = scratch->text_size ? scratch->text_size : 1024;

    if (needed <= scratch->text_size) {
        return;
    }
    while (size < needed) {
        size *= 2;
    }
    bigger = apr_palloc(scratch->pool, size);
    if (used > 0) {
        memcpy(bigger, scratch->text, used);
    }
    scratch->text = bigger;
    scratch->text_size = size;
}

static void add_join(struct lexer_scratch *scratch, int count, size_t at, size_t offset)
{
    if (count == scratch->joins_size) {
        int size = count ? 2 * count : 16;
        struct lexer_join *bigger = apr_palloc(scratch->pool, (size_t)size * sizeof(*bigger));

        if (count > 0) {
            memcpy(bigger, scratch->joins, (size_t)count * sizeof(*bigger));
        }
        scratch->joins = bigger;
        scratch->joins_size = size;
    }
    scratch->joins[count] = (struct lexer_join){ .at = at, .offset = (uint32_t)offset };
}

/* Joins the lines from lexer->at on, as long as they end in a backslash. What
 * goes over CONF_LINE_MAX is skipped. */
static void join_lines(struct lexer *lexer, struct logical_line *line)
{
    struct lexer_scratch *scratch = lexer->scratch;
    size_t used = 0;
    bool more = true;

    line->join_count = 0;
    while (more && lexer->at < lexer->file->length) {
        size_t next, start = lexer->at;
        bool ended;
        size_t length = physical_line(lexer->file, start, &next, &ended);

        more = ended && length > 0 && lexer->file->text[start + length - 1] == '\\';
        length -= more ? 1 : 0;
        if (used + length > CONF_LINE_MAX) {
            line->too_long = true;
            length = CONF_LINE_MAX - used;
        }
        reserve_text(scratch, used, used + length + 1);
        memcpy(scratch->text + used, lexer->file->text + start, length);
        add_join(scratch, line->join_count++, used, start);
        used += length;
        lexer->at = next;
        lexer->line++;
    }
    line->text = scratch->text;
    line->length = used;
    line->joins = scratch->joins;
}

/* The line that starts at lexer->at, untrimmed. */
static void take_line(struct lexer *lexer, struct logical_line *line)
{
    size_t next;
    bool ended;
    size_t length = physical_line(lexer->file, lexer->at, &next, &ended);
    const char *text = lexer->file->text + lexer->at;
    struct lexer_scratch *scratch = lexer->scratch;

    line->line = lexer->line;
    line->too_long = false;
    if (ended && length > 0 && text[length - 1] == '\\') {
        join_lines(lexer, line);
        return;
    }
    add_join(scratch, 0, 0, lexer->at);
    line->joins = scratch->joins;
    line->join_count = 1;
    line->too_long = length > CONF_LINE_MAX;
    line->text = text;
    line->length = line->too_long ? CONF_LINE_MAX : length;
    lexer->at = next;
    lexer->line++;
}

static int join_of(const struct logical_line *line, size_t at)
{
    int low = 0, high = line->join_count - 1;

    while (low < high) {
        int middle = (low + high + 1) / 2;

        if (line->joins[middle].at <= at) {
            low = middle;
        }
        else {
            high = middle - 1;
        }
    }
    return low;
}

static void trim(struct logical_line *line)
{
    size_t lead = 0;

    while (lead < line->length && lexer_space(line->text[lead])) {
        lead++;
    }
    while (line->length > lead && lexer_space(line->text[line->length - 1])) {
        line->length--;
    }
    line->lead = lead;
    line->text += lead;
    line->length -= lead;
}

/* Where the text begins: the lines before it may hold nothing but their backslash. */
static void find_start(struct logical_line *line)
{
    int join = join_of(line, line->lead);

    line->line += (unsigned)join;
    line->column = (unsigned)(line->lead - line->joins[join].at) + 1;
}

bool lexer_next(struct lexer *lexer, struct logical_line *line)
{
    while (lexer->at < lexer->file->length) {
        take_line(lexer, line);
        trim(line);
        if (line->length > 0 && line->text[0] != '#') {
            find_start(line);
            return true;
        }
    }
    return false;
}

uint32_t lexer_offset(const struct logical_line *line, size_t at)
{
    const struct lexer_join *join = &line->joins[join_of(line, at + line->lead)];

    return join->offset + (join->replaced ? 0 : (uint32_t)(at + line->lead - join->at));
}

void lexer_copy_start(struct lexer_scratch *scratch, const struct logical_line *from,
                      struct logical_line *out)
{
    *out = *from;
    out->length = out->lead = 0;
    out->join_count = 0;
    reserve_text(scratch, 0, 1);
    out->text = scratch->text;
}

static void append(struct lexer_scratch *scratch, const char *text, size_t length, uint32_t offset,
                   struct logical_line *out)
{
    reserve_text(scratch, out->length, out->length + length + 1);
    add_join(scratch, out->join_count++, out->length, offset);
    memcpy(scratch->text + out->length, text, length);
    out->length += length;
    out->text = scratch->text;
    out->joins = scratch->joins;
}

void lexer_copy(struct lexer_scratch *scratch, const struct logical_line *from, size_t at,
                size_t length, struct logical_line *out)
{
    const size_t end = at + length;

    while (at < end) {
        int join = join_of(from, at + from->lead);
        size_t to = end;

        if (join + 1 < from->join_count && from->joins[join + 1].at - from->lead < end) {
            to = from->joins[join + 1].at - from->lead;
        }
        append(scratch, from->text + at, to - at, lexer_offset(from, at), out);
        at = to;
    }
}

void lexer_copy_value(struct lexer_scratch *scratch, const struct logical_line *from, size_t at,
                      const char *value, struct logical_line *out)
{
    append(scratch, value, strlen(value), lexer_offset(from, at), out);
    scratch->joins[out->join_count - 1].replaced = true;
}

void lexer_copy_end(struct logical_line *out)
{
    trim(out);
}

static bool escapes(const char *text, size_t length, size_t at, char quote)
{
    return text[at] == '\\' && at + 1 < length &&
           (text[at + 1] == '\\' || (quote && text[at + 1] == quote));
}

bool word_next(const char *text, size_t length, size_t *at, struct word *word)
{
    size_t i = *at;

    while (i < length && lexer_space(text[i])) {
        i++;
    }
    *at = i;
    if (i == length) {
        return false;
    }
    word->quote = text[i] == '"' || text[i] == '\'' ? text[i] : '\0';
    word->unclosed = false;
    if (word->quote == '\0') {
        word->start = i;
        while (i < length && !lexer_space(text[i])) {
            i++;
        }
        word->end = i;
        *at = i;
        return true;
    }
    word->start = ++i;
    while (i < length && text[i] != word->quote) {
        i += escapes(text, length, i, word->quote) ? 2 : 1;
    }
    word->unclosed = i >= length;
    word->end = i;
    *at = word->unclosed ? length : i + 1;
    return true;
}

size_t word_copy(const char *text, const struct word *word, char *out)
{
    size_t length = word->end - word->start, n = 0;

    if (!memchr(text + word->start, '\\', length)) {
        memcpy(out, text + word->start, length);
        out[length] = '\0';
        return length;
    }
    for (size_t i = word->start; i < word->end; i++) {
        if (escapes(text, word->end, i, word->quote)) {
            i++;
        }
        out[n++] = text[i];
    }
    out[n] = '\0';
    return n;
}
