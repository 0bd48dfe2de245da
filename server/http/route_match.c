/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a path to a route. The host's trie and the main server's are walked
 * together, as if they were one; each node is entered at most once, so a walk is
 * bounded by the nodes that the path can reach, and nothing is allocated but
 * the values of parameters.
 */
#include "http/routes.h"

#include <string.h>

#include <apr_strings.h>

#include "util/check.h"

struct part {
    const char *text;
    size_t len;
    uint32_t hash;
};

struct walk {
    const struct route_set *set;
    struct regex_scratch *scratch;
    const char *path, *path_end;
    unsigned count; /* of parts; one more than the deepest pattern has at most */
    struct part parts[ROUTE_DEPTH_MAX + 1];
    uint64_t wanted; /* the method's bit */
    bool head;       /* HEAD: a GET route answers too */
    uint64_t allowed;
    const struct route_def *found;
    int value_count;
    struct part values[ROUTE_PARAMS_MAX];
};

/* A place in both tries; either may be NULL. */
struct place {
    const struct trie_node *own, *main;
};

static void cut_path(struct walk *w, const char *path)
{
    const char *s = path + (*path == '/');

    for (;;) {
        struct part *part = &w->parts[w->count++];
        uint32_t hash = 2166136261u;

        part->text = s;
        for (; *s != '\0' && *s != '/'; s++) {
            hash = (hash ^ (unsigned char)*s) * 16777619u;
        }
        part->len = (size_t)(s - part->text);
        part->hash = hash;
        if (*s == '\0' || w->count > w->set->depth) {
            break;
        }
        s++;
    }
    w->path = path;
    w->path_end = s + strlen(s);
}

static const struct route_def *with_method(const struct route_def *list, uint64_t bits)
{
    while (list && !(list->methods & bits)) {
        list = list->next_here;
    }
    return list;
}

/* The routes that end at one place: the host's hide the main server's. */
static bool try_end(struct walk *w, const struct route_def *own, const struct route_def *main)
{
    const struct route_def *def;

    for (def = own; def; def = def->next_here) {
        w->allowed |= def->methods;
    }
    for (def = main; def; def = def->next_here) {
        w->allowed |= def->methods;
    }
    def = with_method(own, w->wanted);
    if (def == NULL) {
        def = with_method(main, w->wanted);
    }
    if (def == NULL && w->head) {
        def = with_method(own, ROUTE_GET);
        if (def == NULL) {
            def = with_method(main, ROUTE_GET);
        }
    }
    w->found = def;
    return def != NULL;
}

static bool walk(struct walk *w, struct place at, unsigned depth);

static const struct trie_node *literal(const struct walk *w, const struct trie_node *parent,
                                       const struct part *part)
{
    return parent ? route_child(w->set, parent, part->text, part->len, part->hash) : NULL;
}

static bool walk_literal(struct walk *w, struct place at, unsigned depth)
{
    const struct part *part = &w->parts[depth];
    struct place next = { literal(w, at.own, part), literal(w, at.main, part) };

    return (next.own || next.main) && walk(w, next, depth + 1);
}

static bool walk_value(struct walk *w, struct place next, unsigned depth)
{
    w->values[w->value_count++] = w->parts[depth];
    if (walk(w, next, depth + 1)) {
        return true;
    }
    w->value_count--;
    return false;
}

static const struct expression_node *first_expression(const struct trie_node *parent)
{
    return parent && parent->last_expr ? parent->last_expr->next : NULL;
}

static const struct expression_node *next_expression(const struct trie_node *parent,
                                                     const struct expression_node *node)
{
    return node == parent->last_expr ? NULL : node->next;
}

/* The child of the other trie with the same expression. */
static const struct expression_node *same_expression(const struct walk *w,
                                                     const struct trie_node *parent,
                                                     const struct expression_node *node)
{
    return parent && parent->last_expr
               ? route_expression(w->set, parent, node->node.text, node->node.len)
               : NULL;
}

/* Expressions of both tries in file order. One that both have is tried once,
 * where it stands first. */
