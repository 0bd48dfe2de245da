/* SPDX-License-Identifier: Apache-2.0 */
/* Host and port of an origin, compared. */
#include "websocket/origin.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* host[:port] in its parts; port_len 0: none. */
struct site {
    const char *host, *port;
    size_t host_len, port_len;
};

static struct site split(const char *text)
{
    const char *end = text + strcspn(text, "/");
    const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
    const char *colon =
        memchr(bracket ? bracket : text, ':', (size_t)(end - (bracket ? bracket : text)));
    struct site s = { text, end, (size_t)((colon ? colon : end) - text), 0 };

    if (colon != NULL) {
        s.port = colon + 1;
        s.port_len = (size_t)(end - s.port);
    }
    return s;
}

static void default_port(struct site *s, bool https)
{
    if (s->port_len == 0) {
        s->port = https ? "443" : "80";
        s->port_len = strlen(s->port);
    }
}

static bool same_host(const struct site *a, const struct site *b)
{
    return a->host_len == b->host_len && strncasecmp(a->host, b->host, a->host_len) == 0;
}

static bool same_port(const struct site *a, const struct site *b)
{
    return a->port_len == b->port_len && memcmp(a->port, b->port, a->port_len) == 0;
}

static bool below(const struct site *s, const char *domain)
{
    size_t len = strlen(domain);

    return s->host_len > len && strncasecmp(s->host + s->host_len - len, domain, len) == 0;
}

bool ws_origin_pattern_valid(const char *pattern)
{
    const char *name = strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern;

    return *name != '\0' && strpbrk(name, "*/?#@ \t,\"") == NULL;
}

bool ws_origin_matches(const char *pattern, const char *origin, const char *host)
{
    const char *scheme_end = strstr(origin, "://");
    bool https = strncasecmp(origin, "https://", 8) == 0;
    struct site from, to;

    if (strcasecmp(pattern, "any") == 0) {
        return true;
    }
    if (scheme_end == NULL) {
        return false;
    }
    from = split(scheme_end + 3);
    if (strncmp(pattern, "*.", 2) == 0) {
        return below(&from, pattern + 1);
    }
    if (strcasecmp(pattern, "same") != 0) {
        to = split(pattern);
        if (to.port_len == 0) {
            return same_host(&from, &to);
        }
    }
    else if (host == NULL) {
        return false;
    }
    else {
        to = split(host);
    }
    default_port(&from, https);
    default_port(&to, https);
    return same_host(&from, &to) && same_port(&from, &to);
}
