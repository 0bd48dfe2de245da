/* SPDX-License-Identifier: Apache-2.0 */
/* The three cipher suites of TLS 1.3 that OpenSSL offers by itself. Lengths come from the peer
 * and are checked before anything is decrypted. */
#include "tls/record13.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "util/check.h"

enum { SUITES = 3, LABEL_MAX = 32 };

static const struct tls13_suite suites[SUITES] = {
    { "TLS_AES_128_GCM_SHA256", "AES-128-GCM", "SHA256", 0x1301, 32, 16 },
    { "TLS_AES_256_GCM_SHA384", "AES-256-GCM", "SHA384", 0x1302, 48, 32 },
    { "TLS_CHACHA20_POLY1305_SHA256", "ChaCha20-Poly1305", "SHA256", 0x1303, 32, 32 },
};

/* Fetched once: finding an algorithm by its name takes longer than a small record. */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_CIPHER *ciphers[SUITES];
static EVP_KDF *hkdf;

static void fetch(void)
{
    for (int i = 0; i < SUITES; i++) {
        ciphers[i] = EVP_CIPHER_fetch(NULL, suites[i].cipher, NULL);
    }
    hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

const struct tls13_suite *tls13_suite_find(unsigned id)
{
    for (int i = 0; i < SUITES; i++) {
        if (suites[i].id == id) {
            return &suites[i];
        }
    }
    return NULL;
}

/* ---- Keys --------------------------------------------------------------- */

/* struct HkdfLabel; its length. */
static size_t write_label(unsigned char *info, const char *label, size_t len)
{
    static const char prefix[] = "tls13 ";
    size_t label_len = strlen(label), at = 0;

    INS_CHECK(label_len + sizeof(prefix) + 4 <= LABEL_MAX);
    info[at++] = (unsigned char)(len >> 8);
    info[at++] = (unsigned char)len;
    info[at++] = (unsigned char)(sizeof(prefix) - 1 + label_len);
    memcpy(info + at, prefix, sizeof(prefix) - 1);
    at += sizeof(prefix) - 1;
    memcpy(info + at, label, label_len);
    at += label_len;
    info[at++] = 0; /* the context is empty */
    return at;
}

bool tls13_expand_label(const struct tls13_suite *suite, const unsigned char *secret,
                        const char *label, unsigned char *out, size_t len)
{
    unsigned char info[LABEL_MAX];
    size_t info_len = write_label(info, label, len);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)suite->digest,
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
                                          suite->secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_len),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *kdf;
    bool ok;

    (void)pthread_once(&fetched, fetch);
    kdf = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
    ok = kdf && EVP_KDF_derive(kdf, out, len, params) == 1;
    EVP_KDF_CTX_free(kdf);
    return ok;
}

bool tls13_derive(const struct tls13_suite *suite, struct tls13_keys *keys)
{
    return tls13_expand_label(suite, keys->secret, "key", keys->key, suite->key_len) &&
           tls13_expand_label(suite, keys->secret, "iv", keys->iv, TLS13_IV);
}

bool tls13_ratchet(const struct tls13_suite *suite, struct tls13_keys *keys)
{
    unsigned char next[TLS13_SECRET_MAX];
    bool ok = tls13_expand_label(suite, keys->secret, "traffic upd", next, suite->secret_len);

    if (ok) {
        memcpy(keys->secret, next, suite->secret_len);
        keys->sequence = 0;
        ok = tls13_derive(suite, keys);
    }
    OPENSSL_cleanse(next, sizeof(next));
    return ok;
}

EVP_CIPHER_CTX *tls13_cipher(const struct tls13_suite *suite, const struct tls13_keys *keys,
                             bool seals)
{
    EVP_CIPHER_CTX *ctx;

    (void)pthread_once(&fetched, fetch);
    ctx = EVP_CIPHER_CTX_new();
    if (ctx && ciphers[suite - suites] &&
        EVP_CipherInit_ex2(ctx, ciphers[suite - suites], keys->key, NULL, seals, NULL) == 1) {
        return ctx;
    }
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

/* ---- Records ------------------------------------------------------------ */

static bool set_nonce(EVP_CIPHER_CTX *cipher, const struct tls13_keys *keys)
{
    unsigned char nonce[TLS13_IV];

    memcpy(nonce, keys->iv, sizeof(nonce));
    for (int i = 0; i < 8; i++) {
        nonce[TLS13_IV - 1 - i] ^= (unsigned char)(keys->sequence >> (8 * i));
    }
    return EVP_CipherInit_ex2(cipher, NULL, NULL, nonce, -1, NULL) == 1;
}

bool tls13_seal(EVP_CIPHER_CTX *cipher, struct tls13_keys *keys, enum tls13_type type,
                const unsigned char *data, size_t len, unsigned char *out)
{
    size_t sealed = len + 1 + TLS13_TAG;
    unsigned char inner = (unsigned char)type;
    unsigned char *at = out + TLS13_HEADER;
    int n = 0;

    out[0] = TLS13_APPLICATION;
    out[1] = out[2] = 3;
    out[3] = (unsigned char)(sealed >> 8);
    out[4] = (unsigned char)sealed;
    if (!set_nonce(cipher, keys) || EVP_EncryptUpdate(cipher, NULL, &n, out, TLS13_HEADER) != 1 ||
        (len > 0 && EVP_EncryptUpdate(cipher, at, &n, data, (int)len) != 1) ||
        EVP_EncryptUpdate(cipher, at + len, &n, &inner, 1) != 1 ||
        EVP_EncryptFinal_ex(cipher, at + len + 1, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TLS13_TAG, at + len + 1) != 1) {
        return false;
    }
    keys->sequence++;
    return true;
}

static bool decrypt(EVP_CIPHER_CTX *cipher, const struct tls13_keys *keys, unsigned char *record,
                    size_t len)
{
    unsigned char *body = record + TLS13_HEADER;
    int n = 0;

    return set_nonce(cipher, keys) &&
           EVP_DecryptUpdate(cipher, NULL, &n, record, TLS13_HEADER) == 1 &&
           EVP_DecryptUpdate(cipher, body, &n, body, (int)len) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TLS13_TAG, body + len) == 1 &&
           EVP_DecryptFinal_ex(cipher, body + len, &n) == 1;
}

enum tls13_opened tls13_open(EVP_CIPHER_CTX *cipher, struct tls13_keys *keys, unsigned char *record,
                             size_t record_len, unsigned *type, unsigned char **plain,
                             size_t *plain_len)
{
    unsigned char *body = record + TLS13_HEADER;
    size_t len;

    if (record_len < TLS13_HEADER || record[0] != TLS13_APPLICATION) {
        return TLS13_BAD_TYPE;
    }
    if (record_len - TLS13_HEADER > TLS13_SEALED_MAX) {
        return TLS13_TOO_LONG;
    }
    if (record_len < TLS13_OVERHEAD || keys->sequence == UINT64_MAX) {
        return TLS13_BAD_MAC;
    }
    len = record_len - TLS13_HEADER - TLS13_TAG;
    if (!decrypt(cipher, keys, record, len)) {
        return TLS13_BAD_MAC;
    }
    keys->sequence++;
    if (len > TLS13_PLAIN_MAX + 1) {
        return TLS13_TOO_LONG;
    }
    while (len > 0 && body[len - 1] == 0) {
        len--;
    }
    if (len == 0) {
        return TLS13_BAD_TYPE;
    }
    *type = body[len - 1];
    *plain = body;
    *plain_len = len - 1;
    return TLS13_OPENED;
}
