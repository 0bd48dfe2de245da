/* SPDX-License-Identifier: Apache-2.0 */
/* <Container> and </Container>: what is open, what it does with the lines
 * inside, and whether begin and end fit. A container must end in the file that
 * it began in. What a false condition skips is still checked for that. */
#include "config/reader.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

/* From at: to the white space, '>' or end behind a container's name. */
static size_t name_end(const struct logical_line *line, size_t at)
{
    while (at < line->length && !lexer_space(line->text[at]) && line->text[at] != '>') {
        at++;
    }
    return at;
}

/* Where the arguments end: at the last '>', as httpd takes it. The line's length where
 * there is none. */
static size_t find_bracket(const struct logical_line *line, size_t from)
{
    const char *bracket;

    if (from < line->length && line->text[from] == '>') {
        return from;
    }
    bracket = memrchr(line->text + from, '>', line->length - from);
    return bracket ? (size_t)(bracket - line->text) : line->length;
}

/* httpd drops what follows without a word, and with it directives that somebody
 * wrote there; a comment it may be. */
static void check_trailing(struct conf_reader *rd, const struct logical_line *line,
                           const struct conf_node *node, size_t bracket)
{
    size_t at = bracket + 1;

    while (at < line->length && lexer_space(line->text[at])) {
        at++;
    }
    if (at < line->length && line->text[at] == '#') {
        conf_warn(rd->diags, node, -1, "a comment needs a line of its own: this one is ignored");
    }
    else if (at < line->length) {
        conf_error(rd->diags, node, -1, "nothing may follow the '>': begin a new line");
    }
}

static struct open_container *push(struct conf_reader *rd, const struct conf_node *node, bool skips)
{
    struct open_container *container = apr_pcalloc(rd->temp, sizeof(*container));

    container->outer = rd->open;
    container->node = node;
    container->skips = skips;
    rd->open = container;
    rd->nesting++;
    rd->skipping += skips ? 1 : 0;
    return container;
}

static void pop(struct conf_reader *rd)
{
    struct open_container *container = rd->open;

    if (container->tail) {
        rd->parent = container->parent;
        rd->tail = container->tail;
    }
    rd->open = container->outer;
    rd->nesting--;
    rd->skipping -= container->skips ? 1 : 0;
}

/* A container of the tree: what follows becomes its children. */
static void enter(struct conf_reader *rd, struct conf_node *node)
{
    struct open_container *container = push(rd, node, false);

    node_attach(rd, node);
    container->parent = rd->parent;
    container->tail = rd->tail;
    rd->parent = node;
    rd->tail = &node->children;
}

static void open_line(struct conf_reader *rd, const struct logical_line *line)
{
    struct word name = { .start = 1, .end = name_end(line, 1) };
    size_t bracket = find_bracket(line, name.end);
    struct conf_node *node = node_create(rd, line, &name, name.end, bracket);
    struct known *known;

    node->container = true;
    if (name.end == name.start) {
        conf_error(rd->diags, node, -1, "a container's name must follow the '<'");
        return;
    }
    if (bracket == line->length) {
        conf_error(rd->diags, node, -1, "<%s lacks its closing '>'", node->name);
    }
    check_trailing(rd, line, node, bracket);
    if (rd->nesting >= CONF_DEPTH_MAX) {
        conf_error(rd->diags, node, -1, "containers are nested deeper than %d", CONF_DEPTH_MAX);
        rd->stop = true;
        return;
    }
    if (rd->skipping) {
        push(rd, node, true);
        return;
    }
    known = known_find(rd->known, node);
    if (known && known->condition) {
        push(rd, node, !known->condition(rd, node));
        return;
    }
    enter(rd, node);
}

/* Which of the containers that this file opened the name ends: one of that name,
 * or the innermost, misspelt. NULL: none. */
static const struct open_container *find_open(const struct conf_reader *rd, const char *name)
{
    const struct open_container *container;

    for (container = rd->open; container != rd->reading->base; container = container->outer) {
        if (strcasecmp(container->node->name, name) == 0) {
            return container;
        }
    }
    return rd->open != rd->reading->base && conf_nearest(name, &rd->open->node->name, 1) ? rd->open
                                                                                         : NULL;
}

static void close_line(struct conf_reader *rd, const struct logical_line *line)
{
    struct word name = { .start = 2, .end = name_end(line, 2) };
    size_t bracket = find_bracket(line, name.end);
    const struct conf_node *node = node_create(rd, line, &name, name.end, name.end);
    const struct open_container *ended = find_open(rd, node->name);
    const struct conf_node *inner;

    if (bracket == line->length) {
        conf_error(rd->diags, node, -1, "</%s lacks its closing '>'", node->name);
    }
    check_trailing(rd, line, node, bracket);
    if (rd->open == rd->reading->base) {
        conf_error(rd->diags, node, -1, "</%s> ends nothing: no container is open in this file",
                   node->name);
        return;
    }
    inner = rd->open->node;
    if (strcasecmp(inner->name, node->name) != 0) {
        conf_error(rd->diags, node, -1, "</%s> where </%s> is expected, for the <%s> of line %u",
                   node->name, inner->name, inner->name, inner->line);
    }
    while (ended && rd->open != ended->outer) {
        pop(rd);
    }
}

void container_line(struct conf_reader *rd, const struct logical_line *line)
{
    if (line->length > 1 && line->text[1] == '/') {
        close_line(rd, line);
    }
    else {
        open_line(rd, line);
    }
}

void container_unwind(struct conf_reader *rd, const struct open_container *base)
{
    while (rd->open != base) {
        if (!rd->stop) {
            conf_error(rd->diags, rd->open->node, -1, "<%s> is never closed: </%s> is missing",
                       rd->open->node->name, rd->open->node->name);
        }
        pop(rd);
    }
}
