/* SPDX-License-Identifier: Apache-2.0 */
/* What Listen names, as socket addresses, and how two of them relate. Apart
 * from the sockets themselves, so that it can be tested without any. */
#include "master/addresses.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static int port_of(const struct listener *l)
{
    if (l->addr.ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)&l->addr)->sin_port);
    }
    if (l->addr.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)&l->addr)->sin6_port);
    }
    return -1;
}

static void set_name(struct listener *l)
{
    char host[INET6_ADDRSTRLEN] = "?", scope[16] = "";

    if (l->addr.ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((struct sockaddr_in *)&l->addr)->sin_addr, host, sizeof(host));
        (void)snprintf(l->name, sizeof(l->name), "%s:%d", host, port_of(l));
        return;
    }
    (void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&l->addr)->sin6_addr, host, sizeof(host));
    if (((struct sockaddr_in6 *)&l->addr)->sin6_scope_id != 0) {
        (void)snprintf(scope, sizeof(scope), "%%%u",
                       (unsigned)((struct sockaddr_in6 *)&l->addr)->sin6_scope_id);
    }
    (void)snprintf(l->name, sizeof(l->name), "[%s%s]:%d", host, scope, port_of(l));
}

static void set_wildcard(struct listener *l, int family, int port)
{
    memset(l, 0, sizeof(*l));
    l->addr.ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        ((struct sockaddr_in *)&l->addr)->sin_port = htons((uint16_t)port);
        l->addr_len = sizeof(struct sockaddr_in);
    }
    else {
        ((struct sockaddr_in6 *)&l->addr)->sin6_port = htons((uint16_t)port);
        l->addr_len = sizeof(struct sockaddr_in6);
    }
    set_name(l);
}

static int resolve_unix(const char *path, struct listener *l, const char **why)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&l->addr;
    size_t len = strlen(path);

    memset(l, 0, sizeof(*l));
    if (len == 0 || len >= sizeof(un->sun_path)) {
        *why = len == 0 ? "the path is empty" : "the path is too long for a unix socket";
        return -1;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    l->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    (void)snprintf(l->name, sizeof(l->name), "unix:%s", path);
    return 1;
}

static int copy_found(const struct addrinfo *found, struct listener out[ADDRESSES_MAX])
{
    int count = 0;

    for (; found != NULL && count < ADDRESSES_MAX; found = found->ai_next) {
        struct listener *l = &out[count];

        if ((found->ai_family != AF_INET && found->ai_family != AF_INET6) ||
            found->ai_addrlen > sizeof(l->addr)) {
            continue;
        }
        memset(l, 0, sizeof(*l));
        memcpy(&l->addr, found->ai_addr, found->ai_addrlen);
        l->addr_len = found->ai_addrlen;
        set_name(l);
        count++;
    }
    return count;
}

int addresses_resolve(const char *host, int port, struct listener out[ADDRESSES_MAX],
                      const char **why)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
    struct addrinfo *found = NULL;
    char bare[256], service[16];
    size_t len = strlen(host);
    int error;

    *why = NULL;
    if (strncmp(host, "unix:", 5) == 0) {
        return resolve_unix(host + 5, &out[0], why);
    }
    if (strcmp(host, "*") == 0) {
        set_wildcard(&out[0], AF_INET, port);
        set_wildcard(&out[1], AF_INET6, port);
        return 2;
    }
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    (void)snprintf(bare, sizeof(bare), "%.*s", (int)len, host);
    (void)snprintf(service, sizeof(service), "%d", port);
    error = getaddrinfo(bare, service, &hints, &found);
    if (error != 0) {
        /* Only a name may cost a look at the resolver. */
        hints.ai_flags = AI_PASSIVE;
        error = getaddrinfo(bare, service, &hints, &found);
    }
    if (error != 0) {
        *why = gai_strerror(error);
        return -1;
    }
    error = copy_found(found, out);
    freeaddrinfo(found);
    return error;
}

bool addresses_equal(const struct listener *a, const struct listener *b)
{
    if (a->addr.ss_family != b->addr.ss_family) {
        return false;
    }
    return a->addr.ss_family == AF_UNIX
               ? strcmp(a->name, b->name) == 0
               : a->addr_len == b->addr_len && memcmp(&a->addr, &b->addr, a->addr_len) == 0;
}

bool address_is_wildcard(const struct listener *l)
{
    if (l->addr.ss_family == AF_INET) {
        return ((const struct sockaddr_in *)&l->addr)->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    if (l->addr.ss_family == AF_INET6) {
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&l->addr)->sin6_addr);
    }
    return false;
}

bool address_is_other_wildcard(const struct listener *a, const struct listener *b)
{
    return a->addr.ss_family != b->addr.ss_family && port_of(a) == port_of(b) &&
           address_is_wildcard(a) && address_is_wildcard(b);
}

static void set_unix_name(struct listener *l)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&l->addr;
    size_t length = l->addr_len > offsetof(struct sockaddr_un, sun_path)
                        ? l->addr_len - offsetof(struct sockaddr_un, sun_path)
                        : 0;

    if (length > 1 && un->sun_path[0] == '\0') {
        (void)snprintf(l->name, sizeof(l->name), "unix:@%.*s", (int)length - 1, un->sun_path + 1);
    }
    else {
        (void)snprintf(l->name, sizeof(l->name), "unix:%.*s", (int)length, un->sun_path);
    }
}

bool address_describe(struct listener *l)
{
    switch (l->addr.ss_family) {
    case AF_INET:
    case AF_INET6:
        set_name(l);
        return true;
    case AF_UNIX:
        set_unix_name(l);
        return true;
    default:
        return false;
    }
}

bool addresses_collide(const struct listener *a, const struct listener *b)
{
    return a->addr.ss_family == b->addr.ss_family && a->addr.ss_family != AF_UNIX &&
           port_of(a) == port_of(b) &&
           (address_is_wildcard(a) || address_is_wildcard(b) || addresses_equal(a, b));
}

bool address_covers(const struct listener *a, const struct listener *b)
{
    return addresses_collide(a, b) && address_is_wildcard(a) && !address_is_wildcard(b);
}
