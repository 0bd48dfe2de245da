/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session by OpenSSL, which reads whole records from memory and writes to a buffer that takes
 * everything (bio.c).
 */
#include "tls/tls_internal.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

enum {
    RECORD_DATA = 16384,
    RECORD_OVERHEAD = 96 /* header, IV, MAC and padding of any cipher */
};

bool session_start(struct tls_app *app, struct tls_conn *t, SSL_CTX *ctx)
{
    BIO *bio;

    t->back = &session_back;
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

static void session_close(struct tls_conn *t)
{
    SSL_free(t->ssl);
}

/* With OpenSSL's words. */
static int fail(struct tls_conn *t)
{
    unsigned long code = ERR_peek_error();
    const char *words = NULL;

    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        words = X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));
    }
    if (!words && code != 0) {
        words = ERR_reason_error_string(code);
    }
    ERR_clear_error();
    return tls_fail(t, words ? words : "unknown TLS failure");
}

/* OpenSSL by itself would keep a KeyUpdate for the next write. */
static void session_settle(struct tls_conn *t)
{
    int owed = SSL_get_key_update_type(t->ssl);

    if (owed == SSL_KEY_UPDATE_NONE || t->failed || t->closing) {
        return;
    }
    ERR_clear_error();
    if (SSL_key_update(t->ssl, owed) != 1 || SSL_do_handshake(t->ssl) != 1) {
        (void)fail(t);
    }
}

static int session_wait(struct tls_conn *t)
{
    if (t->in.broken) {
        ERR_clear_error();
        return tls_fail(t, "what came is no TLS record");
    }
    records_settle(&t->in);
    if (t->out.len == 0) {
        session_settle(t);
    }
    return t->failed ? TLS_FAILED : TLS_WANT_INPUT;
}

static int session_read(struct tls_conn *t, void *buf, size_t size)
{
    int n;

    ERR_clear_error();
    n = SSL_read(t->ssl, buf, size > INT_MAX ? INT_MAX : (int)size);
    if (n > 0) {
        return n;
    }
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return session_wait(t);
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        return fail(t);
    }
}

static enum tls_result session_write(struct tls_conn *t, const void *data, size_t len)
{
    size_t written;

    ERR_clear_error();
    if (!out_reserve(&t->out, len + (len / RECORD_DATA + 1) * RECORD_OVERHEAD)) {
        (void)tls_fail(t, "out of memory");
        return TLS_FAILED;
    }
    /* Without SSL_MODE_ENABLE_PARTIAL_WRITE success means all of it. */
    if (SSL_write_ex(t->ssl, data, len, &written) != 1) {
        (void)fail(t);
        return TLS_FAILED;
    }
    return TLS_OK;
}

static void session_shutdown(struct tls_conn *t)
{
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static bool session_established(const struct tls_conn *t)
{
    return SSL_is_init_finished(t->ssl);
}

static bool session_resumed(const struct tls_conn *t)
{
    return SSL_session_reused(t->ssl);
}

static void session_facts(const struct tls_conn *t, struct tls_facts *facts)
{
    const SSL_SESSION *session = SSL_get_session(t->ssl);

    *facts = (struct tls_facts){
        .protocol = SSL_get_version(t->ssl),
        .cipher = SSL_get_cipher_name(t->ssl),
        .sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name),
        .resumed = SSL_session_reused(t->ssl),
        .secure_renegotiation = SSL_get_secure_renegotiation_support(t->ssl),
        .forgives = tls_context_of(SSL_get_SSL_CTX(t->ssl))->verify == VERIFY_OPTIONAL_NO_CA,
        .verify_result = SSL_get_verify_result(t->ssl),
    };
    facts->bits = SSL_get_cipher_bits(t->ssl, &facts->all_bits);
    if (session) {
        facts->session_id = SSL_SESSION_get_id(session, &facts->session_id_len);
    }
}

static X509 *session_certificate(const struct tls_conn *t, bool client)
{
    X509 *certificate = client ? SSL_get0_peer_certificate(t->ssl) : SSL_get_certificate(t->ssl);

    if (certificate) {
        (void)X509_up_ref(certificate);
    }
    return certificate;
}

static size_t session_certificate_der(const struct tls_conn *t, bool client, unsigned char *der)
{
    const X509 *certificate =
        client ? SSL_get0_peer_certificate(t->ssl) : SSL_get_certificate(t->ssl);
    int len = certificate ? i2d_X509(certificate, der ? &der : NULL) : 0;

    if (len < 0) {
        ERR_clear_error();
    }
    return len > 0 ? (size_t)len : 0;
}

/* By max_fragment_length (RFC 6066), which binds both sides. */
static unsigned session_limit(const SSL *ssl)
{
    const SSL_SESSION *session = SSL_get_session(ssl);
    unsigned code = session ? SSL_SESSION_get_max_fragment_length(session) : 0;

    return code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096
               ? 256U << code
               : TLS13_PLAIN_MAX;
}

static const struct tls13_suite *session_suite(const struct tls_conn *t, unsigned *limit)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);

    *limit = session_limit(t->ssl);
    return cipher ? tls13_suite_find(SSL_CIPHER_get_protocol_id(cipher)) : NULL;
}

static bool session_at_rest(const struct tls_conn *t)
{
    return SSL_is_init_finished(t->ssl) && !t->split_message && !SSL_has_pending(t->ssl) &&
           SSL_get_key_update_type(t->ssl) == SSL_KEY_UPDATE_NONE && SSL_get_shutdown(t->ssl) == 0;
}

static void session_demands(const struct tls_conn *t, unsigned char digest[TLS_DIGEST])
{
    tls_demands(SSL_get_SSL_CTX(t->ssl), digest);
}

const struct tls_back session_back = {
    .read = session_read,
    .write = session_write,
    .shutdown = session_shutdown,
    .settle = session_settle,
    .established = session_established,
    .resumed = session_resumed,
    .facts = session_facts,
    .certificate = session_certificate,
    .certificate_der = session_certificate_der,
    .suite = session_suite,
    .at_rest = session_at_rest,
    .demands = session_demands,
    .close = session_close,
};
