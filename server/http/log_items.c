/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The letters of a LogFormat, with httpd's meanings. What a client sent is
 * escaped, so that no request can forge a line or speak to a terminal.
 */
#include "http/log_format.h"

#include <string.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/request.h"

#define ITEM(name)                                                                                 \
    static void name(struct log_out *out, struct request *q, const struct log_item *item,          \
                     apr_time_t now)
#define UNUSED (void)item, (void)now

static void put_or_dash(struct log_out *out, const char *text)
{
    if (text && *text) {
        log_put_escaped(out, text);
    }
    else {
        log_put_nothing(out);
    }
}

/* ---- Who ---- */

ITEM(client_address)
{
    UNUSED;
    put_or_dash(out, item->choice == 'c' || q->pub.useragent_ip == NULL ? q->conn.client_ip
                                                                        : q->pub.useragent_ip);
}

ITEM(local_address)
{
    UNUSED;
    put_or_dash(out, q->conn.local_ip);
}

/* Nobody asks identd, measures the first byte's time or keeps trailers. */
ITEM(not_known)
{
    UNUSED;
    (void)q;
    log_put_nothing(out);
}

ITEM(request_id)
{
    UNUSED;
    put_or_dash(out, q->pub.log_id);
}

ITEM(user)
{
    UNUSED;
    if (q->pub.user && *q->pub.user == '\0' && !out->json) {
        log_put(out, "\"\"", 2);
        return;
    }
    put_or_dash(out, q->pub.user);
}

static int canonical_port(const struct request *q)
{
    if (q->pub.server && q->pub.server->port) {
        return q->pub.server->port;
    }
    return q->conn.secure ? 443 : 80;
}

ITEM(port)
{
    UNUSED;
    log_put_number(out,
                   item->choice == 'r'   ? q->conn.client_port
                   : item->choice == 'l' ? q->conn.local_port
                                         : canonical_port(q),
                   1);
}

ITEM(server_name)
{
    UNUSED;
    put_or_dash(out, q->pub.server ? q->pub.server->server_hostname : NULL);
}

ITEM(host_name)
{
    UNUSED;
    put_or_dash(out, q->pub.hostname ? q->pub.hostname
                     : q->pub.server ? q->pub.server->server_hostname
                                     : NULL);
}

ITEM(process)
{
    UNUSED;
    (void)q;
    log_put_number(out, item->choice == 't' ? (int64_t)gettid() : (int64_t)getpid(), 1);
}

ITEM(generation)
{
    UNUSED;
    log_put_number(out, q->app ? (int64_t)q->app->generation : 0, 1);
}

ITEM(worker)
{
    UNUSED;
    log_put_number(out, q->app ? (int64_t)q->app->worker : 0, 1);
}

ITEM(thread_hex)
{
    char text[32];

    UNUSED;
    (void)q;
    log_put(out, text, (size_t)apr_snprintf(text, sizeof(text), "%x", (unsigned)gettid()));
}

/* ---- The request ---- */

ITEM(request_line)
{
    UNUSED;
    put_or_dash(out, q->pub.the_request);
}

ITEM(method)
{
    UNUSED;
    put_or_dash(out, q->pub.method);
}

ITEM(protocol)
{
    UNUSED;
    put_or_dash(out, q->pub.protocol);
}

ITEM(path)
{
    UNUSED;
    put_or_dash(out, q->pub.uri);
}

ITEM(query)
{
    UNUSED;
    if (q->pub.args) {
        log_put(out, "?", 1);
        log_put_escaped(out, q->pub.args);
    }
}

ITEM(filename)
{
    UNUSED;
    put_or_dash(out, q->pub.filename);
}

ITEM(handler)
{
    UNUSED;
    put_or_dash(out, q->pub.handler);
}

ITEM(keepalives)
{
    UNUSED;
    log_put_number(out, q->conn.keepalives, 1);
}

static const char *find_in(const apr_table_t *table, const char *name)
{
    return table ? apr_table_get(table, name) : NULL;
}

ITEM(header_in)
{
    (void)now;
    put_or_dash(out, q->pub.headers_in ? ins_header(&q->pub, item->text) : NULL);
}

/* What the server itself says of the body and the connection is in no table. */
static const char *own_field(const struct request *q, const char *name)
{
    if (strcasecmp(name, "Content-Type") == 0) {
        return q->pub.content_type;
    }
    if (strcasecmp(name, "Connection") == 0) {
        return q->out_connection;
    }
    return q->out_chunked && strcasecmp(name, "Transfer-Encoding") == 0 ? "chunked" : NULL;
}

ITEM(header_out)
{
    const char *value = own_field(q, item->text);

    (void)now;
    if (q->out_length >= 0 && strcasecmp(item->text, "Content-Length") == 0) {
        log_put_number(out, q->out_length, 1);
        return;
    }
    value = value ? value : find_in(q->pub.headers_out, item->text);
    put_or_dash(out, value ? value : find_in(q->pub.err_headers_out, item->text));
}

ITEM(note)
{
    (void)now;
    put_or_dash(out, find_in(q->pub.notes, item->text));
}

ITEM(environment)
{
    (void)now;
    put_or_dash(out, find_in(q->pub.subprocess_env, item->text));
}

ITEM(tls_variable)
{
    (void)now;
    put_or_dash(out, q->io && q->io->tls_variable ? q->io->tls_variable(q, item->text) : NULL);
}

