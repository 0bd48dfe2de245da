/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS connection: bytes in, bytes out, no I/O. OpenSSL reads whole records
 * from memory and writes to a buffer that takes everything, so that no call
 * here ever waits and a connection between two calls holds no half-done record.
 */
#include "tls/tls_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>

#include "util/log.h"

enum {
    RECORD_DATA = 16384,
    RECORD_OVERHEAD = 96 /* header, IV, MAC and padding of any cipher */
};

static bool conn_start(struct tls_app *app, struct tls_conn *t, SSL_CTX *ctx)
{
    BIO *bio;

    t->ssl = SSL_new(ctx);
    bio = BIO_new(app->bio_method);
    if (!t->ssl || !bio) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    SSL_set_accept_state(t->ssl);
    return true;
}

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
    if (!conn_start(app, t, context->ctx)) {
        ERR_clear_error();
        tls_close(t);
        return NULL;
    }
    return t;
}

void tls_close(struct tls_conn *t)
{
    if (t) {
        SSL_free(t->ssl);
        records_free(&t->in);
        free(t->out.data);
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

static int fail(struct tls_conn *t, const char *words)
{
    unsigned long code = ERR_peek_error();

    if (!words && ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        words = X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));
    }
    if (!words && code != 0) {
        words = ERR_reason_error_string(code);
    }
    t->error = words ? words : "unknown TLS failure";
    t->failed = true;
    ERR_clear_error();
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
            (void)fail(t, "plain HTTP on a TLS port");
            return TLS_FAILED;
        }
    }
    if (!records_add(&t->in, raw, len)) {
        (void)fail(t, "out of memory");
        return TLS_FAILED;
    }
    return TLS_OK;
}

int tls_read(struct tls_conn *t, void *buf, size_t size)
{
    int n;

    if (t->failed) {
        return TLS_FAILED;
    }
    ERR_clear_error();
    n = SSL_read(t->ssl, buf, size > INT_MAX ? INT_MAX : (int)size);
    if (n > 0) {
        return n;
    }
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        if (t->in.broken) {
            return fail(t, "what came is no TLS record");
        }
        records_settle(&t->in);
        return TLS_WANT_INPUT;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        return fail(t, NULL);
    }
}

enum tls_result tls_write(struct tls_conn *t, const void *data, size_t len)
{
    size_t written;

    if (t->failed || t->closing) {
        return TLS_FAILED;
    }
    if (len == 0) {
        return TLS_OK;
    }
    ERR_clear_error();
    if (!out_reserve(&t->out, len + (len / RECORD_DATA + 1) * RECORD_OVERHEAD)) {
        (void)fail(t, "out of memory");
        return TLS_FAILED;
    }
    /* Without SSL_MODE_ENABLE_PARTIAL_WRITE success means all of it. */
    if (SSL_write_ex(t->ssl, data, len, &written) != 1) {
        (void)fail(t, NULL);
        return TLS_FAILED;
    }
    return TLS_OK;
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
    }
}

void tls_shutdown(struct tls_conn *t)
{
    if (t->failed || t->closing || !SSL_is_init_finished(t->ssl)) {
        return;
    }
    t->closing = true;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

bool tls_established(const struct tls_conn *t)
{
    return !t->failed && SSL_is_init_finished(t->ssl);
}

enum tls_news tls_handshake_news(struct tls_conn *t, bool closing)
{
    if (t->told) {
        return TLS_NEWS_NONE;
    }
    if (SSL_is_init_finished(t->ssl)) {
        t->told = true;
        return SSL_session_reused(t->ssl) ? TLS_NEWS_RESUMED : TLS_NEWS_FULL;
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
