/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an answer: status line, the server's own fields, the module's. It
 * decides how the body ends (RFC 9112, 6) and whether the connection stays. */

#include "http/request_internal.h"

#include <stdio.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"

enum { USUAL_MAX = 256 };

/* Text that grows into the request's pool where the caller's room does not do. */
struct writer {
    char *buf;
    size_t len, cap;
    apr_pool_t *pool;
};

static void grow(struct writer *w, size_t more)
{
    char *buf;

    w->cap = (w->len + more) * 2;
    buf = apr_palloc(w->pool, w->cap);
    memcpy(buf, w->buf, w->len);
    w->buf = buf;
}

static inline void put(struct writer *w, const char *text, size_t len)
{
    if (w->cap - w->len < len) {
        grow(w, len);
    }
    memcpy(w->buf + w->len, text, len);
    w->len += len;
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void put_text(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_number(struct writer *w, int64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(w, digits + at, sizeof(digits) - at);
}

size_t chunk_head(char *out, uint64_t size)
{
    size_t digits = 1, at;

    for (uint64_t rest = size >> 4; rest; rest >>= 4) {
        digits++;
    }
    for (at = digits; at > 0; size >>= 4) {
        out[--at] = "0123456789abcdef"[size & 15];
    }
    memcpy(out + digits, "\r\n", 2);
    return digits + 2;
}

/* ---- Decisions --------------------------------------------------------- */

bool response_is_empty(const struct request *q)
{
    return q->pub.status == 204 || q->pub.status == 304 || q->pub.status == 205 || q->upgraded;
}

static bool has_fields(const apr_table_t *table)
{
    return apr_table_elts(table)->nelts > 0;
}

/* A module may have used the table instead of the functions. */
static void adopt_fields(struct request *q)
{
    ins_request *r = &q->pub;
    const char *value;

    if (!has_fields(r->headers_out)) {
        return;
    }
    value = apr_table_get(r->headers_out, "Content-Length");
    if (value && q->out_declared < 0) {
        (void)http_decimal(value, strlen(value), &q->out_declared);
    }
    value = apr_table_get(r->headers_out, "Connection");
    if (value && http_same_word(value, strlen(value), "close")) {
        q->keep_alive = false;
    }
}

static bool server_keeps(const struct request *q)
{
    const struct http_server_conf *conf = http_server_conf(q->pub.server);
    int max = conf->max_keep_alive_requests;

    return conf->keep_alive && conf->keep_alive_timeout > 0 &&
           (max <= 0 || q->conn.keepalives + 1 < max);
}

/* begun: the handler goes on, and may yet read the body. */
static void decide_keep_alive(struct request *q, bool begun, bool close)
{
    q->keep_alive = q->keep_alive && !close && q->head.keep_alive && !q->failed &&
                    server_keeps(q) &&
                    (begun ? request_body_is_readable(q) : request_body_is_discardable(q));
}

enum framing { NO_BODY, COUNTED, CHUNKED, UNTIL_CLOSE };

/* A HEAD says what GET would have said, where that is known without sending it. */
static enum framing head_framing(const struct request *q, bool begun, int64_t *length)
{
    if (q->out_declared >= 0) {
        *length = q->out_declared;
        return COUNTED;
    }
    *length = q->out_total;
    return begun || q->next || q->out_total > OUTPUT_BUFFER ? NO_BODY : COUNTED;
}

static enum framing decide_framing(struct request *q, bool begun, int64_t *length)
{
    *length = 0;
    if (response_is_empty(q)) {
        return q->pub.status == 205 ? COUNTED : NO_BODY;
    }
    if (q->pub.header_only) {
        return head_framing(q, begun, length);
    }
    if (q->out_declared >= 0) {
        *length = q->out_declared;
        return COUNTED;
    }
    *length = q->out_len;
    if (!begun && !q->next) {
        return COUNTED;
    }
    return q->pub.proto_num >= 1001 ? CHUNKED : UNTIL_CLOSE;
}

/* ---- Writing ----------------------------------------------------------- */

/* "404 Not Found" and "Not Found" are both what modules write. */
static const char *chosen_words(const struct request *q)
{
    const char *line = q->pub.status_line;

    if (!line || !http_text_clean(line, strlen(line))) {
        return status_words(q->pub.status);
    }
    return strlen(line) > 4 && http_all(line, 3, CHAR_DIGIT) && line[3] == ' ' ? line + 4 : line;
}

static void put_status(struct writer *w, const struct request *q)
{
    if (q->pub.status == 200 && !q->pub.status_line) {
        PUT(w, "HTTP/1.1 200 OK\r\n");
        return;
    }
    PUT(w, "HTTP/1.1 ");
    put_number(w, q->pub.status);
    PUT(w, " ");
    put_text(w, chosen_words(q));
    PUT(w, "\r\n");
}

static void put_field(struct writer *w, const char *name, const char *value)
{
    put_text(w, name);
    PUT(w, ": ");
    put_text(w, value);
    PUT(w, "\r\n");
}

/* Date and Server are the same in nearly all answers of a second: one text, kept by
 * each thread. NULL where it would be too long. */
static const char *usual_lines(const char *server, size_t *len)
{
    static _Thread_local struct {
        const char *server;
        size_t len;
        char date[HTTP_DATE_LEN];
        char text[USUAL_MAX];
    } kept;
    const char *date = http_date_now();
    size_t server_len;

    if (kept.server != server || memcmp(kept.date, date, HTTP_DATE_LEN) != 0) {
        server_len = server ? strlen(server) : 0;
        if (server_len > USUAL_MAX / 2) {
            return NULL;
        }
        memcpy(kept.date, date, HTTP_DATE_LEN);
        kept.server = server;
        kept.len = (size_t)snprintf(kept.text, USUAL_MAX, "Date: %s\r\n%s%s%s", date,
                                    server_len ? "Server: " : "", server_len ? server : "",
                                    server_len ? "\r\n" : "");
    }
    *len = kept.len;
    return kept.text;
}

/* A module that passes another server's answer on has its date. */
static const char *own_date(const struct request *q)
{
    const char *own = NULL;

    if (has_fields(q->pub.headers_out)) {
        own = apr_table_get(q->pub.headers_out, "Date");
    }
    return own && http_text_clean(own, strlen(own)) ? own : NULL;
}

static void put_date_and_server(struct writer *w, const struct request *q)
{
    const char *server = http_server_conf(q->pub.server)->server_header, *own = own_date(q);
    size_t len = 0;
    const char *usual = own ? NULL : usual_lines(server, &len);

    if (usual) {
        put(w, usual, len);
        return;
    }
    put_field(w, "Date", own ? own : http_date_now());
    if (server && *server) {
        put_field(w, "Server", server);
    }
}

static void put_type(struct writer *w, const struct request *q)
{
    const char *type = q->pub.content_type;

    if (!type && has_fields(q->pub.headers_out)) {
        type = apr_table_get(q->pub.headers_out, "Content-Type");
    }
    if (type && *type && (type == q->safe_type || http_text_clean(type, strlen(type)))) {
        PUT(w, "Content-Type: ");
        put_text(w, type);
        PUT(w, "\r\n");
    }
}

static void put_framing(struct writer *w, struct request *q, enum framing framing, int64_t length)
{
    if (framing == COUNTED) {
        PUT(w, "Content-Length: ");
        put_number(w, length);
        PUT(w, "\r\n");
    }
    else if (framing == CHUNKED) {
        PUT(w, "Transfer-Encoding: chunked\r\n");
    }
    q->out_length = framing == COUNTED ? length : -1;
    q->out_chunked = framing == CHUNKED;
    q->keep_alive = q->keep_alive && framing != UNTIL_CLOSE;
}

static void put_connection(struct writer *w, struct request *q)
{
    if (q->upgraded) {
        PUT(w, "Connection: upgrade\r\n");
        q->out_connection = "upgrade";
        return;
    }
    if (!q->keep_alive) {
        PUT(w, "Connection: close\r\n");
        q->out_connection = "close";
    }
    else if (q->pub.proto_num < 1001) {
        PUT(w, "Connection: keep-alive\r\n");
        q->out_connection = "keep-alive";
    }
    if (q->pub.status == 426) {
        PUT(w, "Connection: upgrade\r\n");
    }
}

/* Written above, or not a module's to say. */
static bool is_ours(const char *name)
{
    static const char *const ours[] = { "connection", "content-length", "content-type",     "date",
                                        "keep-alive", "server",         "transfer-encoding" };
    size_t len = strlen(name);

    for (size_t n = 0; n < sizeof(ours) / sizeof(*ours); n++) {
        if (http_same_word(name, len, ours[n])) {
            return true;
        }
    }
    return false;
}

static void put_table(struct writer *w, const struct request *q, const apr_table_t *table)
{
    const apr_array_header_t *list = apr_table_elts(table);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)(const void *)list->elts;

    for (int n = 0; n < list->nelts; n++) {
        const char *name = entries[n].key, *value = entries[n].val;

        if (!name || !value || is_ours(name)) {
            continue;
        }
        if (header_is_safe(name, value)) {
            put_field(w, name, value);
        }
        else {
            request_complain(q, "INS01502", INS_ERR,
                             "left out a header field that would break the answer: %s: %s", name,
                             value);
        }
    }
}

size_t response_head(struct request *q, bool begun, bool close, char *out, size_t size,
                     const char **data)
{
    struct writer w = { out, 0, size, q->pub.pool };
    enum framing framing;
    int64_t length;

    adopt_fields(q);
    decide_keep_alive(q, begun, close);
    framing = decide_framing(q, begun, &length);
    put_status(&w, q);
    put_date_and_server(&w, q);
    put_type(&w, q);
    put_framing(&w, q, framing, length);
    put_connection(&w, q);
    if (has_fields(q->pub.headers_out)) {
        put_table(&w, q, q->pub.headers_out);
    }
    if (has_fields(q->pub.err_headers_out)) {
        put_table(&w, q, q->pub.err_headers_out);
    }
    PUT(&w, "\r\n");
    q->head_sent = true;
    q->head_bytes += (int64_t)w.len;
    *data = w.buf;
    return w.len;
}
