/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual hosts inside the http part: sets of hosts by address and port, and the
 * names within a set. */
#ifndef HTTP_HOSTS_H
#define HTTP_HOSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/http_app.h"

/* An address as hosts are found by: IPv4 in IPv6's clothes is IPv4. */
struct host_address {
    int family; /* AF_INET, AF_INET6; AF_UNSPEC: any ("*", _default_) */
    int port;   /* 0: any */
    unsigned char ip[16];
};

/* A host's place in a set. */
struct host_entry {
    struct host_entry *next;
    ins_server *server;
    const char *spec_name; /* a name that stood in <VirtualHost name>: the last thing to match */
};

struct name_table;

struct host_table {
    struct host_table *next, *chain; /* in file order; in its bucket */
    struct host_address address;
    struct host_entry *first, *last;
    int count;
    ins_server *fallback;     /* the first */
    struct name_table *names; /* NULL where the fallback is all there is */
};

struct host_map {
    apr_pool_t *pool;
    struct host_table *first, *last;
    struct host_table **buckets;
    uint32_t bucket_count; /* a power of two */
    unsigned count;
    struct host_table main; /* the main server alone */
};

/* "192.0.2.1:80", "[::1]:*", "*:80". */
void host_address_text(const struct host_address *address, char *text, size_t size);

struct name_table *name_table_build(const struct host_table *hosts, apr_pool_t *pool);
/* NULL where no name fits. */
ins_server *name_table_find(const struct name_table *names, const char *name, size_t len);
bool name_has_wildcard(const char *name);

#endif
