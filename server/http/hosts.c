/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <VirtualHost addr[:port] ...>: which hosts stand behind a local address. The
 * best match is httpd's: address and port, then address with any port, then any
 * address with the port, then any; else the main server. Hosts with the same address
 * and port form a set, in file order, whose first is its default.
 *
 * Nearly always a listener leads to one set whatever the local address: that is settled
 * beforehand.
 */
#include "http/hosts.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/parts.h"

struct host_listener {
    bool by_address;
    int port;
    const struct host_table *hosts; /* where !by_address */
};

enum { FIRST_BUCKETS = 16 };

struct host_map *host_map_create(apr_pool_t *pool)
{
    struct host_map *map = apr_pcalloc(pool, sizeof(*map));

    map->pool = pool;
    map->bucket_count = FIRST_BUCKETS;
    map->buckets = apr_pcalloc(pool, FIRST_BUCKETS * sizeof(struct host_table *));
    return map;
}

/* ---- Sets ---- */

static uint32_t hash_address(const struct host_address *address)
{
    uint32_t hash = 2166136261u ^ (uint32_t)address->port ^ (uint32_t)address->family << 16;

    for (size_t i = 0; i < sizeof(address->ip); i++) {
        hash = (hash ^ address->ip[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static bool same_address(const struct host_address *a, const struct host_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static struct host_table *find_set(const struct host_map *map, const struct host_address *address)
{
    struct host_table *set = map->buckets[hash_address(address) & (map->bucket_count - 1)];

    while (set && !same_address(&set->address, address)) {
        set = set->chain;
    }
    return set;
}

static void link_set(struct host_map *map, struct host_table *set)
{
    struct host_table **bucket =
        &map->buckets[hash_address(&set->address) & (map->bucket_count - 1)];

    set->chain = *bucket;
    *bucket = set;
}

static void grow_buckets(struct host_map *map)
{
    map->bucket_count *= 4;
    map->buckets = apr_pcalloc(map->pool, map->bucket_count * sizeof(struct host_table *));
    for (struct host_table *set = map->first; set; set = set->next) {
        link_set(map, set);
    }
}

static struct host_table *add_set(struct host_map *map, const struct host_address *address)
{
    struct host_table *set = apr_pcalloc(map->pool, sizeof(*set));

    if (map->count++ >= map->bucket_count) {
        grow_buckets(map);
    }
    set->address = *address;
    link_set(map, set);
    *(map->last ? &map->last->next : &map->first) = set;
    map->last = set;
    return set;
}

static void add_to_set(struct host_map *map, const struct host_address *address, ins_server *s,
                       const char *spec_name)
{
    struct host_table *set = find_set(map, address);
    struct host_entry *entry;

    if (set == NULL) {
        set = add_set(map, address);
    }
    if (set->last && set->last->server == s) {
        return; /* localhost as two names, or written twice */
    }
    entry = apr_pcalloc(map->pool, sizeof(*entry));
    entry->server = s;
    entry->spec_name = spec_name;
    *(set->last ? &set->last->next : &set->first) = entry;
    set->last = entry;
    set->count++;
}

/* ---- Addresses ---- */

static void set_ip(struct host_address *address, int family, const void *ip)
{
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    static const unsigned char any[16];
    size_t len = family == AF_INET ? 4 : 16;

    if (family == AF_INET6 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
        ip = (const unsigned char *)ip + sizeof(mapped);
        family = AF_INET;
        len = 4;
    }
    memset(address->ip, 0, sizeof(address->ip));
    memcpy(address->ip, ip, len);
    address->family = memcmp(ip, any, len) == 0 ? AF_UNSPEC : family;
}

static bool set_sockaddr(struct host_address *address, const struct sockaddr *from)
{
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;

        address->port = ntohs(in->sin_port);
        set_ip(address, AF_INET, &in->sin_addr);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;

        address->port = ntohs(in6->sin6_port);
        set_ip(address, AF_INET6, &in6->sin6_addr);
        return true;
    }
    return false;
}

/* ":80", ":*" or nothing. */
static bool read_port(const char *text, int otherwise, int *port)
{
    int64_t value;

    *port = otherwise;
    if (*text == '\0') {
        return true;
    }
    if (strcmp(text, ":*") == 0) {
        *port = 0;
        return true;
    }
    if (*text != ':' || !conf_int(text + 1, 1, 65535, &value)) {
        return false;
    }
    *port = (int)value;
    return true;
}

/* Host and what stands behind it: "[::1]" and ":80". NULL where it is no address. */
static const char *split_spec(const char *spec, const char **rest, apr_pool_t *pool)
{
    const char *end;

    if (*spec == '[') {
        end = strchr(spec, ']');
        *rest = end ? end + 1 : "";
        return end ? apr_pstrmemdup(pool, spec + 1, (size_t)(end - spec - 1)) : NULL;
    }
    end = strchrnul(spec, ':');
    *rest = end;
    return end == spec || strchr(*end ? end + 1 : end, ':')
               ? NULL
               : apr_pstrmemdup(pool, spec, (size_t)(end - spec));
}

/* A name in <VirtualHost> is looked up, as httpd does; one that is unknown costs
 * a warning, not the whole configuration. */
static void add_named(struct host_map *map, ins_server *s, const char *name, int port,
                      const struct conf_node *node, int arg, struct diags *diags)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(name, NULL, &hints, &list);

    if (rc != 0) {
        conf_warn(diags, node, arg, "the host name %s was not found (%s): this address is ignored",
                  name, gai_strerror(rc));
        return;
    }
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        struct host_address address;

        if (set_sockaddr(&address, info->ai_addr)) {
            address.port = port;
            add_to_set(map, &address, s, name);
        }
    }
    freeaddrinfo(list);
}

static void add_spec(struct http_app *app, ins_server *s, const char *spec,
                     const struct conf_node *node, int arg, struct diags *diags)
{
    struct host_address address = { .family = AF_UNSPEC };
    const char *rest;
    const char *host = split_spec(spec, &rest, app->pool);
    int otherwise = strcmp(spec, "*") == 0 ? 0 : app->servers->port; /* so does httpd */
    unsigned char ip[16];

    if (host == NULL || !read_port(rest, otherwise, &address.port)) {
        conf_error(diags, node, arg,
                   "%s is no address: write 192.0.2.1:80, [2001:db8::1]:80, *:80, or * for any",
                   spec);
    }
    else if (strcmp(host, "*") == 0 || strcasecmp(host, "_default_") == 0) {
        add_to_set(app->hosts, &address, s, NULL);
    }
    else if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1) {
        set_ip(&address, strchr(host, ':') ? AF_INET6 : AF_INET, ip);
        add_to_set(app->hosts, &address, s, NULL);
    }
    else if (*spec == '[' || strpbrk(host, "*?/ ")) {
        conf_error(diags, node, arg, "%s is no address", spec);
    }
    else {
        add_named(app->hosts, s, host, address.port, node, arg, diags);
    }
}

void http_app_add_host(struct http_app *app, ins_server *s, const struct conf_node *node,
                       struct diags *diags)
{
    if (node->argc == 0) {
        conf_error(diags, node, -1, "<VirtualHost> wants an address: <VirtualHost *:80>");
    }
    for (int i = 0; i < node->argc; i++) {
        add_spec(app, s, node->argv[i], node, i, diags);
    }
}

/* ---- Finding ---- */

static const struct host_table *best_set(const struct host_map *map,
                                         const struct host_address *local)
{
    struct host_address want = *local;
    const struct host_table *set = NULL;

    if (want.family != AF_UNSPEC) {
        set = find_set(map, &want);
        want.port = 0;
        set = set ? set : find_set(map, &want);
    }
    if (set == NULL) {
        want = (struct host_address){ .family = AF_UNSPEC, .port = local->port };
        set = find_set(map, &want);
        want.port = 0;
        set = set ? set : find_set(map, &want);
    }
    return set ? set : &map->main;
}

/* Could the local address of a connection matter behind an any-address listener? */
static bool has_addresses(const struct host_map *map, int family, int port)
{
    for (const struct host_table *set = map->first; set; set = set->next) {
        const struct host_address *address = &set->address;

        if (address->family != AF_UNSPEC && (address->port == 0 || address->port == port) &&
            (family == AF_INET6 || address->family == AF_INET)) {
            return true;
        }
    }
    return false;
}

static void settle_listener(struct host_listener *to, const struct host_map *map,
                            const struct listener *from)
{
    struct host_address address = { .family = AF_UNSPEC };
    const struct sockaddr *bound = (const struct sockaddr *)(const void *)&from->addr;

    if (set_sockaddr(&address, bound) && address.family == AF_UNSPEC) {
        to->by_address = has_addresses(map, bound->sa_family, address.port);
    }
    to->port = address.port;
    to->hosts = best_set(map, &address);
}

void hosts_finish(struct http_app *app)
{
    struct host_map *map = app->hosts;

    map->main.fallback = app->servers;
    map->main.count = 1;
    for (struct host_table *set = map->first; set; set = set->next) {
        set->fallback = set->first->server;
        set->names = set->count > 1 ? name_table_build(set, app->pool) : NULL;
    }
    if (app->listeners == NULL) {
        return;
    }
    app->by_listener =
        apr_pcalloc(app->pool, (size_t)app->listeners->count * sizeof(struct host_listener));
    for (int i = 0; i < app->listeners->count; i++) {
        settle_listener(&app->by_listener[i], map, &app->listeners->list[i]);
    }
}

const struct host_table *http_hosts(const struct http_app *app, int listener,
                                    const struct sockaddr *local)
{
    const struct host_listener *from = &app->by_listener[listener];
    struct host_address address;

    if (!from->by_address || local == NULL || !set_sockaddr(&address, local)) {
        return from->hosts;
    }
    address.port = from->port;
    return best_set(app->hosts, &address);
}

ins_server *http_find_server(const struct host_table *hosts, const char *name, size_t len)
{
    ins_server *s = hosts->names && name ? name_table_find(hosts->names, name, len) : NULL;

    return s ? s : hosts->fallback;
}
