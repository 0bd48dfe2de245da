/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <Location> and <LocationMatch>: which of them a path is in, and what their
 * directives come to together. As httpd has it: the main server's sections,
 * then the host's, each in file order, every one that matches laid over the
 * ones before.
 *
 * Plain paths are found by hashing the prefixes of the request's path, so
 * thousands of sections cost no more than a few; wildcards and expressions are tried one by
 * one. The merged configs are remembered for each set of sections that was met.
 */
#include "http/sections.h"

#include <stdint.h>
#include <string.h>

#include <apr_fnmatch.h>
#include <apr_strings.h>

#include "config/conf.h"

enum { CACHE_BUCKETS = 512, CACHE_MAX = 1024, FEW_SECTIONS = 64 };

struct section {
    struct section *next;      /* of its server, in file order */
    struct section *next_here; /* of its hash bucket, or of those that are tried one by one */
    unsigned id;               /* in file order of the whole app */
    const char *text;          /* as written */
    struct regex *regex;       /* NULL: a path */
    bool wildcard;
    const char *base; /* a plain path without the slash at its end */
    size_t base_len;
    bool below_only; /* it was written with that slash: /private/ is not /private */
    uint32_t hash;
    void **config;
    const struct conf_node *node;
};

struct section_table {
    struct section *first, *last;
    unsigned count;
    struct section **buckets; /* plain ones; bucket_count is a power of two */
    uint32_t bucket_count;
    size_t longest; /* of the plain ones */
    struct section *tried, *last_tried;
};

struct cached_set {
    struct cached_set *next;
    uint32_t hash;
    unsigned count;
    const ins_server *server;
    void **merged;
    const struct section *sections[];
};

struct section_cache {
    apr_pool_t *pool;
    unsigned sections, count;
    struct cached_set *buckets[CACHE_BUCKETS];
};

/* The sections that a path is in; the array grows out of few into the pool. */
struct found {
    const struct section **list;
    unsigned count, room;
    unsigned first; /* of the server that is being looked through */
    const struct section *few[FEW_SECTIONS];
    apr_pool_t *pool;
};

static const uint32_t fnv_start = 2166136261u;
static const uint32_t fnv_prime = 16777619u;

static uint32_t add_byte(uint32_t hash, char c)
{
    return (hash ^ (unsigned char)c) * fnv_prime;
}

/* ---- Building ---- */

struct section_cache *section_cache_create(apr_pool_t *pool)
{
    struct section_cache *cache = apr_pcalloc(pool, sizeof(*cache));

    cache->pool = pool;
    return cache;
}

static bool compile_section(struct section *section, apr_pool_t *pool, const struct conf_node *node,
                            struct diags *diags)
{
    const char *why = NULL;
    size_t offset = 0;

    section->regex = regex_compile(section->text, REGEX_SEARCH, &why, &offset, pool);
    if (section->regex == NULL) {
        conf_error(diags, node, node->argc - 1, "the expression %s is wrong at its byte %zu: %s",
                   section->text, offset + 1, why);
    }
    return section->regex != NULL;
}

static bool read_path(struct section *section, apr_pool_t *pool, const struct conf_node *node,
                      struct diags *diags)
{
    const char *text = section->text;
    size_t len = strlen(text);

    if (*text != '/') {
        conf_error(diags, node, node->argc - 1,
                   "a path begins with '/'; an expression stands behind '~' or in <LocationMatch>");
        return false;
    }
    if (apr_fnmatch_test(text)) {
        section->wildcard = true;
        return true;
    }
    section->below_only = len > 1 && text[len - 1] == '/';
    section->base_len = text[len - 1] == '/' ? len - 1 : len;
    section->base = apr_pstrmemdup(pool, text, section->base_len);
    section->hash = fnv_start;
    for (size_t i = 0; i < section->base_len; i++) {
        section->hash = add_byte(section->hash, section->base[i]);
    }
    return true;
}

static bool is_section(const struct conf_node *node)
{
    return conf_is(node, "Location") || conf_is(node, "LocationMatch");
}

static bool check_place(const struct conf_node *node, struct diags *diags)
{
    for (const struct conf_node *up = node->parent; up && up->name; up = up->parent) {
        if (is_section(up)) {
            conf_error(diags, node, -1, "<%s> cannot stand inside <%s>", node->name, up->name);
            return false;
        }
    }
    return true;
}

