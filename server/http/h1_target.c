/* SPDX-License-Identifier: Apache-2.0 */
/* The request line (RFC 9112, 3): method, the four forms of a target, version.
 * Exactly one space between them; anything looser is how requests are smuggled. */

#include "http/h1_internal.h"

#include <arpa/inet.h>
#include <string.h>

#include "http/chars.h"

enum { VERSION_LEN = 8, PORT_MAX = 65535 };

static bool version_digits(const char *text)
{
    return memcmp(text, "HTTP/", 5) == 0 && http_is(text[5], CHAR_DIGIT) && text[6] == '.' &&
           http_is(text[7], CHAR_DIGIT);
}

static bool read_version(struct h1_head *head, const char *text, size_t len)
{
    if (len != VERSION_LEN || !version_digits(text)) {
        return h1_refuse(head, 400, "malformed HTTP version");
    }
    if (text[5] != '1') {
        return h1_refuse(head, 505, "HTTP version not supported");
    }
    head->proto_num = text[7] == '0' ? 1000 : 1001;
    return true;
}

static bool is_method(const char *buf, const struct h1_head *head, const char *name)
{
    return strlen(name) == head->method_len &&
           memcmp(buf + head->line_at, name, head->method_len) == 0;
}

static bool ip_literal(const char *text, size_t len)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (len < 2 || len > sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len - 1] = '\0';
    return inet_pton(AF_INET6, copy, &addr) == 1;
}

/* Empty labels are refused, as httpd does: one name has one spelling. */
static bool reg_name(const char *text, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        if (text[at] == '.' && (at == 0 || text[at - 1] == '.')) {
            return false;
        }
        if (http_is(text[at], CHAR_REG_NAME)) {
            continue;
        }
        if (text[at] != '%' || len - at < 3 || !http_all(text + at + 1, 2, CHAR_HEX)) {
            return false;
        }
        at += 2;
    }
    return true;
}

static bool port_valid(const char *text, size_t len)
{
    int port = 0;

    for (size_t at = 0; at < len && port <= PORT_MAX; at++) {
        if (!http_is(text[at], CHAR_DIGIT)) {
            return false;
        }
        port = port * 10 + (text[at] - '0');
    }
    return port <= PORT_MAX;
}

bool h1_host_valid(const char *host, size_t len, size_t *host_only)
{
    const char *end = host + len, *name_end, *colon;

    if (len > 0 && *host == '[') {
        name_end = memchr(host, ']', len);
        if (name_end == NULL || !ip_literal(host + 1, (size_t)(name_end - host))) {
            return false;
        }
        name_end++;
    }
    else {
        colon = memchr(host, ':', len);
        name_end = colon ? colon : end;
        if (!reg_name(host, (size_t)(name_end - host)) || (colon == host)) {
            return false;
        }
    }
    if (host_only) {
        *host_only = (size_t)(name_end - host);
    }
    return name_end == end ||
           (*name_end == ':' && port_valid(name_end + 1, (size_t)(end - name_end) - 1));
}

static bool read_scheme(struct h1_head *head, const char *text, size_t len, size_t *authority)
{
    static const struct {
        const char *text;
        size_t len;
        enum h1_scheme scheme;
    } schemes[] = { { "http://", 7, H1_HTTP }, { "https://", 8, H1_HTTPS } };

    for (size_t n = 0; n < sizeof(schemes) / sizeof(*schemes); n++) {
        if (len >= schemes[n].len && http_same_word(text, schemes[n].len, schemes[n].text)) {
            head->scheme = schemes[n].scheme;
            *authority = schemes[n].len;
            return true;
        }
    }
    return false;
}

/* "http://host:port/path?query", path and query may be missing. */
static bool absolute_form(struct h1_head *head, const char *text, size_t at, size_t len)
{
    size_t from = 0, to, name = 0;

    if (!read_scheme(head, text, len, &from)) {
        return h1_refuse(head, 400, "malformed request target");
    }
    for (to = from; to < len && text[to] != '/' && text[to] != '?'; to++) {
    }
    if (!h1_host_valid(text + from, to - from, &name) || name == 0) {
        return h1_refuse(head, 400, "malformed host in the request target");
    }
    head->form = H1_ABSOLUTE;
    head->host_at = (uint32_t)(at + from);
    head->host_len = (uint32_t)(to - from);
    head->host_name_len = (uint32_t)name;
    head->path_at = (uint32_t)(at + to);
    head->path_len = (uint32_t)(len - to);
    return true;
}

static bool authority_form(struct h1_head *head, const char *text, size_t at, size_t len)
{
    size_t name = 0;

    if (!h1_host_valid(text, len, &name) || name == 0 || name + 2 > len) {
        return h1_refuse(head, 400, "CONNECT wants a host and a port");
    }
    head->form = H1_AUTHORITY;
    head->host_at = (uint32_t)at;
    head->host_len = (uint32_t)len;
    head->host_name_len = (uint32_t)name;
    head->path_at = (uint32_t)(at + len);
    head->path_len = 0;
    return true;
}

static bool read_target(struct h1_head *head, const char *buf, size_t at, size_t len)
{
    const char *text = buf + at;

    head->target_at = head->path_at = (uint32_t)at;
    head->target_len = head->path_len = (uint32_t)len;
    head->posts = is_method(buf, head, "POST") || is_method(buf, head, "PUT");
    if (is_method(buf, head, "CONNECT")) {
        return authority_form(head, text, at, len);
    }
    if (*text == '/') {
        return true;
    }
    if (len == 1 && *text == '*') {
        head->form = H1_ASTERISK;
        return is_method(buf, head, "OPTIONS") ||
               h1_refuse(head, 400, "target * is for OPTIONS alone");
    }
    return absolute_form(head, text, at, len);
}

bool h1_request_line(struct h1_head *head, const char *buf, size_t at, size_t len)
{
    size_t p = at, end = at + len, target;

    while (p < end && http_is(buf[p], CHAR_TOKEN)) {
        p++;
    }
    if (p == at || p == end || buf[p] != ' ') {
        return h1_refuse(head, 400, "malformed method");
    }
    head->method_len = (uint32_t)(p - at);
    target = ++p;
    while (p < end && http_is(buf[p], CHAR_TARGET)) {
        p++;
    }
    if (p == end) {
        return h1_refuse(head, 400, "request line without an HTTP version");
    }
    if (p == target || buf[p] != ' ') {
        return h1_refuse(head, 400, "malformed request target");
    }
    return read_version(head, buf + p + 1, end - p - 1) &&
           read_target(head, buf, target, p - target);
}
