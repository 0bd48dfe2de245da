/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and private keys from their files. Everything that is commonly
 * wrong with them (missing, unreadable, not PEM, encrypted, key of another
 * certificate, expired) is said in words that name the file.
 */
#include "tls/tls_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
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

static bool readable(const char *path, const char *what, const struct ssl_text *at,
                     struct diags *diags)
{
    struct stat st;

    if (stat(path, &st) != 0 || access(path, R_OK) != 0) {
        tls_diag(diags, at, false, "cannot read the %s %s: %s", what, path, strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode)) {
        tls_diag(diags, at, false, "cannot read the %s %s: it is a directory", what, path);
        return false;
    }
    return true;
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

static EVP_PKEY *read_key(const char *path, const struct ssl_text *at, struct diags *diags)
{
    bool encrypted = false;
    EVP_PKEY *key = NULL;
    BIO *in;

    if (!readable(path, "private key", at, diags)) {
        return NULL;
    }
    ERR_clear_error();
    in = BIO_new_file(path, "re");
    if (in) {
        key = PEM_read_bio_PrivateKey(in, NULL, no_pass_phrase, &encrypted);
        BIO_free(in);
    }
    if (!key && encrypted) {
        ERR_clear_error();
        tls_diag(diags, at, false,
                 "the private key %s is protected by a pass phrase: a server that starts by "
                 "itself needs one without (openssl pkey -in OLD -out NEW)",
                 path);
    }
    else if (!key) {
        tls_diag(diags, at, true, "%s holds no usable private key in PEM format", path);
    }
    return key;
}

static bool load_key(struct tls_app *app, SSL_CTX *ctx, const struct ssl_text *at,
                     const char *certificate_path, struct diags *diags)
{
    const char *path = tls_path(app, at->value, app->pool);
    EVP_PKEY *key = read_key(path, at, diags);
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

static bool load_pair(struct tls_app *app, SSL_CTX *ctx, const struct ssl_text *certificate,
                      const struct ssl_text *key, struct diags *diags)
{
    const char *path = tls_path(app, certificate->value, app->pool);
    bool asked = false;
    bool ok;

    if (!readable(path, "certificate", certificate, diags)) {
        return false;
    }
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
    ok = SSL_CTX_use_certificate_chain_file(ctx, path) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (!ok) {
        tls_diag(diags, certificate, true, "%s holds no usable certificate in PEM format", path);
        return false;
    }
    check_dates(SSL_CTX_get0_certificate(ctx), path, certificate, diags);
    return load_key(app, ctx, key, path, diags);
}

bool certificates_load(struct tls_app *app, SSL_CTX *ctx, const struct ssl_server_conf *conf,
                       struct diags *diags)
{
    const struct ssl_text *certificates = (const void *)conf->certificates->elts;
    const struct ssl_text *keys = (const void *)conf->keys->elts;
    bool ok = true;

    for (int i = 0; i < conf->certificates->nelts; i++) {
        const struct ssl_text *key = i < conf->keys->nelts ? &keys[i] : &certificates[i];

        ok = load_pair(app, ctx, &certificates[i], key, diags) && ok;
    }
    return ok;
}
