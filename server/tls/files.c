/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of certificates and keys come from: from disk while the generation is still
 * root, later from the bundle that the master sends. Whatever is read is hashed on the
 * way, so that a renewal touches only what has changed.
 */
#include "tls/tls_internal.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

/* The error too: a file that is missing now is not what was read before. */
static void hash_file(EVP_MD_CTX *hash, int error, const struct secret *bytes)
{
    struct {
        int error;
        size_t len;
    } head = { error, bytes->len };

    (void)EVP_DigestUpdate(hash, &head.error, sizeof(head.error));
    (void)EVP_DigestUpdate(hash, &head.len, sizeof(head.len));
    if (bytes->len > 0) {
        (void)EVP_DigestUpdate(hash, bytes->data, bytes->len);
    }
}

int tls_file_read(struct tls_app *app, const char *path, struct secret *out)
{
    int error = app->bundle ? bundle_find(app->bundle, path, out) : secret_read(out, path);

    if (app->hash) {
        hash_file(app->hash, error, out);
    }
    return error;
}

bool tls_file_open(struct tls_app *app, struct tls_file *file, const char *what,
                   const struct ssl_text *at, struct diags *diags)
{
    int error;

    file->path = tls_path(app, at->value, diags->pool);
    error = tls_file_read(app, file->path, &file->bytes);
    if (error != 0) {
        tls_diag(diags, at, false, "cannot read the %s %s: %s", what, file->path,
                 error == EISDIR ? "it is a directory" : strerror(error));
        return false;
    }
    file->bio = BIO_new_mem_buf(file->bytes.data, (int)file->bytes.len);
    if (!file->bio) {
        secret_drop(&file->bytes);
        tls_diag(diags, at, true, "cannot read the %s %s", what, file->path);
        return false;
    }
    return true;
}

void tls_file_close(struct tls_file *file)
{
    BIO_free(file->bio);
    secret_drop(&file->bytes);
}

bool tls_pem_ended(void)
{
    unsigned long code = ERR_peek_last_error();

    if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE) {
        return false;
    }
    ERR_clear_error();
    return true;
}

static void touch(struct tls_app *app, const struct ssl_text *at, apr_pool_t *pool)
{
    struct secret bytes;

    (void)tls_file_read(app, tls_path(app, at->value, pool), &bytes);
    secret_drop(&bytes);
}

/* In the order in which context_fill() reads them. */
bool tls_files_hash(struct tls_app *app, const struct ssl_server_conf *conf,
                    unsigned char digest[TLS_DIGEST], apr_pool_t *pool)
{
    const struct ssl_text *certificates = (const void *)conf->certificates->elts;
    const struct ssl_text *tickets = (const void *)conf->ticket_key_files->elts;
    bool ok = tls_hash_begin(app);

    for (int i = 0; i < conf->ticket_key_files->nelts; i++) {
        touch(app, &tickets[i], pool);
    }
    if (conf->ca_file.value) {
        touch(app, &conf->ca_file, pool);
    }
    for (int i = 0; i < conf->certificates->nelts; i++) {
        touch(app, &certificates[i], pool);
        touch(app, key_of(conf, i), pool);
    }
    return tls_hash_end(app, digest) && ok;
}

bool tls_hash_begin(struct tls_app *app)
{
    app->hash = EVP_MD_CTX_new();
    return app->hash && EVP_DigestInit_ex(app->hash, EVP_sha256(), NULL) == 1;
}

bool tls_hash_end(struct tls_app *app, unsigned char digest[TLS_DIGEST])
{
    bool ok = app->hash && EVP_DigestFinal_ex(app->hash, digest, NULL) == 1;

    EVP_MD_CTX_free(app->hash);
    app->hash = NULL;
    return ok;
}
