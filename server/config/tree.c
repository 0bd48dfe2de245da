/* SPDX-License-Identifier: Apache-2.0 */
/* Lines become nodes. A node, its arguments and their places are one piece of
 * memory: a config may have 100,000 of them, and each reload makes them anew. */
#include "config/reader.h"

#include <string.h>

static void reserve_words(struct conf_reader *rd, int used)
{
    struct word *bigger;
    int size = rd->words_size ? 2 * rd->words_size : 32;

    if (used < rd->words_size) {
        return;
    }
    bigger = apr_palloc(rd->temp, (size_t)size * sizeof(*bigger));
    if (used > 0) {
        memcpy(bigger, rd->words, (size_t)used * sizeof(*bigger));
    }
    rd->words = bigger;
    rd->words_size = size;
}

/* Fills rd->words; returns their number. */
static int split(struct conf_reader *rd, const char *text, size_t from, size_t to)
{
    int count = 0;

    reserve_words(rd, count);
    while (word_next(text, to, &from, &rd->words[count])) {
        count++;
        reserve_words(rd, count);
    }
    return count;
}

static char *copy(char **space, const char *text, size_t length)
{
    char *out = *space;

    memcpy(out, text, length);
    out[length] = '\0';
    *space += length + 1;
    return out;
}

static void report_unclosed(struct conf_reader *rd, const struct conf_node *node, int count)
{
    if (count > 0 && rd->words[count - 1].unclosed) {
        conf_error(rd->diags, node, count - 1, "a quote is opened here and never closed");
    }
}

struct conf_node *node_create(struct conf_reader *rd, const struct logical_line *line,
                              const struct word *name, size_t from, size_t to)
{
    int count = split(rd, line->text, from, to);
    size_t words_at = sizeof(struct conf_node), offsets_at, text_at;
    struct conf_node *node;
    const char **argv;
    uint32_t *offsets;
    char *block, *space;

    while (from < to && lexer_space(line->text[from])) {
        from++;
    }
    offsets_at = words_at + ((size_t)count + 1) * sizeof(char *);
    text_at = offsets_at + (size_t)count * sizeof(uint32_t);
    /* words are never longer than the text they come from */
    block = apr_palloc(rd->pool, text_at + (name->end - name->start + 1) + 2 * (to - from + 1) +
                                     (size_t)count);
    node = (struct conf_node *)(void *)block;
    argv = (const char **)(void *)(block + words_at);
    offsets = (uint32_t *)(void *)(block + offsets_at);
    space = block + text_at;

    memset(node, 0, sizeof(*node));
    node->name = space;
    space += word_copy(line->text, name, space) + 1;
    node->hash = conf_hash(node->name);
    node->raw = copy(&space, line->text + from, to - from);
    for (int i = 0; i < count; i++) {
        argv[i] = space;
        space += word_copy(line->text, &rd->words[i], space) + 1;
        offsets[i] = lexer_offset(line, rd->words[i].start - (rd->words[i].quote ? 1 : 0));
    }
    argv[count] = NULL;
    node->argc = count;
    node->argv = argv;
    node->arg_at = offsets;
    node->parent = rd->parent;
    node->file = rd->reading->file;
    node->line = line->line;
    node->column = line->column;
    node->at = lexer_offset(line, 0);
    report_unclosed(rd, node, count);
    return node;
}

void node_attach(struct conf_reader *rd, struct conf_node *node)
{
    *rd->tail = node;
    rd->tail = &node->next;
}
