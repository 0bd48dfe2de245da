/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session tickets: AES-CBC and HMAC-SHA256 under the keys of the master's ring, or
 * under those of SSLSessionTicketKeyFile. A ticket of an old key is renewed; so is
 * each of TLS 1.3, which a client uses only once.
 */
#include "tls/tls_internal.h"

#include <errno.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "util/secret.h"

enum { KEY_FILE_SHORT = 48, KEY_FILE_LONG = 80, IV_LENGTH = 16 };

/* What OpenSSL wants to hear of a ticket. */
enum verdict { VERDICT_FAILED = -1, VERDICT_FOREIGN, VERDICT_GOOD, VERDICT_RENEW };

static void key_from_file(struct ticket_key *key, const unsigned char *text, size_t len)
{
    size_t half = (len - TICKET_NAME_SIZE) / 2;

    memcpy(key->secret.name, text, TICKET_NAME_SIZE);
    memcpy(key->secret.hmac, text + TICKET_NAME_SIZE, half);
    memcpy(key->secret.aes, text + TICKET_NAME_SIZE + half, half);
    key->aes_len = key->hmac_len = (unsigned)half;
}

static bool read_file(struct tls_app *app, const struct ssl_text *file, struct ticket_key *key,
                      struct diags *diags)
{
    const char *path = tls_path(app, file->value, diags->pool);
    struct secret bytes;
    int error = tls_file_read(app, path, &bytes);
    bool ok = false;

    if (error != 0) {
        tls_diag(diags, file, false, "cannot read the session ticket key %s: %s", path,
                 strerror(error));
        return false;
    }
    if (bytes.len == KEY_FILE_SHORT || bytes.len == KEY_FILE_LONG) {
        key_from_file(key, bytes.data, bytes.len);
        ok = true;
    }
    else {
        tls_diag(diags, file, false, "the session ticket key %s must hold 48 or 80 random bytes",
                 path);
    }
    secret_drop(&bytes);
    return ok;
}

struct ticket_files *tickets_read(struct tls_app *app, const apr_array_header_t *files,
                                  struct diags *diags)
{
    const struct ssl_text *file = (const void *)files->elts;
    struct ticket_files *all = secret_alloc(sizeof(*all));
    bool ok = all != NULL;

    if (!all) {
        tls_diag(diags, file, false, "cannot keep session ticket keys: %s", strerror(errno));
    }
    if (files->nelts > TICKET_FILES_MAX) {
        tls_diag(diags, &file[TICKET_FILES_MAX], false,
                 "at most %d SSLSessionTicketKeyFile may be given", TICKET_FILES_MAX);
        ok = false;
    }
    for (int i = 0; ok && i < files->nelts; i++) {
        ok = read_file(app, &file[i], &all->keys[i], diags);
        all->count = i + 1;
    }
    if (!ok) {
        tickets_free(all);
        return NULL;
    }
    return all;
}

void tickets_free(struct ticket_files *files)
{
    secret_free(files, sizeof(*files));
}

/* ---- Choosing a key ------------------------------------------------------ */

static void choose_new(const struct tls_context *context, struct ticket_key *key)
{
    if (context->ticket_files) {
        *key = context->ticket_files->keys[0];
        return;
    }
    ticket_ring_get(context->ticket_ring, TICKET_CURRENT, &key->secret);
    key->aes_len = sizeof(key->secret.aes);
    key->hmac_len = sizeof(key->secret.hmac);
}

static bool choose_in_files(const struct ticket_files *files, const unsigned char *name,
                            struct ticket_key *key, bool *current)
{
    for (int i = 0; i < files->count; i++) {
        if (memcmp(name, files->keys[i].secret.name, TICKET_NAME_SIZE) == 0) {
            *key = files->keys[i];
            *current = i == 0;
            return true;
        }
    }
    return false;
}

/* The key of this name; false where there is none. */
static bool choose_old(const struct tls_context *context, const unsigned char *name,
                       struct ticket_key *key, bool *current)
{
    enum ticket_place place;

    if (context->ticket_files) {
        return choose_in_files(context->ticket_files, name, key, current);
    }
    if (!ticket_ring_find(context->ticket_ring, name, &key->secret, &place)) {
        return false;
    }
    key->aes_len = sizeof(key->secret.aes);
    key->hmac_len = sizeof(key->secret.hmac);
    *current = place != TICKET_PREVIOUS;
    return true;
}

/* ---- OpenSSL's callback --------------------------------------------------- */

static bool set_keys(const struct ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    static char digest[] = "SHA256";
    const EVP_CIPHER *kind = key->aes_len == 32 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
    OSSL_PARAM params[3];

    params[0] = OSSL_PARAM_construct_octet_string(
        OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->secret.hmac, key->hmac_len);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[2] = OSSL_PARAM_construct_end();
    return EVP_CipherInit_ex(cipher, kind, NULL, key->secret.aes, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    const struct tls_context *context = tls_context_of(SSL_get_SSL_CTX(ssl));
    struct ticket_key key;
    bool current = true, ok;

    if (encrypt) {
        choose_new(context, &key);
        memcpy(name, key.secret.name, TICKET_NAME_SIZE);
        ok = RAND_bytes(iv, IV_LENGTH) == 1;
    }
    else if (choose_old(context, name, &key, &current)) {
        ok = true;
    }
    else {
        return VERDICT_FOREIGN; /* a full handshake follows */
    }
    ok = ok && set_keys(&key, iv, cipher, mac, encrypt);
    OPENSSL_cleanse(&key, sizeof(key));
    if (!ok) {
        return VERDICT_FAILED;
    }
    return encrypt || (current && SSL_version(ssl) != TLS1_3_VERSION) ? VERDICT_GOOD
                                                                      : VERDICT_RENEW;
}