static bool walk_expressions(struct walk *w, struct place at, unsigned depth)
{
    const struct part *part = &w->parts[depth];
    const struct expression_node *own = first_expression(at.own);
    const struct expression_node *main = first_expression(at.main);

    while (own || main) {
        bool is_own = main == NULL || (own && own->order < main->order);
        const struct expression_node *node = is_own ? own : main;
        const struct expression_node *other = same_expression(w, is_own ? at.main : at.own, node);
        const struct trie_node *below = other ? &other->node : NULL;
        struct place next = { is_own ? &node->node : below, is_own ? below : &node->node };

        if (is_own) {
            own = next_expression(at.own, own);
        }
        else {
            main = next_expression(at.main, main);
        }
        if ((other == NULL || node->order < other->order) &&
            regex_match(w->scratch, node->regex, part->text, part->len) &&
            walk_value(w, next, depth)) {
            return true;
        }
    }
    return false;
}

static bool walk_tail(struct walk *w, struct place at, unsigned depth)
{
    const char *start = w->parts[depth].text;

    if (!try_end(w, at.own ? at.own->tail : NULL, at.main ? at.main->tail : NULL)) {
        return false;
    }
    w->values[w->value_count++] = (struct part){ start, (size_t)(w->path_end - start), 0 };
    return true;
}

static bool walk(struct walk *w, struct place at, unsigned depth)
{
    if (depth == w->count) {
        return try_end(w, at.own ? at.own->end : NULL, at.main ? at.main->end : NULL);
    }
    if (walk_literal(w, at, depth)) {
        return true;
    }
    if (w->parts[depth].len > 0) {
        struct place any = { at.own ? at.own->any : NULL, at.main ? at.main->any : NULL };

        if (walk_expressions(w, at, depth) ||
            ((any.own || any.main) && walk_value(w, any, depth))) {
            return true;
        }
    }
    return walk_tail(w, at, depth);
}

/* ---- ~ routes ---- */

static bool regex_applies(const struct walk *w, const struct route_def *def)
{
    size_t len = (size_t)(w->path_end - w->path);

    return def->prefix_len <= len && memcmp(def->prefix, w->path, def->prefix_len) == 0 &&
           (def->section == NULL || section_matches(def->section, w->scratch, w->path, len)) &&
           regex_match(w->scratch, def->regex, w->path, len);
}

static const char *section_name(const struct route_def *def)
{
    return def->section ? section_text(def->section) : "";
}

/* The host's equal route for these methods takes the place of the main server's. */
static const struct route_def *overriding(const struct route_def *own, const struct route_def *def,
                                          uint64_t bits)
{
    for (; own; own = own->next_here) {
        if (own->regex == def->regex && (own->methods & bits) &&
            strcmp(section_name(own), section_name(def)) == 0) {
            return own;
        }
    }
    return def;
}

/* own: where an equal route of the host would be. */
static bool try_regex(struct walk *w, const struct route_def *def, const struct route_def *own)
{
    uint64_t bits = def->methods & w->wanted;

    if (bits == 0 && w->head) {
        bits = def->methods & ROUTE_GET;
    }
    if (bits == 0 && (def->methods & ~w->allowed) == 0) {
        return false;
    }
    if (!regex_applies(w, def)) {
        return false;
    }
    w->allowed |= def->methods;
    if (bits == 0) {
        return false;
    }
    w->found = overriding(own, def, bits);
    return true;
}

enum { OWN_BELOW, OWN_REST, MAIN_BELOW, MAIN_REST, REGEX_LISTS };

static void find_lists(const struct walk *w, const struct route_table *table,
                       const struct route_def *lists[2])
{
    const struct part *part = &w->parts[0];
    const struct trie_node *below =
        table ? route_child(w->set, &table->regexes, part->text, part->len, part->hash) : NULL;

    lists[0] = below ? below->end : NULL;
    lists[1] = table ? table->regexes.end : NULL;
}

