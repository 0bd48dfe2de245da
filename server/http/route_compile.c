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

uint32_t route_text_hash(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    }
    return hash;
}

/* The place in the table of a literal below parent; its lowest bit is clear. */
static uint32_t child_hash(const struct trie_node *parent, uint32_t text_hash)
{
    uint32_t hash = (text_hash ^ (uint32_t)((uintptr_t)parent >> 4)) * 0x9e3779b1u;

    return (hash ^ hash >> 15) & ~(uint32_t)EXPRESSION_BIT;
}

static struct trie_node **bucket_of(const struct route_set *set, uint32_t hash)
{
    return &set->buckets[hash >> 1 & (set->bucket_count - 1)];
}

static struct trie_node *find_node(const struct route_set *set, const struct trie_node *parent,
                                   const char *text, size_t len, uint32_t hash)
{
    struct trie_node *node = parent->is_parent ? *bucket_of(set, hash) : NULL;

    while (node && (node->hash != hash || node->parent != parent || node->len != len ||
                    memcmp(node->text, text, len) != 0)) {
        node = node->chain;
    }
    return node;
}

struct trie_node *route_child(const struct route_set *set, const struct trie_node *parent,
                              const char *text, size_t len, uint32_t text_hash)
{
    return find_node(set, parent, text, len, child_hash(parent, text_hash));
}

static uint32_t expression_hash(const struct trie_node *parent, const char *text, size_t len)
{
    return child_hash(parent, route_text_hash(text, len)) | EXPRESSION_BIT;
}

struct expression_node *route_expression(const struct route_set *set,
                                         const struct trie_node *parent, const char *text,
                                         size_t len)
{
    return (struct expression_node *)(void *)find_node(set, parent, text, len,
                                                       expression_hash(parent, text, len));
}

static void grow_buckets(struct route_set *set)
{
    uint32_t count = set->bucket_count * 4;
    struct trie_node **buckets = apr_pcalloc(set->pool, count * sizeof(struct trie_node *));

    for (uint32_t i = 0; i < set->bucket_count; i++) {
        struct trie_node *node = set->buckets[i];

        while (node) {
            struct trie_node *next = node->chain;

            node->chain = buckets[node->hash >> 1 & (count - 1)];
            buckets[node->hash >> 1 & (count - 1)] = node;
            node = next;
        }
    }
    set->buckets = buckets;
    set->bucket_count = count;
}

static void link_node(struct route_set *set, struct trie_node *node, struct trie_node *parent,
                      const char *text, size_t len, uint32_t hash)
{
    struct trie_node **bucket;

    if (set->node_count++ >= set->bucket_count) {
        grow_buckets(set);
    }
    parent->is_parent = 1;
    node->parent = parent;
    node->text = text;
    node->len = (uint32_t)len & 0x7fffffffu;
    node->hash = hash;
    bucket = bucket_of(set, hash);
    node->chain = *bucket;
    *bucket = node;
}

static struct trie_node *add_child(struct route_set *set, struct trie_node *parent,
                                   const char *text, size_t len)
{
    uint32_t hash = child_hash(parent, route_text_hash(text, len));
    struct trie_node *node = find_node(set, parent, text, len, hash);

    if (node == NULL) {
        node = apr_pcalloc(set->pool, sizeof(*node));
        link_node(set, node, parent, text, len, hash);
    }
    return node;
}

static void pattern_error(struct diags *diags, const struct route_def *def, const char *words)
{
    conf_error(diags, def->pub.node, def->pattern_arg, "%s", words);
}

/* One an expression and mode in the whole app. */
static struct regex *shared_regex(struct route_set *set, const struct route_def *def,
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
        set->last_regex = shared_regex(set, def, segment->text, segment->len, REGEX_WHOLE, diags);
    }
    return set->last_regex;
}

