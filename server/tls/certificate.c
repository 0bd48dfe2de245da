/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and private keys from their files. Everything that is commonly
 * wrong with them (missing, unreadable, not PEM, encrypted, key of another
 * certificate, expired) is said in words that name the file.
 */
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* OpenSSL's own would ask at the terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *asked)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static void check_dates(const X509 *certificate, const char *path, const struct ssl_text *at,
                        struct diags *diags)
{
    const ASN1_TIME *end = X509_get0_notAfter(certificate);
    const ASN1_TIME *start = X509_get0_notBefore(certificate);
    const char *words;
    char when[64] = "?";
    BIO *text;

    if (X509_cmp_current_time(end) < 0) {
        words = "has expired, on";
    }
    else if (X509_cmp_current_time(start) > 0) {
        words = "is not valid before";
        end = start;
    }
    else {
        return;
    }
    text = BIO_new(BIO_s_mem());
    if (text && ASN1_TIME_print(text, end) == 1) {
        (void)BIO_gets(text, when, sizeof(when));
    }
    BIO_free(text);
    diags_add(diags, DIAG_START, DIAG_WARNING, at->file, at->line, 0, "the certificate %s %s %s",
              path, words, when);
}

static EVP_PKEY *read_key(struct tls_app *app, const struct ssl_text *at, const char **path,
                          struct diags *diags)
{
    bool encrypted = false;
    struct tls_file file;
    EVP_PKEY *key;

    if (!tls_file_open(app, &file, "private key", at, diags)) {
        return NULL;
    }
    *path = file.path;
    ERR_clear_error();
    key = PEM_read_bio_PrivateKey(file.bio, NULL, no_pass_phrase, &encrypted);
    tls_file_close(&file);
    if (!key && encrypted) {
        ERR_clear_error();
        tls_diag(diags, at, false,
                 "the private key %s is protected by a pass phrase: a server that starts by "
                 "itself needs one without (openssl pkey -in OLD -out NEW)",
                 *path);
    }
    else if (!key) {
        tls_diag(diags, at, true, "%s holds no usable private key in PEM format", *path);
    }
    return key;
}

static bool load_key(struct tls_app *app, SSL_CTX *ctx, const struct ssl_text *at,
                     const char *certificate_path, struct diags *diags)
{
    const char *path;
    EVP_PKEY *key = read_key(app, at, &path, diags);
    bool ok = false;

    if (!key) {
        return false;
    }
    ERR_clear_error();
    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1) {
        tls_diag(diags, at, true, "the private key %s does not match the certificate %s", path,
                 certificate_path);
    }
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        tls_diag(diags, at, true, "the private key %s cannot be used", path);
    }
    else {
        ok = true;
    }
    EVP_PKEY_free(key);
    return ok;
}

/* What stands behind the server's own certificate; it ends where no further one begins. */
static bool use_chain(SSL_CTX *ctx, BIO *in, bool *asked)
{
    X509 *issuer;

    while ((issuer = PEM_read_bio_X509(in, NULL, no_pass_phrase, asked)) != NULL) {
        if (SSL_CTX_add0_chain_cert(ctx, issuer) != 1) {
            X509_free(issuer);
            return false;
        }
    }
    return tls_pem_ended();
}

static bool use_certificates(SSL_CTX *ctx, BIO *in)
{
    bool asked = false;
    X509 *own = PEM_read_bio_X509_AUX(in, NULL, no_pass_phrase, &asked);
    bool ok = own && SSL_CTX_use_certificate(ctx, own) == 1 && SSL_CTX_clear_chain_certs(ctx) == 1;

    X509_free(own);
    return ok && use_chain(ctx, in, &asked);
}

/* One of a kind alone is ever shown: a second one would silently replace the first. */
static bool is_second_of_kind(SSL_CTX *ctx, int *kinds, int count, const struct ssl_text *at,
                              const char *path, struct diags *diags)
{
    const EVP_PKEY *key = X509_get0_pubkey(SSL_CTX_get0_certificate(ctx));

    kinds[count] = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    for (int i = 0; i < count; i++) {
        if (kinds[i] == kinds[count]) {
            tls_diag(diags, at, false,
                     "%s: this server has another certificate with a key of the same type (%s); "
                     "give one for each type",
                     path, OBJ_nid2sn(kinds[i]));
            return true;
        }
    }
    return false;
}

static bool load_pair(struct tls_app *app, struct tls_context *context, int index, int *kinds,
                      struct diags *diags)
{
    const struct ssl_server_conf *conf = context->conf;
    SSL_CTX *ctx = context->ctx;
    const struct ssl_text *at = &APR_ARRAY_IDX(conf->certificates, index, struct ssl_text);
    struct tls_file file;
    bool ok;

    if (!tls_file_open(app, &file, "certificate", at, diags)) {
        return false;
    }
    ERR_clear_error();
    ok = use_certificates(ctx, file.bio);
    tls_file_close(&file);
    if (!ok) {
        tls_diag(diags, at, true, "%s holds no usable certificate in PEM format", file.path);
        return false;
    }
    check_dates(SSL_CTX_get0_certificate(ctx), file.path, at, diags);
    return !is_second_of_kind(ctx, kinds, index, at, file.path, diags) &&
           load_key(app, ctx, key_of(conf, index), file.path, diags) &&
           staple_set_up(app, context, at, file.path, diags);
}

bool certificates_load(struct tls_app *app, struct tls_context *context, struct diags *diags)
{
    const struct ssl_server_conf *conf = context->conf;
    int *kinds = apr_pcalloc(diags->pool, sizeof(*kinds) * (size_t)conf->certificates->nelts);
    bool ok = true;

    for (int i = 0; i < conf->certificates->nelts; i++) {
        ok = load_pair(app, context, i, kinds, diags) && ok;
    }
    return ok;
}
