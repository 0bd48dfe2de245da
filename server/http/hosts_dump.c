/* SPDX-License-Identifier: Apache-2.0 */
/* -S: the virtual hosts as they were understood, in httpd's form. */
#include "http/hosts.h"

#include <arpa/inet.h>
#include <stdio.h>

void host_address_text(const struct host_address *address, char *text, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "*";
    char port[12] = "*";

    if (address->family != AF_UNSPEC) {
        (void)inet_ntop(address->family, address->ip, ip, sizeof(ip));
    }
    if (address->port) {
        (void)snprintf(port, sizeof(port), "%d", address->port);
    }
    (void)snprintf(text, size, address->family == AF_INET6 ? "[%s]:%s" : "%s:%s", ip, port);
}

static void dump_aliases(const ins_server *s, bool wildcards)
{
    const apr_array_header_t *aliases = http_server_conf(s)->server_alias;

    for (int i = 0; aliases && i < aliases->nelts; i++) {
        const char *alias = APR_ARRAY_IDX(aliases, i, const char *);

        if (name_has_wildcard(alias) == wildcards) {
            printf("%16s %s %s\n", "", wildcards ? "wild alias" : "alias", alias);
        }
    }
}

static void dump_host(const struct host_table *set, const ins_server *s)
{
    if (set->address.port) {
        printf("%8s port %d ", "", set->address.port);
    }
    else {
        printf("%8s port * ", "");
    }
    printf("namevhost %s (%s:%u)\n", s->server_hostname, s->defn_name, s->defn_line_number);
    dump_aliases(s, false);
    dump_aliases(s, true);
}

static void dump_set(const struct host_table *set)
{
    const ins_server *s = set->first->server;
    char text[80];

    host_address_text(&set->address, text, sizeof(text));
    if (set->count == 1) {
        printf("%-22s %s (%s:%u)\n", text, s->server_hostname, s->defn_name, s->defn_line_number);
        return;
    }
    printf("%-22s is a NameVirtualHost\n", text);
    printf("%8s default server %s (%s:%u)\n", "", s->server_hostname, s->defn_name,
           s->defn_line_number);
    for (const struct host_entry *entry = set->first; entry; entry = entry->next) {
        dump_host(set, entry->server);
    }
}

void http_app_dump(const struct http_app *app)
{
    const struct host_table *set;

    printf("VirtualHost configuration:\n");
    for (set = app->hosts->first; set; set = set->next) {
        if (set->address.family != AF_UNSPEC) {
            dump_set(set);
        }
    }
    for (set = app->hosts->first; set; set = set->next) {
        if (set->address.family == AF_UNSPEC) {
            dump_set(set);
        }
    }
}
