/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS 1.3 session that was taken over, and a client that does what it likes. The input is a
 * list of records: each is sealed as a client would seal it and fed in two pieces, or, where its
 * type says so, fed as it is. What was sealed as application data must come out as it went
 * in, up to the first failure; every record that goes back must open with the server's keys.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_internal.h"
#include "util/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, RAW = 0, KEY_UPDATE_BYTES = 5 };

struct session {
    struct tls_conn *t;
    struct tls13_keys client, server; /* the client's copies */
    const struct tls13_suite *suite;
    unsigned char expected[INPUT_MAX], got[INPUT_MAX];
    size_t expected_len, got_len;
    bool raw; /* something unsealed was fed: the rest is anybody's guess */
};

static void set_secret(struct tls13_keys *keys, const struct tls13_suite *suite, int fill)
{
    memset(keys, 0, sizeof(*keys));
    memset(keys->secret, fill, suite->secret_len);
    keys->secret_len = suite->secret_len;
    INS_CHECK(tls13_derive(suite, keys));
}

static void session_begin(struct session *s, unsigned choice)
{
    static const unsigned char none[TLS_DIGEST];
    static const unsigned limits[] = { 512, 1024, 4096, TLS13_PLAIN_MAX };
    struct taken_parts parts = { .limit = limits[choice / 3 % 4],
                                 .demands = none,
                                 .sni = "a.example",
                                 .sni_len = 9,
                                 .session_id = none };

    s->suite = parts.suite = tls13_suite_find(0x1301 + choice % 3);
    s->t = calloc(1, sizeof(*s->t));
    INS_CHECK(s->t);
    set_secret(&s->client, s->suite, 'c');
    set_secret(&s->server, s->suite, 's');
    s->t->traffic[TLS_RECEIVES] = s->client;
    s->t->traffic[TLS_SENDS] = s->server;
    INS_CHECK(taken_start(s->t, &parts));
}

static void read_all(struct session *s)
{
    int n;

    while ((n = tls_read(s->t, s->got + s->got_len, sizeof(s->got) - s->got_len)) > 0) {
        s->got_len += (size_t)n;
        INS_CHECK(s->got_len < sizeof(s->got));
    }
    INS_CHECK(n < 0);
}

static void feed(struct session *s, const unsigned char *bytes, size_t len, size_t cut)
{
    cut = cut < len ? cut : len;
    if (tls_feed(s->t, bytes, cut) == TLS_OK) {
        read_all(s);
    }
    if (tls_feed(s->t, bytes + cut, len - cut) == TLS_OK) {
        read_all(s);
    }
}

static void feed_sealed(struct session *s, unsigned type, const uint8_t *data, size_t len)
{
    static unsigned char record[INPUT_MAX + TLS13_OVERHEAD];
    EVP_CIPHER_CTX *cipher = tls13_cipher(s->suite, &s->client, true);

    INS_CHECK(cipher && tls13_seal(cipher, &s->client, (enum tls13_type)type, data, len, record));
    EVP_CIPHER_CTX_free(cipher);
    if (type == TLS13_APPLICATION) {
        memcpy(s->expected + s->expected_len, data, len);
        s->expected_len += len;
    }
    feed(s, record, len + TLS13_OVERHEAD, len / 2);
    if (type == TLS13_HANDSHAKE && len == KEY_UPDATE_BYTES && !s->t->failed) {
        INS_CHECK(tls13_ratchet(s->suite, &s->client));
    }
}

/* Opens what the server has sent; a KeyUpdate among it changes the keys. */
static void check_output(struct session *s)
{
    size_t len;
    const char *out = tls_output(s->t, &len);
    unsigned char *record = malloc(len + 1), *at = record, *end = record + len;

    INS_CHECK(record);
    if (len > 0) {
        memcpy(record, out, len);
        tls_consume(s->t, len);
    }
    while (at < end) {
        size_t record_len = TLS13_HEADER + ((size_t)at[3] << 8 | at[4]), plain_len;
        EVP_CIPHER_CTX *cipher = tls13_cipher(s->suite, &s->server, false);
        unsigned char *plain;
        unsigned type;

        INS_CHECK(record_len <= (size_t)(end - at));
        INS_CHECK(tls13_open(cipher, &s->server, at, record_len, &type, &plain, &plain_len) ==
                  TLS13_OPENED);
        EVP_CIPHER_CTX_free(cipher);
        INS_CHECK(type != TLS13_HANDSHAKE || tls13_ratchet(s->suite, &s->server));
        at += record_len;
    }
    free(record);
}

/* Type, length in two bytes, data. */
static size_t one_record(struct session *s, const uint8_t *data, size_t size)
{
    size_t len = (size_t)data[1] << 8 | data[2];

    len = len < size - 3 ? len : size - 3;
    if (data[0] == RAW) {
        s->raw = true;
        feed(s, data + 3, len, len / 3);
    }
    else {
        feed_sealed(s, data[0], data + 3, len);
    }
    check_output(s);
    return 3 + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *s;

    if (size < 1 || size > INPUT_MAX) {
        return -1;
    }
    s = calloc(1, sizeof(*s));
    INS_CHECK(s);
    session_begin(s, data[0]);
    data++;
    size--;
    while (size > 3 && !s->t->failed) {
        size_t used = one_record(s, data, size);

        data += used;
        size -= used;
        if (!s->t->failed) {
            (void)tls_write(s->t, "answer", 6);
        }
    }
    if (!s->raw) {
        INS_CHECK(s->got_len <= s->expected_len);
        INS_CHECK(memcmp(s->got, s->expected, s->got_len) == 0);
    }
    tls_shutdown(s->t);
    check_output(s);
    tls_close(s->t);
    free(s);
    return 0;
}
