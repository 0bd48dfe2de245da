/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client certificates: SSLVerifyClient, SSLVerifyDepth, SSLCACertificateFile.
 * The depth is counted as httpd counts it (a certificate signed by a known CA
 * has depth 1), which OpenSSL itself does not do.
 */
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

/* What "no CA" in optional_no_ca forgives. */
static bool is_unknown_ca(int error)
{
    return error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
           error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
           error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
           error == X509_V_ERR_CERT_UNTRUSTED;
}

/* A forgiven error stays in the store: it becomes the session's verify result,
 * by which SSL_CLIENT_VERIFY tells GENEROUS from SUCCESS, resumed or not. */
static int verify_certificate(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct tls_context *context = tls_context_of(SSL_get_SSL_CTX(ssl));

    if (!ok && context->verify == VERIFY_OPTIONAL_NO_CA &&
        is_unknown_ca(X509_STORE_CTX_get_error(store))) {
        ok = 1;
    }
    if (ok && X509_STORE_CTX_get_error_depth(store) > context->verify_depth) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_CHAIN_TOO_LONG);
        ok = 0;
    }
    return ok;
}

/* Each is trusted, and named to clients. False where one cannot be used, or there is none. */
static bool take_authorities(SSL_CTX *ctx, BIO *in)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    int count = 0;
    bool ok = true;
    X509 *one;

    while (ok && (one = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL)) != NULL) {
        ok = X509_STORE_add_cert(store, one) == 1 && SSL_CTX_add_client_CA(ctx, one) == 1;
        X509_free(one);
        count++;
    }
    return ok && count > 0 && tls_pem_ended();
}

static bool load_authorities(struct tls_app *app, SSL_CTX *ctx, const struct ssl_text *at,
                             struct diags *diags)
{
    struct tls_file file;
    bool ok;

    if (!tls_file_open(app, &file, "CA certificates", at, diags)) {
        return false;
    }
    ERR_clear_error();
    ok = take_authorities(ctx, file.bio);
    tls_file_close(&file);
    if (!ok) {
        tls_diag(diags, at, true, "%s holds no usable CA certificates", file.path);
        return false;
    }
    return true;
}

bool verify_setup(struct tls_app *app, struct tls_context *context,
                  const struct ssl_server_conf *conf, struct diags *diags)
{
    int mode = SSL_VERIFY_NONE;

    context->verify = conf->verify == UNSET ? VERIFY_NONE : (enum ssl_verify)conf->verify;
    context->verify_depth = conf->verify_depth == UNSET ? 1 : conf->verify_depth;
    if (conf->ca_file.value && !load_authorities(app, context->ctx, &conf->ca_file, diags)) {
        return false;
    }
    if (context->verify == VERIFY_NONE) {
        return true;
    }
    if (!conf->ca_file.value && context->verify != VERIFY_OPTIONAL_NO_CA) {
        diags_add(diags, DIAG_START, DIAG_WARNING, conf->verify_at.file, conf->verify_at.line, 0,
                  "SSLVerifyClient without SSLCACertificateFile: no client certificate will be "
                  "accepted");
    }
    mode = SSL_VERIFY_PEER;
    if (context->verify == VERIFY_REQUIRE) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(context->ctx, mode, verify_certificate);
    return true;
}
