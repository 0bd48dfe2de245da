/* SPDX-License-Identifier: Apache-2.0 */
/* Record protection of TLS 1.3 by the traces of RFC 8448, section 3, and what becomes of records
 * that the peer has not sealed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls/record13.h"

static size_t unhex(const char *text, unsigned char *out)
{
    size_t len = 0;
    unsigned value;
    int used;

    while (sscanf(text, " %2x%n", &value, &used) == 1) {
        out[len++] = (unsigned char)value;
        text += used;
    }
    return len;
}

static const char client_secret[] = "9e40646ce79a7f9dc05af8889bce6552"
                                    "875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] = "a11af9f05531f856ad47116b45a95032"
                                    "8204b4f44bfb6b3a4b4f1f3fcb631643";

static const struct tls13_suite *aes128(void)
{
    return tls13_suite_find(0x1301);
}

static void keys_of(struct tls13_keys *keys, const char *secret, uint64_t sequence)
{
    memset(keys, 0, sizeof(*keys));
    keys->secret_len = (uint8_t)unhex(secret, keys->secret);
    keys->sequence = sequence;
    assert_int_equal(keys->secret_len, aes128()->secret_len);
    assert_true(tls13_derive(aes128(), keys));
}

static void keys_are_those_of_the_rfc(void **state)
{
    static const struct {
        const char *secret, *key, *iv;
    } cases[] = {
        { client_secret, "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9" },
        { server_secret, "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned char key[16], iv[TLS13_IV];
        struct tls13_keys keys;

        keys_of(&keys, cases[i].secret, 0);
        assert_int_equal(unhex(cases[i].key, key), sizeof(key));
        assert_int_equal(unhex(cases[i].iv, iv), sizeof(iv));
        assert_memory_equal(keys.key, key, sizeof(key));
        assert_memory_equal(keys.iv, iv, sizeof(iv));
    }
}

/* "application_data record", 50 bytes 0..49, and the alerts behind them. */
static const struct {
    const char *secret;
    uint64_t sequence;
    unsigned type;
    const char *record;
} traces[] = {
    { client_secret, 0, TLS13_APPLICATION,
      "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc"
      "ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd"
      "1e 3d ea e6 3a ee bb 21 69 49 15 e4" },
    { server_secret, 1, TLS13_APPLICATION,
      "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa"
      "1b 36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2"
      "ab f3 32 54 0d d0 32 e1 67 c2 95 5d" },
    { client_secret, 1, TLS13_ALERT,
      "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3" },
    { server_secret, 2, TLS13_ALERT,
      "17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9" },
};
enum { TRACES = sizeof(traces) / sizeof(traces[0]) };

/* Opens a record with these keys; what it says. */
static enum tls13_opened open_one(struct tls13_keys *keys, unsigned char *record, size_t len,
                                  unsigned *type, unsigned char **plain, size_t *plain_len)
{
    EVP_CIPHER_CTX *cipher = tls13_cipher(aes128(), keys, false);
    enum tls13_opened opened = tls13_open(cipher, keys, record, len, type, plain, plain_len);

    EVP_CIPHER_CTX_free(cipher);
    return opened;
}

static void records_of_the_rfc_open(void **state)
{
    (void)state;
    for (int i = 0; i < TRACES; i++) {
        unsigned char record[128], *plain;
        size_t len = unhex(traces[i].record, record), plain_len;
        struct tls13_keys keys;
        unsigned type;

        keys_of(&keys, traces[i].secret, traces[i].sequence);
        assert_int_equal(open_one(&keys, record, len, &type, &plain, &plain_len), TLS13_OPENED);
        assert_int_equal(type, traces[i].type);
        assert_int_equal(keys.sequence, traces[i].sequence + 1);
        if (type == TLS13_ALERT) {
            assert_int_equal(plain_len, 2);
            assert_memory_equal(plain, "\1\0", 2);
            continue;
        }
        assert_int_equal(plain_len, 50);
        for (unsigned n = 0; n < 50; n++) {
            assert_int_equal(plain[n], n);
        }
    }
}

static void sealing_gives_the_same_records(void **state)
{
    (void)state;
    for (int i = 0; i < TRACES; i++) {
        unsigned char expected[128], made[128], data[50];
        size_t len = unhex(traces[i].record, expected);
        size_t data_len = traces[i].type == TLS13_ALERT ? 2 : sizeof(data);
        struct tls13_keys keys;
        EVP_CIPHER_CTX *cipher;

        for (size_t n = 0; n < sizeof(data); n++) {
            data[n] = (unsigned char)(traces[i].type == TLS13_ALERT ? 1 - n : n);
        }
        keys_of(&keys, traces[i].secret, traces[i].sequence);
        cipher = tls13_cipher(aes128(), &keys, true);
        assert_true(
            tls13_seal(cipher, &keys, (enum tls13_type)traces[i].type, data, data_len, made));
        assert_int_equal(data_len + TLS13_OVERHEAD, len);
        assert_memory_equal(made, expected, len);
        EVP_CIPHER_CTX_free(cipher);
    }
}

