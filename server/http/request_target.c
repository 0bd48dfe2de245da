/* SPDX-License-Identifier: Apache-2.0 */
/* From the target's path to r->uri: decoded once, without dot segments and
 * without empty ones. What comes out names one thing whatever way it was
 * spelt, so that sections, routes and modules compare the same text. */

#include "http/request_internal.h"

#include <string.h>

#include <apr_strings.h>

#include "http/chars.h"

static int decode(const char *escape, size_t left, char *out)
{
    int high, low;

    if (left < 3) {
        return 400;
    }
    high = http_hex_digit(escape[1]);
    low = http_hex_digit(escape[2]);
    if (high < 0 || low < 0 || (high | low) == 0) {
        return 400;
    }
    *out = (char)(high << 4 | low);
    return *out == '/' ? 404 : INS_OK;
}

/* out[0..from) ends in '/': drops its last segment. 0 where there is none. */
static size_t parent(const char *out, size_t from)
{
    if (from <= 1) {
        return 0;
    }
    for (from--; out[from - 1] != '/'; from--) {
    }
    return from;
}

/* The segment out[from..to) is complete. Where the next one goes, 0: above the root. */
static size_t end_segment(const char *out, size_t from, size_t to)
{
    size_t len = to - from;

    if (len > 0 && len <= 2 && out[from] == '.') {
        if (len == 1) {
            return from;
        }
        if (out[from + 1] == '.') {
            return parent(out, from);
        }
    }
    return to;
}

int target_normalise(const char *path, size_t len, char *out, size_t *out_len)
{
    size_t to = 1, from = 1, at = 0;

    out[0] = '/';
    while (at < len) {
        char c = path[at];

        if (c == '/') {
            size_t next = end_segment(out, from, to);

            if (next == 0) {
                return 400;
            }
            if (next == to && to > from) {
                out[next++] = '/';
            }
            from = to = next;
        }
        else if (c == '%') {
            int status = decode(path + at, len - at, &out[to++]);

            if (status != INS_OK) {
                return status;
            }
            at += 2;
        }
        else {
            out[to++] = c;
        }
        at++;
    }
    to = end_segment(out, from, to);
    if (to == 0) {
        return 400;
    }
    out[to] = '\0';
    *out_len = to;
    return INS_OK;
}

/* Needs neither decoding nor normalising. */
static bool is_plain(const char *path, size_t len)
{
    if (len == 0) {
        return false;
    }
    for (size_t at = 1; at < len; at++) {
        if (!http_is(path[at], CHAR_PATH) && (path[at] == '%' || path[at - 1] == '/')) {
            return false;
        }
    }
    return true;
}

static int refuse(struct request *q, int status)
{
    q->why = status == 404 ? "encoded slash in the path" : "malformed path";
    return status;
}

int request_read_target(struct request *q)
{
    ins_request *r = &q->pub;
    const struct h1_head *head = &q->head;
    size_t at = (size_t)(head->path - head->target), len = head->path_len, out_len;
    char *target = apr_pstrmemdup(r->pool, head->target, head->target_len), *query, *uri;
    int status;

    r->unparsed_uri = target;
    r->uri = target;
    if (head->form == H1_ASTERISK || head->form == H1_AUTHORITY) {
        return INS_OK;
    }
    if (head->form == H1_ABSOLUTE && len == 0 && strcmp(r->method, "OPTIONS") == 0) {
        r->uri = "*";
        return INS_OK;
    }
    query = memchr(target + at, '?', len);
    if (query) {
        r->args = query + 1;
        len = (size_t)(query - target) - at;
    }
    if (!query && is_plain(target + at, len)) {
        r->uri = target + at;
        return INS_OK;
    }
    uri = apr_palloc(r->pool, len + 2);
    status = target_normalise(target + at, len, uri, &out_len);
    if (status != INS_OK) {
        return refuse(q, status);
    }
    r->uri = uri;
    return INS_OK;
}
