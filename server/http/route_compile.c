/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a route into the trie of its server. A reload builds thousands of routes
 * in a millisecond or two, so this touches each segment once: no route is ever
 * compared with all others, and equal expressions are compiled once.
 */
#include "http/routes.h"

#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/route_pattern.h"

static void pattern_error(struct diags *diags, const struct route_def *def, const char *words)
{
    conf_error(diags, def->pub.node, def->pattern_arg, "%s", words);
}

/* One an expression and mode in the whole app. */
struct regex *route_shared_regex(struct route_set *set, const struct route_def *def,
                                 const char *text, size_t len, enum regex_mode mode,
                                 struct diags *diags)
{
    struct regex *regex = apr_hash_get(set->expressions[mode], text, (apr_ssize_t)len);
    const char *why = NULL;
    size_t offset = 0;
    char *own;

    if (regex) {
        return regex;
    }
    own = apr_pstrmemdup(set->pool, text, len);
    regex = regex_compile(own, mode, &why, &offset, set->pool);
    if (regex == NULL) {
        conf_error(diags, def->pub.node, def->pattern_arg,
                   "the expression %s is wrong at its byte %zu: %s", own, offset + 1, why);
        return NULL;
    }
    apr_hash_set(set->expressions[mode], own, (apr_ssize_t)len, regex);
    return regex;
}

static struct regex *segment_regex(struct route_set *set, const struct route_def *def,
                                   const struct segment *segment, struct diags *diags)
{
    const char *last = set->last_regex ? regex_text(set->last_regex) : "";

    if (strncmp(last, segment->text, segment->len) != 0 || last[segment->len] != '\0') {
        set->last_regex =
            route_shared_regex(set, def, segment->text, segment->len, REGEX_WHOLE, diags);
    }
    return set->last_regex;
}

static struct trie_node *add_expression(struct route_set *set, struct trie_node *parent,
                                        const struct route_def *def, const struct segment *segment,
                                        struct diags *diags)
{
    struct expression_node *found = route_expression(set, parent, segment->text, segment->len);
    struct regex *regex = found ? NULL : segment_regex(set, def, segment, diags);

    if (found) {
        return &found->node;
    }
    return regex ? route_add_expression(set, parent, segment->text, segment->len, regex, def->order)
                 : NULL;
}

static bool add_param(struct route_set *set, struct route_def *def, const char *names[],
                      const struct segment *segment, struct diags *diags)
{
    for (int i = 0; i < def->param_count; i++) {
        if (strncmp(names[i], segment->name, segment->name_len) == 0 &&
            names[i][segment->name_len] == '\0') {
            conf_error(diags, def->pub.node, def->pattern_arg,
                       "the parameter %s stands in it twice", names[i]);
            return false;
        }
    }
    if (def->param_count == ROUTE_PARAMS_MAX) {
        conf_error(diags, def->pub.node, def->pattern_arg, "it has more than %d parameters",
                   ROUTE_PARAMS_MAX);
        return false;
    }
    names[def->param_count++] = apr_pstrmemdup(set->pool, segment->name, segment->name_len);
    return true;
}

void route_equal_error(struct diags *diags, const struct route_def *def,
                       const struct route_def *other)
{
    const struct conf_node *node = other->pub.node;

    conf_error(diags, def->pub.node, def->pattern_arg, "the same route as in line %u of %s: %s %s",
               node->line, node->file->path, other->pub.method, other->pub.pattern);
}

/* Two lines for the same method and shape in one server can only be a mistake. */
static void add_end(struct route_def **list, struct route_def *def, struct diags *diags)
{
    for (const struct route_def *other = *list; other; other = other->next_here) {
        if (other->methods & def->methods) {
            route_equal_error(diags, def, other);
            return;
        }
    }
    def->next_here = *list;
    *list = def;
}

/* Literal segments of the <Location> around it: "/api/v1". */
static struct trie_node *walk_base(struct route_set *set, struct trie_node *node, const char *base,
                                   unsigned *depth)
{
    while (*base == '/') {
        const char *end = strchrnul(base + 1, '/');

        node = route_add_child(set, node, base + 1, (size_t)(end - base - 1));
        (*depth)++;
        base = end;
    }
    return node;
}

/* The node for one segment, NULL after an error. */
static struct trie_node *add_segment(struct route_set *set, struct trie_node *node,
                                     struct route_def *def, const char *names[],
                                     const struct segment *segment, struct diags *diags)
{
    if (segment->kind == SEGMENT_WRONG) {
        pattern_error(diags, def, segment->error);
        return NULL;
    }
    if (segment->kind == SEGMENT_LITERAL) {
        return route_add_child(set, node, segment->text, segment->len);
    }
    if (!add_param(set, def, names, segment, diags)) {
        return NULL;
    }
    if (segment->kind == SEGMENT_EXPRESSION) {
        return add_expression(set, node, def, segment, diags);
    }
    if (segment->kind == SEGMENT_ANY && node->any == NULL) {
        node->any = apr_pcalloc(set->pool, sizeof(*node));
    }
    return segment->kind == SEGMENT_ANY ? node->any : node;
}

/* Where the pattern starts behind base: at a segment, or NULL where it is
 * base itself. false where the pattern cannot stand here. */
static bool pattern_start(const struct route_def *def, const char *base, const char **at)
{
    const char *pattern = def->pub.pattern;

    if (*pattern == '/') {
        *at = pattern + 1;
    }
    else if (base == NULL) {
        return false;
    }
    else {
        *at = *pattern == '\0' && *base != '\0' ? NULL : pattern;
    }
    return true;
}

static void compile_pattern(struct route_set *set, struct route_table *table, struct route_def *def,
                            const char *base, struct diags *diags)
{
    const char *names[ROUTE_PARAMS_MAX];
    const char *at;
    unsigned depth = 0;
    struct trie_node *node;
    struct segment segment;

    if (!pattern_start(def, base, &at)) {
        pattern_error(diags, def,
                      "a pattern begins with '/', or with '~' where it is an expression");
        return;
    }
    def->param_count = 0;
    node = walk_base(set, &table->root, base ? base : "", &depth);
    pattern_next(&at, &segment);
    while (segment.kind != SEGMENT_END) {
        node = add_segment(set, node, def, names, &segment, diags);
        if (node == NULL) {
            return;
        }
        depth++;
        if (segment.kind == SEGMENT_TAIL) {
            break;
        }
        pattern_next(&at, &segment);
    }
    if (segment.kind == SEGMENT_TAIL && at) {
        pattern_error(diags, def, "{name...} takes the rest of the path: it stands last");
        return;
    }
    if (depth > ROUTE_DEPTH_MAX) {
        conf_error(diags, def->pub.node, def->pattern_arg, "it has more than %d segments",
                   ROUTE_DEPTH_MAX);
        return;
    }
    if (depth > set->depth) {
        set->depth = depth;
    }
    def->params = apr_pmemdup(set->pool, names, (size_t)def->param_count * sizeof(names[0]));
    add_end(segment.kind == SEGMENT_TAIL ? &node->tail : &node->end, def, diags);
}

void route_compile(struct route_set *set, struct route_table *table, struct route_def *def,
                   struct diags *diags)
{
    const struct section *section = def->location ? def->location->section : NULL;

    def->section = section;
    if (def->is_regex) {
        route_compile_regex(set, table, def, diags);
    }
    else if (section && section_base(section) == NULL) {
        pattern_error(diags, def,
                      "inside a section with wildcards or an expression a route is '~ REGEX'");
    }
    else {
        compile_pattern(set, table, def, section ? section_base(section) : NULL, diags);
    }
}
