/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 record protection (RFC 8446, 5 and 7.3) on EVP: the keys of one direction are plain
 * data, sealing and opening work on memory. What OpenSSL contexts are needed are made
 * when a record comes and freed when the connection rests, so that an idle connection has none.
 */
#ifndef TLS_RECORD13_H
#define TLS_RECORD13_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

enum {
    TLS13_SECRET_MAX = 48,
    TLS13_KEY_MAX = 32,
    TLS13_IV = 12,
    TLS13_TAG = 16,
    TLS13_HEADER = 5,
    TLS13_PLAIN_MAX = 16384,
    TLS13_SEALED_MAX = TLS13_PLAIN_MAX + 256,      /* behind the header */
    TLS13_OVERHEAD = TLS13_HEADER + 1 + TLS13_TAG, /* of a record without padding */
    TLS13_RECORDS_MAX = 1 << 24                    /* sealed by one key: RFC 8446, 5.5 */
};

enum tls13_type {
    TLS13_CHANGE_CIPHER_SPEC = 20,
    TLS13_ALERT = 21,
    TLS13_HANDSHAKE = 22,
    TLS13_APPLICATION = 23
};

struct tls13_suite {
    const char *name;
    const char *cipher, *digest; /* names for EVP */
    uint16_t id;
    uint8_t secret_len, key_len;
};

/* NULL: not one of ours. */
const struct tls13_suite *tls13_suite_find(unsigned id);

/* One direction. secret and sequence say all; key and iv follow from the secret. */
struct tls13_keys {
    uint64_t sequence;  /* of the next record */
    uint8_t secret_len; /* 0: no secret yet */
    unsigned char secret[TLS13_SECRET_MAX], key[TLS13_KEY_MAX], iv[TLS13_IV];
};

/* HKDF-Expand-Label(secret, label, "", len). False: OpenSSL failed. */
bool tls13_expand_label(const struct tls13_suite *suite, const unsigned char *secret,
                        const char *label, unsigned char *out, size_t len);
/* key and iv from secret. */
bool tls13_derive(const struct tls13_suite *suite, struct tls13_keys *keys);
/* The next secret after a KeyUpdate, its key and iv; sequence 0. */
bool tls13_ratchet(const struct tls13_suite *suite, struct tls13_keys *keys);

/* A context for many records with these keys; NULL: out of memory. */
EVP_CIPHER_CTX *tls13_cipher(const struct tls13_suite *suite, const struct tls13_keys *keys,
                             bool seals);

/* Writes one whole record for len bytes (TLS13_PLAIN_MAX at most) to out, which has len +
 * TLS13_OVERHEAD; the sequence goes on. */
bool tls13_seal(EVP_CIPHER_CTX *cipher, struct tls13_keys *keys, enum tls13_type type,
                const unsigned char *data, size_t len, unsigned char *out);

enum tls13_opened {
    TLS13_OPENED,
    TLS13_BAD_TYPE, /* no protected record, or nothing but padding inside */
    TLS13_BAD_MAC,  /* was not sealed by the peer */
    TLS13_TOO_LONG
};
/* Opens one whole record in place: *plain lies within record. The sequence goes on where the
 * result is TLS13_OPENED. */
enum tls13_opened tls13_open(EVP_CIPHER_CTX *cipher, struct tls13_keys *keys, unsigned char *record,
                             size_t record_len, unsigned *type, unsigned char **plain,
                             size_t *plain_len);

#endif
