/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which host of a set has a name. httpd asks each in file order for its
 * ServerName and ServerAlias; here exact names are hashed, and so are the ends
 * of names like *.example.com. Only other wildcards are tried one by one, and only those of
 * hosts that stand before the best one found. The answer is httpd's.
 */
#include "http/hosts.h"

#include <string.h>

#include <apr_strings.h>

enum { NAME_MAX_LEN = 1024 };

struct name_entry {
    struct name_entry *chain;
    const char *name; /* for "*.example.com": ".example.com" */
    uint32_t len, hash;
    bool suffix;
    unsigned rank; /* the lower one wins */
};

struct wildcard {
    const char *pattern;
    unsigned rank;
};

struct name_table {
    ins_server **servers;
    unsigned server_count;
    struct name_entry **buckets;
    uint32_t bucket_count; /* a power of two */
    bool has_suffixes;
    apr_array_header_t *wildcards; /* struct wildcard, by rank */
};

bool name_has_wildcard(const char *name)
{
    return strpbrk(name, "*?") != NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* From the end, so that one pass hashes every suffix of a name. */
static uint32_t add_byte(uint32_t hash, char c)
{
    return (hash ^ (unsigned char)c) * 16777619u;
}

static uint32_t hash_name(const char *name, size_t len)
{
    uint32_t hash = 2166136261u;

    while (len > 0) {
        hash = add_byte(hash, name[--len]);
    }
    return hash;
}

static struct name_entry *find_entry(const struct name_table *t, const char *name, size_t len,
                                     uint32_t hash, bool suffix)
{
    struct name_entry *entry = t->buckets[(hash ^ hash >> 15) & (t->bucket_count - 1)];

    for (; entry; entry = entry->chain) {
        if (entry->hash == hash && entry->len == len && entry->suffix == suffix &&
            memcmp(entry->name, name, len) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* The first host of a name keeps it. */
static void add_name(struct name_table *t, const char *name, bool suffix, unsigned rank,
                     apr_pool_t *pool)
{
    size_t len = strlen(name);
    char *own = apr_pstrmemdup(pool, name, len);
    struct name_entry **bucket;
    struct name_entry *entry;
    uint32_t hash;

    for (size_t i = 0; i < len; i++) {
        own[i] = lower(own[i]);
    }
    if (len > 1 && own[len - 1] == '.') {
        own[--len] = '\0';
    }
    hash = hash_name(own, len);
    if (find_entry(t, own, len, hash, suffix)) {
        return;
    }
    entry = apr_palloc(pool, sizeof(*entry));
    entry->name = own;
    entry->len = (uint32_t)len;
    entry->hash = hash;
    entry->suffix = suffix;
    entry->rank = rank;
    bucket = &t->buckets[(hash ^ hash >> 15) & (t->bucket_count - 1)];
    entry->chain = *bucket;
    *bucket = entry;
    t->has_suffixes |= suffix;
}

static void add_alias(struct name_table *t, const char *alias, unsigned rank, apr_pool_t *pool)
{
    if (!name_has_wildcard(alias)) {
        add_name(t, alias, false, rank, pool);
    }
    else if (alias[0] == '*' && alias[1] == '.' && !name_has_wildcard(alias + 1)) {
        add_name(t, alias + 1, true, rank, pool);
    }
    else {
        struct wildcard *wildcard = apr_array_push(t->wildcards);

        wildcard->pattern = alias;
        wildcard->rank = rank;
    }
}

static unsigned count_names(const struct host_table *hosts)
{
    unsigned count = 0;

    for (const struct host_entry *entry = hosts->first; entry; entry = entry->next) {
        const apr_array_header_t *aliases = http_server_conf(entry->server)->server_alias;

        count += 2 + (aliases ? (unsigned)aliases->nelts : 0);
    }
    return count;
}

struct name_table *name_table_build(const struct host_table *hosts, apr_pool_t *pool)
{
    struct name_table *t = apr_pcalloc(pool, sizeof(*t));
    const unsigned name_count = count_names(hosts);
    unsigned rank = 0;

    t->servers = apr_palloc(pool, (size_t)hosts->count * sizeof(ins_server *));
    t->bucket_count = 8;
    while (t->bucket_count < name_count) {
        t->bucket_count *= 2;
    }
    t->buckets = apr_pcalloc(pool, t->bucket_count * sizeof(struct name_entry *));
    t->wildcards = apr_array_make(pool, 0, sizeof(struct wildcard));
    t->server_count = (unsigned)hosts->count;
    for (const struct host_entry *entry = hosts->first; entry; entry = entry->next, rank++) {
        const apr_array_header_t *aliases = http_server_conf(entry->server)->server_alias;

        t->servers[rank] = entry->server;
        add_name(t, entry->server->server_hostname, false, rank, pool);
        for (int i = 0; aliases && i < aliases->nelts; i++) {
            add_alias(t, APR_ARRAY_IDX(aliases, i, const char *), rank, pool);
        }
    }
    rank = 0;
    for (const struct host_entry *entry = hosts->first; entry; entry = entry->next, rank++) {
        if (entry->spec_name) {
            add_name(t, entry->spec_name, false, rank + t->server_count, pool);
        }
    }
    return t;
}

/* '*' takes any run of bytes, '?' one; both are lower case. */
static bool wildcard_matches(const char *pattern, const char *name)
{
    const char *star = NULL;
    const char *resume = NULL;

    while (*name != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = name;
        }
        else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        }
        else if (star) {
            pattern = star;
            name = ++resume;
        }
        else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static unsigned best_suffix(const struct name_table *t, const char *name, size_t len, unsigned best)
{
    uint32_t hash = 2166136261u;

    for (size_t i = len; i > 0; i--) {
        const struct name_entry *entry;

        hash = add_byte(hash, name[i - 1]);
        if (name[i - 1] == '.') {
            entry = find_entry(t, name + i - 1, len - i + 1, hash, true);
            best = entry && entry->rank < best ? entry->rank : best;
        }
    }
    return best;
}

static unsigned best_wildcard(const struct name_table *t, const char *name, unsigned best)
{
    for (int i = 0; i < t->wildcards->nelts; i++) {
        const struct wildcard *wildcard = &APR_ARRAY_IDX(t->wildcards, i, struct wildcard);

        if (wildcard->rank >= best) {
            break;
        }
        if (wildcard_matches(wildcard->pattern, name)) {
            return wildcard->rank;
        }
    }
    return best;
}

ins_server *name_table_find(const struct name_table *names, const char *name, size_t len)
{
    const unsigned none = 2 * names->server_count;
    char text[NAME_MAX_LEN];
    const struct name_entry *entry;
    unsigned best;

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len >= sizeof(text)) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        text[i] = lower(name[i]);
    }
    text[len] = '\0';
    entry = find_entry(names, text, len, hash_name(text, len), false);
    best = entry ? entry->rank : none;
    if (names->has_suffixes) {
        best = best_suffix(names, text, len, best);
    }
    best = best_wildcard(names, text, best);
    return best < none ? names->servers[best % names->server_count] : NULL;
}