static struct trie_node *add_expression(struct route_set *set, struct trie_node *parent,
                                        const struct route_def *def, const struct segment *segment,
                                        struct diags *diags)
{
    uint32_t hash = expression_hash(parent, segment->text, segment->len);
    struct trie_node *found = find_node(set, parent, segment->text, segment->len, hash);
    struct regex *regex = found ? NULL : segment_regex(set, def, segment, diags);
    struct expression_node *node;

    if (regex == NULL) {
        return found;
    }
    node = apr_pcalloc(set->pool, sizeof(*node));
    node->regex = regex;
    node->order = def->order;
    link_node(set, &node->node, parent, segment->text, segment->len, hash);
    node->next = node;
    if (parent->last_expr) {
        node->next = parent->last_expr->next;
        parent->last_expr->next = node;
    }
    parent->last_expr = node;
    return &node->node;
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

static void equal_error(struct diags *diags, const struct route_def *def,
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
            equal_error(diags, def, other);
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

        node = add_child(set, node, base + 1, (size_t)(end - base - 1));
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
        return add_child(set, node, segment->text, segment->len);
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

/* Lines with this expression in this section and server are chained. */
static bool add_equal(struct route_set *set, const struct route_table *table, struct route_def *def,
                      struct diags *diags)
{
    char *key = apr_psprintf(set->pool, "%pp %s\n%s", (const void *)table, def->pub.pattern,
                             def->section ? section_text(def->section) : "");

    def->equal = apr_hash_get(set->regex_routes, key, APR_HASH_KEY_STRING);
    for (const struct route_def *other = def->equal; other; other = other->equal) {
        if (other->methods & def->methods) {
            equal_error(diags, def, other);
            return false;
        }
    }
    apr_hash_set(set->regex_routes, key, APR_HASH_KEY_STRING, def);
    return true;
}

/* Is there an alternative outside every group? Errs towards yes. */
static bool has_alternatives(const char *text)
{
    int depth = 0;

    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0') {
            text++;
        }
        else if (*text == '(') {
            depth++;
        }
        else if (*text == ')') {
            depth--;
        }
        else if (*text == '|' && depth <= 0) {
            return true;
        }
    }
    return false;
}

/* What each path that matches must begin with: spares most expressions a run. */
static size_t literal_prefix(const char *text, const char **prefix)
{
    size_t len;

    *prefix = text + 1;
    if (*text != '^' || has_alternatives(text)) {
        return 0;
    }
    len = strcspn(*prefix, "\\^$.[|()?*+{");
    if (len > 0 && strchr("?*{", (*prefix)[len]) && (*prefix)[len] != '\0') {
        len--;
    }
    return len;
}

static void compile_regex(struct route_set *set, struct route_table *table, struct route_def *def,
                          struct diags *diags)
{
    const char *text = def->pub.pattern;
    int count = 0;

    def->regex = shared_regex(set, def, text, strlen(text), REGEX_SEARCH, diags);
    if (def->regex == NULL) {
        return;
    }
    while (regex_group_name(def->regex, count)) {
        count++;
    }
    if (count > ROUTE_PARAMS_MAX) {
        conf_error(diags, def->pub.node, def->pattern_arg, "it has more than %d named groups",
                   ROUTE_PARAMS_MAX);
        return;
    }
    def->param_count = count;
    def->prefix_len = literal_prefix(text, &def->prefix);
    if (!add_equal(set, table, def, diags)) {
        return;
    }
    if (table->last_regex) {
        table->last_regex->next_here = def;
    }
    else {
        table->regexes = def;
    }
    table->last_regex = def;
}

void route_compile(struct route_set *set, struct route_table *table, struct route_def *def,
                   struct diags *diags)
{
    const struct section *section = def->location ? def->location->section : NULL;

    def->section = section;
    if (def->is_regex) {
        compile_regex(set, table, def, diags);
    }
    else if (section && section_base(section) == NULL) {
        pattern_error(diags, def,
                      "inside a section with wildcards or an expression a route is '~ REGEX'");
    }
    else {
        compile_pattern(set, table, def, section ? section_base(section) : NULL, diags);
    }
}
