/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session tickets: AES-CBC and HMAC-SHA256 under a key that is made, or read
 * from SSLSessionTicketKeyFile, before the workers are forked; so all workers of a
 * generation can open each other's tickets, and with a file those of other
 * generations and machines too.
 */
#include "tls/tls_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

enum { KEY_FILE_SHORT = 48, KEY_FILE_LONG = 80, IV_LENGTH = 16 };

bool tickets_random(struct ticket_key *key)
{
    key->aes_len = sizeof(key->aes);
    key->hmac_len = sizeof(key->hmac);
    return RAND_bytes(key->name, sizeof(key->name)) == 1 &&
           RAND_priv_bytes(key->aes, sizeof(key->aes)) == 1 &&
           RAND_priv_bytes(key->hmac, sizeof(key->hmac)) == 1;
}

static void key_from_file(struct ticket_key *key, const unsigned char *text, size_t len)
{
    size_t half = (len - sizeof(key->name)) / 2;

    memcpy(key->name, text, sizeof(key->name));
    memcpy(key->hmac, text + sizeof(key->name), half);
    memcpy(key->aes, text + sizeof(key->name) + half, half);
    key->aes_len = key->hmac_len = half;
}

const struct ticket_key *tickets_read(struct tls_app *app, const struct ssl_text *file,
                                      struct diags *diags)
{
    const char *path = tls_path(app, file->value, app->pool);
    unsigned char text[KEY_FILE_LONG + 1];
    struct ticket_key *key = NULL;
    FILE *in = fopen(path, "re");
    size_t len;

    if (!in) {
        tls_diag(diags, file, false, "cannot read the session ticket key %s: %s", path,
                 strerror(errno));
        return NULL;
    }
    setvbuf(in, NULL, _IONBF, 0); /* no second copy of the key in memory */
    len = fread(text, 1, sizeof(text), in);
    if (len == KEY_FILE_SHORT || len == KEY_FILE_LONG) {
        key = apr_pcalloc(app->pool, sizeof(*key));
        key_from_file(key, text, len);
    }
    else {
        tls_diag(diags, file, false, "the session ticket key %s must hold 48 or 80 random bytes",
                 path);
    }
    OPENSSL_cleanse(text, sizeof(text));
    (void)fclose(in);
    return key;
}

static bool set_mac_key(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    static char digest[] = "SHA256";
    unsigned char secret[sizeof(key->hmac)];
    OSSL_PARAM params[3];
    bool ok;

    memcpy(secret, key->hmac, key->hmac_len);
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, key->hmac_len);
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
    params[2] = OSSL_PARAM_construct_end();
    ok = EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret, sizeof(secret));
    return ok;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb() wants it: -1 failure, 0 a ticket
 * that is not ours (a full handshake follows), 1 go on. */
int tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    const struct ticket_key *key = tls_context_of(SSL_get_SSL_CTX(ssl))->ticket_key;
    const EVP_CIPHER *kind = key->aes_len == 32 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();

    if (encrypt) {
        memcpy(name, key->name, sizeof(key->name));
        if (RAND_bytes(iv, IV_LENGTH) != 1) {
            return -1;
        }
    }
    else if (memcmp(name, key->name, sizeof(key->name)) != 0) {
        return 0;
    }
    if (EVP_CipherInit_ex(cipher, kind, NULL, key->aes, iv, encrypt) != 1 ||
        !set_mac_key(mac, key)) {
        return -1;
    }
    return 1;
}