/* One cookie of the Cookie field: "a=1; b=2". */
ITEM(cookie)
{
    const char *at = find_in(q->pub.headers_in, "Cookie");
    size_t len = strlen(item->text);
    char *value = NULL;

    (void)now;
    while (at && value == NULL) {
        at += strspn(at, "; \t,");
        if (strncmp(at, item->text, len) == 0 && at[len] == '=') {
            value = apr_pstrmemdup(q->pub.pool, at + len + 1, strcspn(at + len + 1, ";"));
        }
        at = strchr(at, ';');
    }
    put_or_dash(out, value);
}

/* ---- The answer ---- */

ITEM(status)
{
    UNUSED;
    log_put_number(out, q->pub.status, 3);
}

ITEM(body_bytes)
{
    (void)now;
    if (item->choice == 'b' && q->pub.bytes_sent == 0 && !out->json) {
        log_put(out, "-", 1);
        return;
    }
    log_put_number(out, q->pub.bytes_sent, 1);
}

ITEM(all_bytes)
{
    int64_t in = (int64_t)q->head.length + q->body.total;
    int64_t sent = q->head_bytes + q->pub.bytes_sent;

    (void)now;
    log_put_number(out, item->choice == 'I' ? in : item->choice == 'O' ? sent : in + sent, 1);
}

ITEM(connection_status)
{
    UNUSED;
    log_put(out, q->failed ? "X" : q->keep_alive ? "+" : "-", 1);
}

ITEM(duration)
{
    apr_time_t taken = now > q->pub.request_time ? now - q->pub.request_time : 0;

    log_put_number(out, taken / item->choice, 1);
}

/* ---- Choosing ---- */

enum argument { NONE, MAY, MUST };

static const struct letter {
    const char *letter;
    log_item_fn write;
    enum argument argument;
    int choice;
} letters[] = {
    { "a", client_address, MAY, 0 },
    { "A", local_address, NONE, 0 },
    { "b", body_bytes, NONE, 'b' },
    { "B", body_bytes, NONE, 'B' },
    { "C", cookie, MUST, 0 },
    { "D", duration, NONE, 1 },
    { "e", environment, MUST, 0 },
    { "f", filename, NONE, 0 },
    { "h", client_address, MAY, 0 },
    { "H", protocol, NONE, 0 },
    { "i", header_in, MUST, 0 },
    { "I", all_bytes, NONE, 'I' },
    { "k", keepalives, NONE, 0 },
    { "l", not_known, NONE, 0 },
    { "L", request_id, NONE, 0 },
    { "m", method, NONE, 0 },
    { "n", note, MUST, 0 },
    { "o", header_out, MUST, 0 },
    { "O", all_bytes, NONE, 'O' },
    { "p", port, MAY, 0 },
    { "P", process, MAY, 0 },
    { "q", query, NONE, 0 },
    { "r", request_line, NONE, 0 },
    { "R", handler, NONE, 0 },
    { "s", status, NONE, 0 },
    { "S", all_bytes, NONE, 'S' },
    { "T", duration, MAY, 1000000 },
    { "u", user, NONE, 0 },
    { "U", path, NONE, 0 },
    { "v", server_name, NONE, 0 },
    { "V", host_name, NONE, 0 },
    { "x", tls_variable, MUST, 0 },
    { "X", connection_status, NONE, 0 },
    { "^FB", not_known, NONE, 0 },
    { "^ti", not_known, MUST, 0 },
    { "^to", not_known, MUST, 0 },
};

/* What may stand in {} before a letter. */
static const struct word {
    const char *letter, *word;
    log_item_fn write; /* NULL: the letter's */
    int choice;
} words[] = {
    { "a", "c", NULL, 'c' },
    { "h", "c", NULL, 'c' },
    { "p", "canonical", NULL, 0 },
    { "p", "local", NULL, 'l' },
    { "p", "remote", NULL, 'r' },
    { "P", "pid", NULL, 0 },
    { "P", "generation", generation, 0 },
    { "P", "worker", worker, 0 },
    { "P", "tid", NULL, 't' },
    { "P", "hextid", thread_hex, 0 },
    { "T", "us", NULL, 1 },
    { "T", "ms", NULL, 1000 },
    { "T", "s", NULL, 1000000 },
};

static const char *choose_word(struct log_item *item, const char *letter, apr_pool_t *pool)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].letter, letter) == 0 && strcasecmp(words[i].word, item->text) == 0) {
            item->choice = words[i].choice;
            item->write = words[i].write ? words[i].write : item->write;
            return NULL;
        }
    }
    return apr_psprintf(pool, "%%{%s}%s is unknown", item->text, letter);
}

const char *log_item_choose(struct log_item *item, const char *letter, size_t len, apr_pool_t *pool)
{
    if (len == 1 && *letter == 't') {
        return log_item_choose_time(item, pool);
    }
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        const struct letter *l = &letters[i];

        if (strncmp(l->letter, letter, len) != 0 || l->letter[len] != '\0') {
            continue;
        }
        item->write = l->write;
        item->choice = l->choice;
        if (l->argument == MUST && (item->text == NULL || *item->text == '\0')) {
            return apr_psprintf(pool, "%%%s wants a name: %%{NAME}%s", l->letter, l->letter);
        }
        return l->argument == MAY && item->text && *item->text ? choose_word(item, l->letter, pool)
                                                               : NULL;
    }
    return apr_psprintf(pool, "%%%.*s is unknown", (int)len, letter);
}