static void link_section(struct http_app *app, ins_server *s, struct section *section)
{
    struct http_server_conf *conf = http_server_conf(s);
    struct section_table *table = conf->sections;

    if (table == NULL) {
        table = conf->sections = apr_pcalloc(app->pool, sizeof(*table));
    }
    *(table->last ? &table->last->next : &table->first) = section;
    table->last = section;
    table->count++;
    section->id = app->sections->sections++;
}

void http_app_add_section(struct http_app *app, ins_server *s, enum http_section kind,
                          const char *pattern, void **config, const struct conf_node *node,
                          struct diags *diags)
{
    struct section *section = apr_pcalloc(app->pool, sizeof(*section));
    struct http_location_conf *own = config[core_module.index];
    bool tilde = kind == HTTP_LOCATION && *pattern == '~';

    if (!check_place(node, diags)) {
        return;
    }
    if (tilde) {
        pattern += 1 + strspn(pattern + 1, " \t");
        pattern = *pattern == '\0' && node->argc > 1 ? node->argv[1] : pattern;
    }
    if (*pattern == '\0') {
        conf_error(diags, node, -1, "<%s> wants a path or an expression", node->name);
        return;
    }
    section->text = pattern;
    section->config = config;
    section->node = node;
    if (tilde || kind == HTTP_LOCATION_MATCH ? !compile_section(section, app->pool, node, diags)
                                             : !read_path(section, app->pool, node, diags)) {
        return;
    }
    if (own) {
        own->section = section;
    }
    link_section(app, s, section);
}

static void index_sections(struct section_table *table, apr_pool_t *pool)
{
    table->bucket_count = 16;
    while (table->bucket_count < table->count) {
        table->bucket_count *= 2;
    }
    table->buckets = apr_pcalloc(pool, table->bucket_count * sizeof(struct section *));
    for (struct section *section = table->first; section; section = section->next) {
        struct section **bucket = &table->buckets[section->hash & (table->bucket_count - 1)];

        if (section->base == NULL) {
            *(table->last_tried ? &table->last_tried->next_here : &table->tried) = section;
            table->last_tried = section;
            continue;
        }
        section->next_here = *bucket;
        *bucket = section;
        table->longest = section->base_len > table->longest ? section->base_len : table->longest;
    }
}

void sections_finish(struct http_app *app)
{
    for (ins_server *s = app->servers; s; s = s->next) {
        if (http_server_conf(s)->sections) {
            index_sections(http_server_conf(s)->sections, app->pool);
        }
    }
}

const char *section_base(const struct section *section)
{
    return section->base;
}

const char *section_text(const struct section *section)
{
    return section->text;
}

/* ---- Matching ---- */

static bool plain_matches(const struct section *section, const char *path, size_t len)
{
    size_t base = section->base_len;

    if (base == 0) {
        return true;
    }
    if (base > len || memcmp(section->base, path, base) != 0) {
        return false;
    }
    return path[base] == '/' || (base == len && !section->below_only);
}

bool section_matches(const struct section *section, struct regex_scratch *scratch, const char *path,
                     size_t len)
{
    if (section->regex) {
        return regex_match(scratch, section->regex, path, len);
    }
    if (section->wildcard) {
        return apr_fnmatch(section->text, path, APR_FNM_PATHNAME) == APR_SUCCESS;
    }
    return plain_matches(section, path, len);
}

static void add_found(struct found *found, const struct section *section)
{
    unsigned at = found->count++;

    if (at == found->room) {
        const struct section **list =
            apr_palloc(found->pool, 2 * (size_t)found->room * sizeof(*list));

        memcpy(list, found->list, at * sizeof(*list));
        found->list = list;
        found->room *= 2;
    }
    for (; at > found->first && found->list[at - 1]->id > section->id; at--) {
        found->list[at] = found->list[at - 1];
    }
    found->list[at] = section;
}

static void find_plain(struct found *found, const struct section_table *table, uint32_t hash,
                       const char *path, size_t prefix, size_t len)
{
    const struct section *section = table->buckets[hash & (table->bucket_count - 1)];

    for (; section; section = section->next_here) {
        if (section->hash == hash && section->base_len == prefix &&
            plain_matches(section, path, len)) {
            add_found(found, section);
        }
    }
}

static void find_sections(struct found *found, const struct section_table *table,
                          struct regex_scratch *scratch, const char *path, size_t len)
{
    uint32_t hash = fnv_start;
    const struct section *section;