/* All lists together in file order. */
static bool walk_regexes(struct walk *w, const struct route_table *own,
                         const struct route_table *main)
{
    const struct route_def *lists[REGEX_LISTS];
    const struct route_def *at[REGEX_LISTS];

    find_lists(w, own, &lists[OWN_BELOW]);
    find_lists(w, main, &lists[MAIN_BELOW]);
    memcpy(at, lists, sizeof(at));
    for (;;) {
        int best = 0;

        for (int i = 1; i < REGEX_LISTS; i++) {
            if (at[i] && (at[best] == NULL || at[i]->order < at[best]->order)) {
                best = i;
            }
        }
        if (at[best] == NULL) {
            return false;
        }
        if (try_regex(w, at[best], best >= MAIN_BELOW ? lists[best - MAIN_BELOW] : NULL)) {
            return true;
        }
        at[best] = at[best]->next_here;
    }
}

/* ---- Results ---- */

static const char *value_text(const struct walk *w, const char *start, size_t len, apr_pool_t *pool)
{
    return start + len == w->path_end ? start : apr_pstrmemdup(pool, start, len);
}

static void set_params(const struct walk *w, struct route_match *match, apr_pool_t *pool)
{
    const struct route_def *def = w->found;

    INS_CHECK(w->value_count == def->param_count);
    match->param_count = def->param_count;
    for (int i = 0; i < def->param_count; i++) {
        match->params[i].name = def->params[i];
        match->params[i].value = value_text(w, w->values[i].text, w->values[i].len, pool);
    }
}

static void set_groups(const struct walk *w, struct route_match *match, apr_pool_t *pool)
{
    const struct route_def *def = w->found;

    for (int i = 0; i < def->param_count; i++) {
        size_t start;
        size_t end;

        if (regex_group(w->scratch, def->regex, i, &start, &end)) {
            struct route_param *param = &match->params[match->param_count++];

            param->name = regex_group_name(def->regex, i);
            param->value = value_text(w, w->path + start, end - start, pool);
        }
    }
}

/* "GET, HEAD, POST, OPTIONS": HEAD goes with GET, and OPTIONS is always answered. */
static const char *allow_text(const struct route_set *set, uint64_t allowed, apr_pool_t *pool)
{
    const char *text = "";

    if (allowed & (ROUTE_GET | ROUTE_WS)) {
        allowed |= ROUTE_GET | ROUTE_HEAD;
    }
    for (int i = 0; i < set->method_count; i++) {
        if ((allowed & 1ull << i) && 1ull << i != ROUTE_OPTIONS && 1ull << i != ROUTE_WS) {
            text = apr_pstrcat(pool, text, set->methods[i], ", ", NULL);
        }
    }
    return apr_pstrcat(pool, text, "OPTIONS", NULL);
}

void http_route(const struct http_app *app, const ins_server *s, const char *method,
                const char *path, struct route_match *match, apr_pool_t *pool)
{
    const struct route_table *main_table = http_server_conf(app->servers)->routes;
    const struct route_table *own_table = s == app->servers ? NULL : http_server_conf(s)->routes;
    struct place root = { own_table ? &own_table->root : NULL,
                          main_table ? &main_table->root : NULL };
    struct walk w;

    match->route = NULL;
    match->param_count = 0;
    match->allow = NULL;
    match->upgrade = false;
    if (root.own == NULL && root.main == NULL) {
        return;
    }
    w.set = app->routes;
    w.scratch = app->scratch;
    w.count = 0;
    w.wanted = route_method_find(app->routes, method);
    w.head = w.wanted == ROUTE_HEAD;
    w.allowed = 0;
    w.found = NULL;
    w.value_count = 0;
    cut_path(&w, path);
    if (walk(&w, root, 0)) {
        match->route = &w.found->pub;
        set_params(&w, match, pool);
    }
    else if (walk_regexes(&w, own_table, main_table)) {
        match->route = &w.found->pub;
        set_groups(&w, match, pool);
    }
    else if (w.allowed) {
        match->allow = allow_text(app->routes, w.allowed, pool);
        match->upgrade = (w.allowed & ROUTE_WS) != 0;
    }
}
