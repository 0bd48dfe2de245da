/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ~ routes: an expression over the whole path. They cannot share a trie, but most begin
 * with "^/literal/": those are listed by that literal, and tried only for paths
 * that begin so.
 */
#include "http/routes.h"

#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"

/* Lines with this expression in this section and server are chained. */
static bool add_equal(struct route_set *set, const struct route_table *table, struct route_def *def,
                      struct diags *diags)
{
    char *key = apr_psprintf(set->pool, "%pp %s\n%s", (const void *)table, def->pub.pattern,
                             def->section ? section_text(def->section) : "");

    def->equal = apr_hash_get(set->regex_routes, key, APR_HASH_KEY_STRING);
    for (const struct route_def *other = def->equal; other; other = other->equal) {
        if (other->methods & def->methods) {
            route_equal_error(diags, def, other);
            return false;
        }
    }
    apr_hash_set(set->regex_routes, key, APR_HASH_KEY_STRING, def);
    return true;
}

/* Is there an alternative outside every group? Errs towards yes: a bracket in a
 * class would be miscounted, so classes are not looked into. */
static bool has_alternatives(const char *text)
{
    int depth = 0;

    if (strchr(text, '|') && strchr(text, '[')) {
        return true;
    }
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

/* Comments and quotations may stand between a byte and its quantifier, or hold brackets. */
static bool is_simple(const char *text)
{
    return *text == '^' && !strchr(text, '#') && !strstr(text, "\\Q") && !strstr(text, "\\E") &&
           !has_alternatives(text);
}

/* What each path that matches must begin with: spares most expressions a run. */
static size_t literal_prefix(const char *text, const char **prefix)
{
    size_t len;

    *prefix = text + 1;
    if (!is_simple(text)) {
        return 0;
    }
    len = strcspn(*prefix, "\\^$.[|()?*+{");
    if (len > 0 && strchr("?*{", (*prefix)[len]) && (*prefix)[len] != '\0') {
        len--;
    }
    return len;
}

/* The list for "^/literal/...": a request looks only at that of its own first segment. */
static void add_regex(struct route_set *set, struct route_table *table, struct route_def *def)
{
    struct trie_node *list = &table->regexes;
    const char *start = def->prefix + 1;
    const char *end =
        def->prefix_len > 1 && *def->prefix == '/' ? memchr(start, '/', def->prefix_len - 1) : NULL;

    if (end) {
        list = route_add_child(set, list, start, (size_t)(end - start));
    }
    *(list->tail ? &list->tail->next_here : &list->end) = def;
    list->tail = def;
}

void route_compile_regex(struct route_set *set, struct route_table *table, struct route_def *def,
                         struct diags *diags)
{
    const char *text = def->pub.pattern;
    int count = 0;

    def->regex = route_shared_regex(set, def, text, strlen(text), REGEX_SEARCH, diags);
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
    add_regex(set, table, def);
}