    found->first = found->count;
    find_plain(found, table, hash, path, 0, len);
    for (size_t i = 0; i < len && i < table->longest; i++) {
        hash = add_byte(hash, path[i]);
        if (i + 1 == len || path[i + 1] == '/') {
            find_plain(found, table, hash, path, i + 1, len);
        }
    }
    for (section = table->tried; section; section = section->next_here) {
        if (section_matches(section, scratch, path, len)) {
            add_found(found, section);
        }
    }
}

/* ---- Merging ---- */

static void **merge_sections(const struct http_app *app, const ins_server *s,
                             const struct found *found, apr_pool_t *pool)
{
    size_t size = (size_t)app->module_count * sizeof(void *);
    void **merged = apr_pmemdup(pool, s->lookup_defaults, size);

    for (unsigned n = 0; n < found->count; n++) {
        void **over = found->list[n]->config;

        for (int i = 0; i < app->module_count; i++) {
            const ins_module *module = app->modules[i];

            if (over[i]) {
                merged[i] = merged[i] && module->merge_location
                                ? module->merge_location(pool, merged[i], over[i])
                                : over[i];
            }
        }
    }
    return merged;
}

static uint32_t set_hash(const ins_server *s, const struct found *found)
{
    uint32_t hash = (uint32_t)((uintptr_t)s >> 4);

    for (unsigned i = 0; i < found->count; i++) {
        hash = (hash ^ found->list[i]->id) * fnv_prime;
    }
    return hash ^ hash >> 15;
}

static void **remember(struct http_app *app, const ins_server *s, const struct found *found,
                       uint32_t hash)
{
    struct section_cache *cache = app->sections;
    size_t size = found->count * sizeof(struct section *);
    struct cached_set *set = apr_palloc(cache->pool, sizeof(*set) + size);

    set->hash = hash;
    set->server = s;
    set->count = found->count;
    memcpy(set->sections, found->list, size);
    set->merged = merge_sections(app, s, found, cache->pool);
    set->next = cache->buckets[hash % CACHE_BUCKETS];
    cache->buckets[hash % CACHE_BUCKETS] = set;
    cache->count++;
    return set->merged;
}

static void find_all(struct found *found, const struct http_app *app, const ins_server *s,
                     const char *path, apr_pool_t *pool)
{
    const struct section_table *main_table = http_server_conf(app->servers)->sections;
    const struct section_table *own_table =
        s == app->servers ? NULL : http_server_conf(s)->sections;
    size_t len = strlen(path);

    found->list = found->few;
    found->count = 0;
    found->room = FEW_SECTIONS;
    found->pool = pool;
    if (main_table) {
        find_sections(found, main_table, app->scratch, path, len);
    }
    if (own_table) {
        find_sections(found, own_table, app->scratch, path, len);
    }
}

const struct conf_node **sections_of_path(const struct http_app *app, const ins_server *s,
                                          const char *path, unsigned *count, apr_pool_t *pool)
{
    const struct conf_node **nodes;
    struct found found;

    find_all(&found, app, s, path, pool);
    nodes = apr_pcalloc(pool, (found.count + 1) * sizeof(*nodes));
    for (unsigned i = 0; i < found.count; i++) {
        nodes[i] = found.list[i]->node;
    }
    *count = found.count;
    return nodes;
}

bool http_locations_last(const struct http_app *app)
{
    return app->sections->count < CACHE_MAX;
}

void **http_locate(struct http_app *app, ins_server *s, const char *path, apr_pool_t *pool)
{
    const struct section_table *main_table = http_server_conf(app->servers)->sections;
    const struct section_table *own_table =
        s == app->servers ? NULL : http_server_conf(s)->sections;
    const struct cached_set *set;
    struct found found;
    uint32_t hash;

    if (main_table == NULL && own_table == NULL) {
        return s->lookup_defaults;
    }
    find_all(&found, app, s, path, pool);
    if (found.count == 0) {
        return s->lookup_defaults;
    }
    hash = set_hash(s, &found);
    for (set = app->sections->buckets[hash % CACHE_BUCKETS]; set; set = set->next) {
        if (set->hash == hash && set->server == s && set->count == found.count &&
            memcmp(set->sections, found.list, found.count * sizeof(struct section *)) == 0) {
            return set->merged;
        }
    }
    return app->sections->count < CACHE_MAX ? remember(app, s, &found, hash)
                                            : merge_sections(app, s, &found, pool);
}
