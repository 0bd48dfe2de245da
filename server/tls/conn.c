/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS connection: bytes in, bytes out, no I/O. Input is cut into whole
 * records, output goes to a buffer that takes everything, so that no call
 * here ever waits and a connection between two calls holds no half-done record.
 */
#include "tls/tls_internal.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "util/log.h"

struct tls_conn *tls_open(struct tls_app *app, const struct host_table *hosts)
{
    ins_server *server = http_find_server(hosts, NULL, 0);
    const struct tls_context *context = ssl_server_conf(server)->context;
    struct tls_conn *t;

    if (!context) {
        log_error("INS01601",
                  "connection refused: %s, the first server behind this https "
                  "listener, has no SSLCertificateFile",
                  server->server_hostname ? server->server_hostname : "the main server");
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (!t) {
        return NULL;
    }
    t->hosts = hosts;
    t->server = server;
    if (!session_start(app, t, context->ctx)) {
        ERR_clear_error();
        tls_close(t);
        return NULL;
    }
    return t;
}

void tls_close(struct tls_conn *t)
{
    if (t) {
        t->back->close(t);
        records_free(&t->in);
        free(t->out.data);
        OPENSSL_cleanse(t->traffic, sizeof(t->traffic));
        free(t);
    }
}

void tls_worker_init(struct tls_app *app)
{
    unsigned char bytes[16];

    /* The random generators notice the fork at their first use: not in a handshake. */
    if (app &&
        (RAND_bytes(bytes, sizeof(bytes)) != 1 || RAND_priv_bytes(bytes, sizeof(bytes)) != 1)) {
        ERR_clear_error();
    }
}

int tls_fail(struct tls_conn *t, const char *words)
{
    t->error = words;
    t->failed = true;
    return TLS_FAILED;
}

enum tls_result tls_feed(struct tls_conn *t, const void *raw, size_t len)
{
    const unsigned char *bytes = raw;

    if (t->failed) {
        return TLS_FAILED;
    }
    if (!t->began && len > 0) {
        t->began = true;
        t->plain_http = bytes[0] >= 'A' && bytes[0] <= 'Z';
        if (t->plain_http) {
            (void)tls_fail(t, "plain HTTP on a TLS port");
            return TLS_FAILED;
        }
    }
    if (!records_add(&t->in, raw, len)) {
        (void)tls_fail(t, "out of memory");
        return TLS_FAILED;
    }
    return TLS_OK;
}

int tls_read(struct tls_conn *t, void *buf, size_t size)
{
    return t->failed ? TLS_FAILED : t->back->read(t, buf, size);
}

enum tls_result tls_write(struct tls_conn *t, const void *data, size_t len)
{
    if (t->failed || t->closing) {
        return TLS_FAILED;
    }
    return len > 0 ? t->back->write(t, data, len) : TLS_OK;
}

const char *tls_output(struct tls_conn *t, size_t *len)
{
    *len = t->out.len - t->out.pos;
    return *len > 0 ? t->out.data + t->out.pos : NULL;
}

void tls_consume(struct tls_conn *t, size_t len)
{
    t->out.pos += len;
    if (t->out.pos == t->out.len) {
        free(t->out.data);
        t->out = (struct tls_out){ 0 };
        t->back->settle(t);
    }
}

void tls_shutdown(struct tls_conn *t)
{
    if (t->failed || t->closing || !t->back->established(t)) {
        return;
    }
    t->closing = true;
    t->back->shutdown(t);
}

bool tls_established(const struct tls_conn *t)
{
    return !t->failed && t->back->established(t);
}

enum tls_news tls_handshake_news(struct tls_conn *t, bool closing)
{
    if (t->told) {
        return TLS_NEWS_NONE;
    }
    if (t->back->established(t)) {
        t->told = true;
        return t->back->resumed(t) ? TLS_NEWS_RESUMED : TLS_NEWS_FULL;
    }
    if (closing && t->began) {
        t->told = true;
        return TLS_NEWS_FAILED;
    }
    return TLS_NEWS_NONE;
}

bool tls_is_plain_http(const struct tls_conn *t)
{
    return t->plain_http;
}

ins_server *tls_server(const struct tls_conn *t)
{
    return t->server;
}

const char *tls_error(const struct tls_conn *t)
{
    return t->error ? t->error : "no failure";
}
