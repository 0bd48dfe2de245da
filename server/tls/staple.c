/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSLUseStapling, the side of the handshake: a copy out of shared memory, or nothing. Nothing
 * here waits, and no failure of a responder ever fails a handshake.
 */
#include "tls/staple.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "util/log.h"

static void staple_free(void *parent, void *data, CRYPTO_EX_DATA *ad, int index, long argl,
                        void *argp)
{
    struct staple *st = data;

    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (st) {
        OPENSSL_free(st->file);
        OPENSSL_free(st->url);
        X509_free(st->issuer);
        OPENSSL_free(st);
    }
}

/* While the config is read, single-threaded, for the first time. */
static int ex_index(void)
{
    static int index = -1;

    if (index < 0) {
        index = X509_get_ex_new_index(0, NULL, NULL, NULL, staple_free);
    }
    return index;
}

struct staple *staple_of(const X509 *certificate)
{
    return X509_get_ex_data(certificate, ex_index());
}

/* ---- What is known of a certificate ------------------------------------------- */

static X509 *find_issuer(SSL_CTX *ctx, X509 *certificate)
{
    STACK_OF(X509) *chain = NULL;

    (void)SSL_CTX_get0_chain_certs(ctx, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_check_issued(sk_X509_value(chain, i), certificate) == X509_V_OK) {
            return sk_X509_value(chain, i);
        }
    }
    return NULL;
}

/* The first responder that the certificate names; the caller's to free. */
static char *find_url(X509 *certificate)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(certificate);
    char *url =
        sk_OPENSSL_STRING_num(urls) > 0 ? OPENSSL_strdup(sk_OPENSSL_STRING_value(urls, 0)) : NULL;

    X509_email_free(urls);
    return url;
}

static uint64_t make_tag(const X509 *certificate, const char *url)
{
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned len = 0;
    uint64_t tag = 0;

    if (hash && X509_digest(certificate, EVP_sha256(), digest, &len) == 1 &&
        EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(hash, digest, len) == 1 && EVP_DigestUpdate(hash, url, strlen(url)) == 1 &&
        EVP_DigestFinal_ex(hash, digest, NULL) == 1) {
        memcpy(&tag, digest, sizeof(tag));
    }
    EVP_MD_CTX_free(hash);
    return tag | 1; /* 0 is a free slot */
}

static int or_else(int value, int otherwise)
{
    return value == UNSET ? otherwise : value;
}

/* As httpd's. */
static struct ssl_stapling with_defaults(struct ssl_stapling s)
{
    s.return_errors = or_else(s.return_errors, 1);
    s.responder_timeout = or_else(s.responder_timeout, 10);
    s.standard_timeout = or_else(s.standard_timeout, 3600);
    s.error_timeout = or_else(s.error_timeout, 600);
    s.time_skew = or_else(s.time_skew, 300);
    return s; /* max_age: -1 is without limit */
}

static struct staple *staple_new(const struct ssl_stapling *settings, X509 *certificate,
                                 X509 *issuer, const char *file)
{
    struct staple *st = OPENSSL_zalloc(sizeof(*st));

    if (!st) {
        return NULL;
    }
    st->settings = with_defaults(*settings);
    st->file = OPENSSL_strdup(file);
    st->url = settings->force_url ? OPENSSL_strdup(settings->force_url) : find_url(certificate);
    if (issuer && X509_up_ref(issuer) == 1) {
        st->issuer = issuer;
    }
    return st;
}

/* What a config lacks is a warning: the server works without. */
static bool is_usable(const struct staple *st, const struct ssl_text *at, struct diags *diags)
{
    const char *words = NULL;

    if (!st->issuer) {
        words = "its issuer's certificate does not stand behind it in the file, so that no "
                "response about it could be verified";
    }
    else if (!st->url) {
        words = "it names no OCSP responder; SSLStaplingForceURL would";
    }
    if (words) {
        diags_add(diags, DIAG_START, DIAG_WARNING, at->file, at->line, 0,
                  "SSLUseStapling: nothing is stapled to %s: %s", st->file, words);
    }
    return words == NULL;
}

bool staple_set_up(struct tls_app *app, struct tls_context *context, const struct ssl_text *at,
                   const char *path, struct diags *diags)
{
    X509 *certificate = SSL_CTX_get0_certificate(context->ctx);
    struct staple *st;

    if (context->conf->stapling.use != 1 || !app->shared.staples) {
        return true;
    }
    st = staple_new(&context->conf->stapling, certificate, find_issuer(context->ctx, certificate),
                    path);
    if (!st || !st->file) {
        staple_free(NULL, st, NULL, 0, 0, NULL);
        tls_diag(diags, at, true, "no memory for what is stapled to %s", path);
        return false;
    }
    if (is_usable(st, at, diags)) {
        st->tag = make_tag(certificate, st->url);
        st->slot = staple_slot_find(app->shared.staples, st->tag, time(NULL));
        if (st->slot >= 0 && X509_set_ex_data(certificate, ex_index(), st) == 1) {
            context->stapled++;
            return true;
        }
        diags_add(diags, DIAG_START, DIAG_WARNING, at->file, at->line, 0,
                  "SSLUseStapling: nothing is stapled to %s: %d other certificates are stapled to",
                  path, STAPLE_SLOTS);
    }
    staple_free(NULL, st, NULL, 0, 0, NULL);
    ERR_clear_error();
    return true;
}

bool tls_staples(const struct tls_app *app)
{
    for (int i = 0; app && i < app->contexts->nelts; i++) {
        if (APR_ARRAY_IDX(app->contexts, i, struct tls_context *)->stapled > 0) {
            return true;
        }
    }
    return false;
}

/* ---- OpenSSL's callback ---------------------------------------------------------- */

int staple_callback(SSL *ssl, void *board)
{
    const X509 *certificate = SSL_get_certificate(ssl);
    const struct staple *st = certificate ? staple_of(certificate) : NULL;
    unsigned char bytes[STAPLE_MAX];
    unsigned char *copy;
    size_t len = st ? staple_get(board, st->slot, st->tag, time(NULL), bytes) : 0;

    if (len == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    copy = OPENSSL_memdup(bytes, len);
    if (!copy || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)len) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}