static void any_flipped_bit_is_noticed(void **state)
{
    unsigned char whole[128];
    size_t len = unhex(traces[0].record, whole);

    (void)state;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        unsigned char record[128], *plain;
        struct tls13_keys keys;
        size_t plain_len;
        unsigned type;

        memcpy(record, whole, len);
        record[bit / 8] ^= (unsigned char)(1U << bit % 8);
        keys_of(&keys, client_secret, 0);
        assert_int_not_equal(open_one(&keys, record, len, &type, &plain, &plain_len), TLS13_OPENED);
        assert_int_equal(keys.sequence, 0);
    }
}

static void a_wrong_sequence_opens_nothing(void **state)
{
    unsigned char record[128], *plain;
    size_t len = unhex(traces[0].record, record), plain_len;
    struct tls13_keys keys;
    unsigned type;

    (void)state;
    keys_of(&keys, client_secret, 1);
    assert_int_equal(open_one(&keys, record, len, &type, &plain, &plain_len), TLS13_BAD_MAC);
}

/* Seals type, data and padding by hand, as a peer may. */
static size_t seal_padded(struct tls13_keys *keys, unsigned type, size_t len, size_t padding,
                          unsigned char *out)
{
    static unsigned char inner[TLS13_SEALED_MAX + 1000];
    EVP_CIPHER_CTX *cipher = tls13_cipher(aes128(), keys, true);
    /* the last byte of what is inside goes by as the type */
    size_t made = len + (type != 0) + padding - 1;

    memset(inner, 'x', len);
    if (type != 0) {
        inner[len] = (unsigned char)type;
    }
    memset(inner + len + (type != 0), 0, padding);
    assert_true(tls13_seal(cipher, keys, (enum tls13_type)inner[made], inner, made, out));
    EVP_CIPHER_CTX_free(cipher);
    return made + TLS13_OVERHEAD;
}

static void padding_is_taken_off(void **state)
{
    static const struct {
        unsigned type;
        size_t len, padding;
        enum tls13_opened opened;
    } cases[] = {
        { TLS13_APPLICATION, 10, 0, TLS13_OPENED },
        { TLS13_APPLICATION, 10, 1, TLS13_OPENED },
        { TLS13_APPLICATION, 10, 5000, TLS13_OPENED },
        { TLS13_APPLICATION, 0, 100, TLS13_OPENED },
        { TLS13_APPLICATION, TLS13_PLAIN_MAX, 0, TLS13_OPENED },
        { TLS13_APPLICATION, TLS13_PLAIN_MAX, 1, TLS13_TOO_LONG },
        { TLS13_APPLICATION, TLS13_PLAIN_MAX + 1, 0, TLS13_TOO_LONG },
        { TLS13_APPLICATION, TLS13_PLAIN_MAX, 300, TLS13_TOO_LONG },
        { 0, 0, 100, TLS13_BAD_TYPE },
        { 0, 0, 1, TLS13_BAD_TYPE },
    };
    static unsigned char record[TLS13_SEALED_MAX + 2000];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls13_keys sends, receives;
        unsigned char *plain;
        size_t len, plain_len;
        unsigned type;

        keys_of(&sends, client_secret, 7);
        keys_of(&receives, client_secret, 7);
        len = seal_padded(&sends, cases[i].type, cases[i].len, cases[i].padding, record);
        assert_int_equal(open_one(&receives, record, len, &type, &plain, &plain_len),
                         cases[i].opened);
        if (cases[i].opened == TLS13_OPENED) {
            assert_int_equal(type, cases[i].type);
            assert_int_equal(plain_len, cases[i].len);
        }
    }
}

static void short_and_foreign_records_are_refused(void **state)
{
    static const struct {
        const char *record;
        enum tls13_opened opened;
    } cases[] = {
        { "17 03 03 00", TLS13_BAD_TYPE },
        { "17 03 03 00 00", TLS13_BAD_MAC },
        { "17 03 03 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", TLS13_BAD_MAC },
        { "14 03 03 00 01 01", TLS13_BAD_TYPE },
        { "15 03 03 00 02 01 00", TLS13_BAD_TYPE },
        { "16 03 03 00 04 00 00 00 00", TLS13_BAD_TYPE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned char record[64], *plain;
        size_t len = unhex(cases[i].record, record), plain_len;
        struct tls13_keys keys;
        unsigned type;

        keys_of(&keys, client_secret, 0);
        assert_int_equal(open_one(&keys, record, len, &type, &plain, &plain_len), cases[i].opened);
    }
}

static void three_suites_are_known(void **state)
{
    (void)state;
    for (unsigned id = 0x1300; id < 0x1310; id++) {
        const struct tls13_suite *suite = tls13_suite_find(id);

        assert_int_equal(suite != NULL, id >= 0x1301 && id <= 0x1303);
        assert_true(!suite || suite->id == id);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_rfc),
        cmocka_unit_test(records_of_the_rfc_open),
        cmocka_unit_test(sealing_gives_the_same_records),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(a_wrong_sequence_opens_nothing),
        cmocka_unit_test(padding_is_taken_off),
        cmocka_unit_test(short_and_foreign_records_are_refused),
        cmocka_unit_test(three_suites_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
