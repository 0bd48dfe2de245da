/* SPDX-License-Identifier: Apache-2.0 */
/* Listen [ADDRESS:]PORT [http|https], unix:PATH and systemd:NAME: taken apart and brought to one
 * form, so that doubles are found and a reload sees what is the same socket. */
#include "config/scan.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include <apr_strings.h>

static const char passed_on[] = "systemd:";
static const char *const port_words = "the port must be a number from 1 to 65535";

static const char *parse_port(const char *text, int *port)
{
    int64_t value;

    if (!conf_int(text, 1, 65535, &value)) {
        return port_words;
    }
    *port = (int)value;
    return NULL;
}

static const char *parse_ipv6(struct conf_listen *out, const char *text, const char *end,
                              apr_pool_t *pool)
{
    char *address = apr_pstrmemdup(pool, text, (size_t)(end - text));
    char *zone = strchr(address, '%');
    char shortest[INET6_ADDRSTRLEN];
    struct in6_addr in6;

    if (zone) {
        *zone++ = '\0';
    }
    if (inet_pton(AF_INET6, address, &in6) != 1 || (zone && *zone == '\0')) {
        return "what stands in brackets must be an IPv6 address";
    }
    (void)inet_ntop(AF_INET6, &in6, shortest, sizeof(shortest));
    out->host = apr_pstrcat(pool, shortest, zone ? "%" : NULL, zone, NULL);
    if (end[1] != ':') {
        return "a port must follow the address: Listen [ADDRESS]:PORT";
    }
    return parse_port(end + 2, &out->port);
}

/* Letters, digits, '-' and '.', and not all of it an address gone wrong. */
static bool good_host(const char *host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    return strpbrk(host, letters) && strlen(host) < 254 && host[strspn(host, all)] == '\0';
}

static const char *parse_host(struct conf_listen *out, const char *text, const char *colon,
                              apr_pool_t *pool)
{
    const char *host = apr_pstrmemdup(pool, text, (size_t)(colon - text));
    struct in_addr in;

    if (strchr(host, ':')) {
        return "an IPv6 address needs brackets: Listen [ADDRESS]:PORT";
    }
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET, host, &in) != 1 && !good_host(host)) {
        return "this is no address: expected *, an IPv4 address, or an IPv6 address in brackets";
    }
    out->host = host;
    return parse_port(colon + 1, &out->port);
}

static const char *parse_address(struct conf_listen *out, const char *text, apr_pool_t *pool)
{
    const char *colon = strrchr(text, ':');
    const char *bracket = strchr(text, ']');

    if (text[0] == '[') {
        return bracket ? parse_ipv6(out, text + 1, bracket, pool) : "a closing ']' is missing";
    }
    if (colon) {
        return parse_host(out, text, colon, pool);
    }
    return text[strspn(text, "0123456789")] == '\0' ? parse_port(text, &out->port)
                                                    : "a port is missing: Listen [ADDRESS:]PORT";
}

static const char *parse_unix(struct conf_listen *out, const char *path, const struct conf *conf)
{
    const char *full;

    if (*path == '\0') {
        return "a path must follow unix:";
    }
    full = conf_path(conf, path, conf->pool);
    if (strlen(full) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        return apr_psprintf(conf->pool, "the socket's path is longer than %d bytes: %s",
                            (int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1, full);
    }
    out->host = apr_pstrcat(conf->pool, "unix:", full, NULL);
    return NULL;
}

const char *conf_listen_name(const struct conf_listen *listen)
{
    return strncmp(listen->host, passed_on, sizeof(passed_on) - 1) == 0
               ? listen->host + sizeof(passed_on) - 1
               : NULL;
}

/* As systemd's FileDescriptorName= would take it. */
static const char *parse_passed(struct conf_listen *out, const char *name, apr_pool_t *pool)
{
    if (*name == '\0') {
        return "a socket's name must follow systemd:";
    }
    for (const char *at = name; *at; at++) {
        if (*at <= ' ' || *at >= 127 || *at == ':') {
            return "a socket's name has no ':', no spaces and no control characters";
        }
    }
    if (strlen(name) > 255) {
        return "a socket's name has up to 255 characters";
    }
    out->host = apr_pstrcat(pool, passed_on, name, NULL);
    return NULL;
}

static const struct conf_node *taken(const struct conf_scan *scan, const char *host, int port)
{
    return apr_hash_get(scan->listens, apr_psprintf(scan->pool, "%s:%d", host, port),
                        APR_HASH_KEY_STRING);
}

/* Who listens there already: "*" is every address. */
static const struct conf_node *find_double(const struct conf_scan *scan,
                                           const struct conf_listen *listen)
{
    static const char *const every[] = { "*", "0.0.0.0", "::" };
    const struct conf_node *node = taken(scan, listen->host, listen->port);
    bool wild = strcmp(listen->host, "*") == 0;

    if (!node && wild) {
        node = taken(scan, every[1], listen->port);
        return node ? node : taken(scan, every[2], listen->port);
    }
    if (!node && (strcmp(listen->host, every[1]) == 0 || strcmp(listen->host, every[2]) == 0)) {
        node = taken(scan, every[0], listen->port);
    }
    return node;
}

static const char *set_protocol(ins_cmd *cmd, struct conf_listen *listen, const char *protocol)
{
    if (!protocol) {
        listen->https = listen->port == 443;
        return NULL;
    }
    listen->https = strcasecmp(protocol, "https") == 0;
    if (!listen->https && strcasecmp(protocol, "http") != 0) {
        conf_cmd_at(cmd, 1);
        return "the protocol must be http or https";
    }
    return NULL;
}

static const char *parse_place(struct conf_listen *out, const char *text, const struct conf *conf,
                               apr_pool_t *pool)
{
    if (strncasecmp(text, "unix:", 5) == 0) {
        return parse_unix(out, text + 5, conf);
    }
    if (strncasecmp(text, passed_on, sizeof(passed_on) - 1) == 0) {
        return parse_passed(out, text + sizeof(passed_on) - 1, pool);
    }
    return parse_address(out, text, pool);
}

const char *set_listen(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct conf_process *process = conf;
    struct conf_scan *scan = process->scan;
    struct conf_listen listen = { .host = "*", .node = conf_cmd_node(cmd) };
    const struct conf_node *first;
    const char *words;

    scan->listen_seen = true;
    words = parse_place(&listen, argv[0], scan->conf, cmd->pool);
    if (!words) {
        words = set_protocol(cmd, &listen, argc > 1 ? argv[1] : NULL);
    }
    if (words) {
        return words;
    }
    first = find_double(scan, &listen);
    if (first) {
        return apr_psprintf(cmd->temp_pool, "%s is listened on already, by %s", argv[0],
                            scan_place(first, listen.node, cmd->temp_pool));
    }
    apr_hash_set(scan->listens, apr_psprintf(scan->pool, "%s:%d", listen.host, listen.port),
                 APR_HASH_KEY_STRING, listen.node);
    APR_ARRAY_PUSH(process->listens, struct conf_listen) = listen;
    return NULL;
}

void listen_finish(struct conf_scan *scan)
{
    apr_array_header_t *listens = scan->conf->process.listens;

    for (int i = 0; i < listens->nelts; i++) {
        APR_ARRAY_IDX(listens, i, struct conf_listen).backlog = scan->conf->process.listen_backlog;
    }
    if (!scan->listen_seen) {
        diags_add(scan->diags, DIAG_CONFIG, DIAG_ERROR, scan->conf->path, 0, 0,
                  "nothing to listen on: add a line such as \"Listen 8080\"");
    }
}
