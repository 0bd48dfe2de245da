/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that move: OpenSSL's client talks to one session in OpenSSL's hands, then to the
 * same session in ours, after handshakes of every shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>
#include <openssl/err.h>

#include "tls_fixture.h"

enum { CHUNK = 65536 };

static int setup(void **state)
{
    struct fixture *f = fixture_create();

    fixture_certificate(f, "good", "a.example", NULL, CERT_PLAIN, -1, 30);
    fixture_certificate(f, "ca", "Test CA", NULL, CERT_CA, -1, 30);
    fixture_certificate(f, "client", "Zoe", "ca", CERT_PLAIN, -1, 30);
    fixture_tls(f, fixture_server(f, "a.example"), "good");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void use_certificate(struct fixture *f, struct peer *p, const char *name)
{
    const char *cert = fixture_path(f, apr_pstrcat(f->pool, name, ".pem", NULL));
    const char *key = fixture_path(f, apr_pstrcat(f->pool, name, ".key", NULL));

    assert_int_equal(SSL_use_certificate_file(p->ssl, cert, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_use_PrivateKey_file(p->ssl, key, SSL_FILETYPE_PEM), 1);
}

/* What goes over to the other process; NULL where the connection does not move now. */
static unsigned char *frozen(const struct tls_conn *t, size_t *len)
{
    unsigned char *bytes;

    *len = tls_frozen_size(t);
    if (*len == 0) {
        return NULL;
    }
    bytes = malloc(*len);
    tls_freeze(t, bytes);
    return bytes;
}

/* The connection goes on in new hands. */
static struct tls_conn *move(struct fixture *f, struct tls_conn *t)
{
    size_t len;
    unsigned char *bytes = frozen(t, &len);
    struct tls_conn *moved;

    assert_non_null(bytes);
    moved = tls_thaw(&f->hosts, bytes, len);
    assert_non_null(moved);
    tls_wipe(bytes, len);
    free(bytes);
    tls_close(t);
    return moved;
}

static struct tls_conn *connect_as(struct fixture *f, struct peer *p)
{
    struct tls_conn *t = tls_open(f->app, &f->hosts);

    assert_true(peer_connect(p, t, CHUNK));
    assert_int_equal(tls_handshake_news(t, false),
                     SSL_session_reused(p->ssl) ? TLS_NEWS_RESUMED : TLS_NEWS_FULL);
    return t;
}

/* A message each way. */
static void talk(struct peer *p, struct tls_conn *t)
{
    static unsigned count;
    char asked[32], answer[32];
    int len;

    p->got_len = 0;
    len = snprintf(asked, sizeof(asked), "message %u", count++);
    assert_int_equal(SSL_write(p->ssl, asked, len), len);
    peer_pump(p, t, CHUNK);
    assert_int_equal(p->server_result, TLS_WANT_INPUT);
    assert_int_equal(p->got_len, len);
    assert_memory_equal(p->got, asked, (size_t)len);
    assert_int_equal(tls_write(t, asked, (size_t)len), TLS_OK);
    peer_pump(p, t, CHUNK);
    assert_int_equal(SSL_read(p->ssl, answer, sizeof(answer)), len);
    assert_memory_equal(answer, asked, (size_t)len);
}

static void client_updates(struct peer *p, struct tls_conn *t, int kind)
{
    assert_int_equal(SSL_key_update(p->ssl, kind), 1);
    assert_int_equal(SSL_do_handshake(p->ssl), 1);
    peer_pump(p, t, CHUNK);
    assert_int_equal(p->server_result, TLS_WANT_INPUT);
}

/* Over three processes, talking and with new keys in each. */
static struct tls_conn *move_and_talk(struct fixture *f, struct peer *p, struct tls_conn *t)
{
    for (int i = 0; i < 3; i++) {
        talk(p, t);
        client_updates(p, t, SSL_KEY_UPDATE_NOT_REQUESTED);
        talk(p, t);
        client_updates(p, t, SSL_KEY_UPDATE_REQUESTED);
        t = move(f, t);
        talk(p, t);
        talk(p, t);
        t = move(f, t);
        client_updates(p, t, SSL_KEY_UPDATE_REQUESTED);
        client_updates(p, t, SSL_KEY_UPDATE_REQUESTED);
    }
    talk(p, t);
    return t;
}

static void finish(struct peer *p, struct tls_conn *t)
{
    char byte;

    tls_shutdown(t);
    peer_pump(p, t, CHUNK);
    assert_int_equal(SSL_read(p->ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(p->ssl, 0), SSL_ERROR_ZERO_RETURN);
    (void)SSL_shutdown(p->ssl);
    peer_pump(p, t, CHUNK);
    assert_int_equal(p->server_result, TLS_EOF);
    tls_close(t);
    peer_close(p);
}

static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                      "TLS_CHACHA20_POLY1305_SHA256" };

static void every_suite_moves(void **state)
{
    struct fixture *f = *state;

    assert_non_null(fixture_start(f));
    for (int i = 0; i < 3; i++) {
        struct tls_conn *t;
        struct peer p;

        peer_open(&p, TLS1_3_VERSION, "a.example");
        assert_int_equal(SSL_set_ciphersuites(p.ssl, suites[i]), 1);
        t = connect_as(f, &p);
        t = move_and_talk(f, &p, t);
        assert_string_equal(tls_variable(t, "SSL_CIPHER", f->pool), suites[i]);
        finish(&p, t);
    }
}

static void it_moves_before_the_first_request(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = move(f, connect_as(f, &p));
    talk(&p, t);
    finish(&p, t);
}

/* The client's first group is one that the server does not take. */
static void it_moves_after_a_hello_retry_request(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_int_equal(SSL_set1_groups_list(p.ssl, "P-521:P-384"), 1);
    t = move_and_talk(f, &p, connect_as(f, &p));
    finish(&p, t);
}

/* SNI puts another context into the session. */
static void it_moves_with_another_certificate(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    fixture_tls(f, fixture_server(f, "b.example"), "client");
    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, "b.example");
    t = move_and_talk(f, &p, connect_as(f, &p));
    assert_string_equal(tls_variable(t, "SSL_SERVER_S_DN_CN", f->pool), "Zoe");
    assert_string_equal(tls_server(t)->server_hostname, "b.example");
    finish(&p, t);
}

static void it_moves_with_and_without_tickets(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        struct tls_conn *t;
        struct peer p;

        assert_non_null(fixture_start(f));
        assert_int_equal(
            SSL_CTX_set_num_tickets(ssl_server_conf(f->servers)->context->ctx, (size_t)i), 1);
        peer_open(&p, TLS1_3_VERSION, NULL);
        t = move_and_talk(f, &p, connect_as(f, &p));
        finish(&p, t);
    }
}

static void it_moves_after_a_resumption(void **state)
{
    struct fixture *f = *state;
    SSL_SESSION *session = NULL;

    assert_non_null(fixture_start(f));
    for (int i = 0; i < 3; i++) {
        struct tls_conn *t;
        struct peer p;

        peer_open(&p, TLS1_3_VERSION, "a.example");
        if (session) {
            assert_int_equal(SSL_set_session(p.ssl, session), 1);
        }
        t = connect_as(f, &p);
        assert_int_equal(SSL_session_reused(p.ssl), i > 0);
        t = move_and_talk(f, &p, t);
        assert_string_equal(tls_variable(t, "SSL_SESSION_RESUMED", f->pool),
                            i > 0 ? "Resumed" : "Initial");
        assert_int_equal(tls_handshake_news(t, true), TLS_NEWS_NONE);
        SSL_SESSION_free(session);
        session = SSL_get1_session(p.ssl);
        finish(&p, t);
    }
    SSL_SESSION_free(session);
}

static const char *const variables[] = {
    "HTTPS",
    "SSL_PROTOCOL",
    "SSL_CIPHER",
    "SSL_CIPHER_USEKEYSIZE",
    "SSL_SESSION_ID",
    "SSL_CLIENT_VERIFY",
    "SSL_SESSION_RESUMED",
    "SSL_TLS_SNI",
    "SSL_CLIENT_CERT",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_M_SERIAL",
    "SSL_SERVER_CERT",
    "SSL_SERVER_S_DN_CN",
    "SSL_SECURE_RENEG",
    "SSL_COMPRESS_METHOD",
};
enum { VARIABLES = sizeof(variables) / sizeof(variables[0]) };

static void a_moved_client_certificate_tells_the_same(void **state)
{
    static const char *const modes[] = { "none", "optional", "require", "optional_no_ca" };
    struct fixture *f = *state;

    for (int i = 0; i < 4; i++) {
        const char *before[VARIABLES];
        struct tls_conn *t;
        struct peer p;

        fixture_set(f, f->servers, "SSLCACertificateFile", "ca.pem", NULL);
        fixture_set(f, f->servers, "SSLVerifyClient", modes[i], NULL);
        assert_non_null(fixture_start(f));
        peer_open(&p, TLS1_3_VERSION, "a.example");
        use_certificate(f, &p, i == 3 ? "good" : "client");
        t = connect_as(f, &p);
        for (int k = 0; k < VARIABLES; k++) {
            before[k] = tls_variable(t, variables[k], f->pool);
        }
        assert_string_equal(before[5], i == 0 ? "NONE" : i == 3 ? "GENEROUS" : "SUCCESS");
        t = move_and_talk(f, &p, t);
        for (int k = 0; k < VARIABLES; k++) {
            const char *after = tls_variable(t, variables[k], f->pool);

            assert_int_equal(after != NULL, before[k] != NULL);
            if (after && strcmp(after, before[k]) != 0) {
                fail_msg("%s was %s, is %s", variables[k], before[k], after);
            }
        }
        finish(&p, t);
    }
}

static void only_tls13_moves(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    assert_false(tls_can_move(t));
    assert_int_equal(tls_frozen_size(t), 0);
    tls_close(t);
    peer_open(&p, TLS1_2_VERSION, NULL);
    t = connect_as(f, &p);
    assert_false(tls_can_move(t));
    assert_int_equal(tls_frozen_size(t), 0);
    tls_close(t);
    peer_close(&p);
}

/* Sends part of a record, moves, sends the rest. */
static void a_part_of_a_record_moves(void **state)
{
    static char text[10000], raw[20000];
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    int len;

    assert_non_null(fixture_start(f));
    for (int cut = 1; cut < 10000; cut = cut * 3 + 1) {
        peer_open(&p, TLS1_3_VERSION, NULL);
        t = connect_as(f, &p);
        for (int i = 0; i < 2; i++) {
            memset(text, 'a' + i, sizeof(text));
            assert_int_equal(SSL_write(p.ssl, text, sizeof(text)), sizeof(text));
            len = BIO_read(p.out, raw, sizeof(raw));
            assert_int_equal(tls_feed(t, raw, (size_t)cut), TLS_OK);
            assert_int_equal(tls_read(t, p.got, sizeof(p.got)), TLS_WANT_INPUT);
            t = move(f, t);
            assert_int_equal(tls_feed(t, raw + cut, (size_t)(len - cut)), TLS_OK);
            assert_int_equal(tls_read(t, p.got, sizeof(p.got)), sizeof(text));
            assert_memory_equal(p.got, text, sizeof(text));
            assert_int_equal(tls_read(t, p.got, sizeof(p.got)), TLS_WANT_INPUT);
        }
        talk(&p, t);
        finish(&p, t);
    }
}

/* Not while there is something to read, to send, or to answer. */
static void what_is_half_done_does_not_move(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char raw[1000], byte;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = connect_as(f, &p);
    for (int i = 0; i < 2; i++) {
        int len;
        size_t out;

        assert_int_equal(SSL_write(p.ssl, "abc", 3), 3);
        len = BIO_read(p.out, raw, sizeof(raw));
        assert_int_equal(tls_feed(t, raw, (size_t)len), TLS_OK);
        assert_int_equal(tls_read(t, &byte, 1), 1);
        assert_int_equal(tls_frozen_size(t), 0);
        assert_int_equal(tls_read(t, raw, sizeof(raw)), 2);
        assert_int_equal(tls_read(t, raw, sizeof(raw)), TLS_WANT_INPUT);
        assert_true(tls_frozen_size(t) > 0);
        assert_int_equal(tls_write(t, "abc", 3), TLS_OK);
        assert_int_equal(tls_frozen_size(t), 0);
        assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(p.ssl), 1);
        len = BIO_read(p.out, raw, sizeof(raw));
        assert_int_equal(tls_feed(t, raw, (size_t)len), TLS_OK);
        /* Its answer waits until the client has read. */
        (void)tls_output(t, &out);
        assert_int_equal(tls_read(t, raw, sizeof(raw)), TLS_WANT_INPUT);
        assert_int_equal(t->out.len - t->out.pos, out);
        peer_pump(&p, t, CHUNK);
        assert_true(tls_frozen_size(t) > 0);
        assert_int_equal(SSL_read(p.ssl, raw, sizeof(raw)), 3);
        talk(&p, t);
        t = move(f, t);
    }
    finish(&p, t);
}

static void big_messages_pass_after_a_move(void **state)
{
    enum { SIZE = 1000003 };
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char *sent = malloc(SIZE), *got = malloc(SIZE);
    size_t len = 0;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = move(f, connect_as(f, &p));
    for (size_t i = 0; i < SIZE; i++) {
        sent[i] = (char)(i * 7 + i / 1000);
    }
    assert_int_equal(tls_write(t, sent, SIZE), TLS_OK);
    while (len < SIZE) {
        int n;

        peer_pump(&p, t, 5000);
        n = SSL_read(p.ssl, got + len, (int)(SIZE - len));
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, sent, SIZE);
    p.got_len = 0;
    assert_int_equal(SSL_write(p.ssl, sent, 40000), 40000);
    peer_pump(&p, t, 777);
    assert_int_equal(p.got_len, 40000);
    assert_memory_equal(p.got, sent, 40000);
    free(sent);
    free(got);
    finish(&p, t);
}

static void max_fragment_length_is_kept(void **state)
{
    static const struct {
        uint8_t code;
        size_t len;
    } cases[] = { { TLSEXT_max_fragment_length_512, 512 },
                  { TLSEXT_max_fragment_length_4096, 4096 },
                  { TLSEXT_max_fragment_length_DISABLED, 16384 } };
    static char text[20000], got[20000];
    struct fixture *f = *state;

    assert_non_null(fixture_start(f));
    for (size_t i = 0; i < 3; i++) {
        size_t len = 0, out;
        const unsigned char *record;
        struct tls_conn *t;
        struct peer p;

        peer_open(&p, TLS1_3_VERSION, NULL);
        if (cases[i].code) {
            assert_int_equal(SSL_set_tlsext_max_fragment_length(p.ssl, cases[i].code), 1);
        }
        t = move(f, move(f, connect_as(f, &p)));
        assert_int_equal(tls_write(t, text, sizeof(text)), TLS_OK);
        record = (const unsigned char *)tls_output(t, &out);
        assert_int_equal(record[3] << 8 | record[4], cases[i].len + 17);
        peer_pump(&p, t, CHUNK);
        while (len < sizeof(got)) {
            int n = SSL_read(p.ssl, got + len, (int)(sizeof(got) - len));

            assert_true(n > 0);
            len += (size_t)n;
        }
        assert_memory_equal(got, text, sizeof(text));
        finish(&p, t);
    }
}

/* As many records as a key may seal have been sealed: the client gets new keys unasked. */
static void keys_are_renewed_before_they_wear_out(void **state)
{
    struct fixture *f = *state;
    unsigned char secret[TLS13_SECRET_MAX];
    struct tls_conn *t;
    struct peer p;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = move(f, connect_as(f, &p));
    memcpy(secret, t->traffic[TLS_SENDS].secret, sizeof(secret));
    t->traffic[TLS_SENDS].sequence = TLS13_RECORDS_MAX - 1;
    assert_int_equal(tls_write(t, "ab", 2), TLS_OK);
    assert_memory_equal(t->traffic[TLS_SENDS].secret, secret, sizeof(secret));
    assert_int_equal(tls_write(t, "cd", 2), TLS_OK);
    assert_memory_not_equal(t->traffic[TLS_SENDS].secret, secret, sizeof(secret));
    assert_int_equal(t->traffic[TLS_SENDS].sequence, 1);
    tls_close(t);
    peer_close(&p);
}

/* ---- What a client may do wrong ------------------------------------------ */

/* The keys that the client seals with are those that the server opens with. */
static void seal_as_client(struct tls_conn *t, unsigned type, const void *data, size_t len)
{
    static unsigned char record[TLS13_SEALED_MAX + 100];
    struct tls13_keys keys = t->traffic[TLS_RECEIVES];
    unsigned limit;
    EVP_CIPHER_CTX *cipher = tls13_cipher(t->back->suite(t, &limit), &keys, true);

    assert_true(tls13_seal(cipher, &keys, (enum tls13_type)type, data, len, record));
    EVP_CIPHER_CTX_free(cipher);
    assert_int_equal(tls_feed(t, record, len + TLS13_OVERHEAD), TLS_OK);
}

/* The alert that the client finds, in OpenSSL's words. */
static void assert_alert(struct peer *p, struct tls_conn *t, int alert)
{
    char byte;

    peer_pump(p, t, CHUNK);
    ERR_clear_error();
    assert_true(SSL_read(p->ssl, &byte, 1) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + alert);
    ERR_clear_error();
}

static void wrong_messages_get_their_alert(void **state)
{
    static const struct {
        const char *name;
        unsigned type;
        const char *data;
        size_t len;
        int alert; /* 0: none, it is fine */
    } cases[] = {
        { "client hello", 22, "\1\0\0\2xx", 6, SSL_AD_UNEXPECTED_MESSAGE },
        { "certificate", 22, "\13\0\0\0", 4, SSL_AD_UNEXPECTED_MESSAGE },
        { "finished", 22, "\24\0\0\0", 4, SSL_AD_UNEXPECTED_MESSAGE },
        { "empty handshake record", 22, "", 0, SSL_AD_UNEXPECTED_MESSAGE },
        { "long KeyUpdate", 22, "\30\0\0\2\0\0", 6, SSL_AD_DECODE_ERROR },
        { "empty KeyUpdate", 22, "\30\0\0\0\0", 5, SSL_AD_DECODE_ERROR },
        { "strange KeyUpdate", 22, "\30\0\0\1\2", 5, SSL_AD_ILLEGAL_PARAMETER },
        { "two KeyUpdates", 22, "\30\0\0\1\0\30\0\0\1\0", 10, SSL_AD_UNEXPECTED_MESSAGE },
        { "long alert", 21, "\1\0\0", 3, SSL_AD_DECODE_ERROR },
        { "unknown type", 99, "x", 1, SSL_AD_UNEXPECTED_MESSAGE },
        { "change of ciphers inside", 20, "\1", 1, SSL_AD_UNEXPECTED_MESSAGE },
        { "user canceled", 21, "\1\132", 2, 0 },
        { "KeyUpdate", 22, "\30\0\0\1\1", 5, 0 },
        { "no data", 23, "", 0, 0 },
    };
    struct fixture *f = *state;

    assert_non_null(fixture_start(f));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_conn *t;
        struct peer p;
        char buf[100];

        peer_open(&p, TLS1_3_VERSION, NULL);
        t = move(f, connect_as(f, &p));
        seal_as_client(t, cases[i].type, cases[i].data, cases[i].len);
        if (tls_read(t, buf, sizeof(buf)) != (cases[i].alert ? TLS_FAILED : TLS_WANT_INPUT)) {
            fail_msg("%s: %s", cases[i].name, tls_error(t));
        }
        assert_int_equal(tls_can_move(t), cases[i].alert == 0);
        if (cases[i].alert) {
            assert_int_equal(tls_write(t, "x", 1), TLS_FAILED);
            assert_alert(&p, t, cases[i].alert);
        }
        tls_close(t);
        peer_close(&p);
    }
}

static void tampered_records_get_their_alert(void **state)
{
    static const struct {
        size_t at;
        int alert;
    } cases[] = { { 0, SSL_AD_UNEXPECTED_MESSAGE }, /* application data -> change_cipher_spec */
                  { 5, SSL_AD_BAD_RECORD_MAC },
                  { 12, SSL_AD_BAD_RECORD_MAC } };
    struct fixture *f = *state;

    assert_non_null(fixture_start(f));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_conn *t;
        struct peer p;
        char raw[100], buf[100];
        int len;

        peer_open(&p, TLS1_3_VERSION, NULL);
        t = move(f, connect_as(f, &p));
        assert_int_equal(SSL_write(p.ssl, "secret", 6), 6);
        len = BIO_read(p.out, raw, sizeof(raw));
        raw[cases[i].at] = (char)(raw[cases[i].at] ^ 1);
        if (i == 0) {
            raw[0] = 20;
        }
        assert_int_equal(tls_feed(t, raw, (size_t)len), TLS_OK);
        assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_FAILED);
        assert_alert(&p, t, cases[i].alert);
        tls_close(t);
        peer_close(&p);
    }
}

static void a_replayed_record_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char raw[100], buf[100];
    int len;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = move(f, connect_as(f, &p));
    assert_int_equal(SSL_write(p.ssl, "once", 4), 4);
    len = BIO_read(p.out, raw, sizeof(raw));
    assert_int_equal(tls_feed(t, raw, (size_t)len), TLS_OK);
    assert_int_equal(tls_read(t, buf, sizeof(buf)), 4);
    assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_WANT_INPUT);
    assert_int_equal(tls_feed(t, raw, (size_t)len), TLS_OK);
    assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_FAILED);
    assert_alert(&p, t, SSL_AD_BAD_RECORD_MAC);
    tls_close(t);
    peer_close(&p);
}

static void a_record_longer_than_agreed_is_refused(void **state)
{
    static const char text[600];
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char buf[1000];

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_int_equal(SSL_set_tlsext_max_fragment_length(p.ssl, TLSEXT_max_fragment_length_512), 1);
    t = move(f, connect_as(f, &p));
    seal_as_client(t, TLS13_APPLICATION, text, sizeof(text));
    assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_FAILED);
    assert_alert(&p, t, SSL_AD_RECORD_OVERFLOW);
    tls_close(t);
    peer_close(&p);
}

static void empty_records_are_bounded(void **state)
{
    unsigned char all[40 * TLS13_OVERHEAD];
    struct fixture *f = *state;
    struct tls13_keys keys;
    EVP_CIPHER_CTX *cipher;
    struct tls_conn *t;
    struct peer p;
    unsigned limit;
    char buf[10];

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = move(f, connect_as(f, &p));
    keys = t->traffic[TLS_RECEIVES];
    cipher = tls13_cipher(t->back->suite(t, &limit), &keys, true);
    for (int i = 0; i < 40; i++) {
        assert_true(
            tls13_seal(cipher, &keys, TLS13_APPLICATION, NULL, 0, all + i * TLS13_OVERHEAD));
    }
    EVP_CIPHER_CTX_free(cipher);
    assert_int_equal(tls_feed(t, all, sizeof(all)), TLS_OK);
    assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_FAILED);
    assert_alert(&p, t, SSL_AD_UNEXPECTED_MESSAGE);
    tls_close(t);
    peer_close(&p);
}

/* A KeyUpdate in two records; between them the connection cannot move, in OpenSSL's hands or
 * in ours, and nothing else may come. */
static void a_split_message_waits_for_its_end(void **state)
{
    static const char update[] = "\30\0\0\1\0";
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char buf[100];

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, NULL);
    t = connect_as(f, &p);
    for (int i = 0; i < 2; i++) {
        for (size_t cut = 1; cut < 5; cut++) {
            struct tls13_keys keys = t->traffic[TLS_RECEIVES];
            unsigned limit;

            assert_true(tls13_derive(t->back->suite(t, &limit), &keys));
            memcpy(&t->traffic[TLS_RECEIVES], &keys, sizeof(keys));
            seal_as_client(t, TLS13_HANDSHAKE, update, cut);
            assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_WANT_INPUT);
            assert_int_equal(tls_frozen_size(t), 0);
            seal_as_client(t, TLS13_HANDSHAKE, update + cut, 5 - cut);
            assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_WANT_INPUT);
            assert_true(tls_frozen_size(t) > 0);
        }
        t = move(f, t);
    }
    seal_as_client(t, TLS13_HANDSHAKE, update, 2);
    assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_WANT_INPUT);
    seal_as_client(t, TLS13_APPLICATION, "x", 1);
    assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_FAILED);
    tls_close(t);
    peer_close(&p);
}

/* ---- What may have changed meanwhile -------------------------------------- */

static void change_and_thaw(struct fixture *f, const char *sni, void (*change)(struct fixture *),
                            bool taken)
{
    struct tls_conn *t, *moved;
    unsigned char *bytes;
    struct peer p;
    size_t len;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, sni);
    use_certificate(f, &p, "client");
    t = connect_as(f, &p);
    bytes = frozen(t, &len);
    change(f);
    assert_non_null(fixture_start(f));
    moved = tls_thaw(&f->hosts, bytes, len);
    assert_int_equal(moved != NULL, taken);
    if (moved) {
        tls_close(t);
        t = moved;
    }
    talk(&p, t); /* in the old hands where the new ones have refused */
    free(bytes);
    tls_close(t);
    peer_close(&p);
}

static void change_nothing(struct fixture *f)
{
    (void)f;
}

static void rename_server(struct fixture *f)
{
    f->servers->server_hostname = "c.example";
}

static void add_server(struct fixture *f)
{
    fixture_tls(f, fixture_server(f, "b.example"), "good");
}

static void ask_for_certificates(struct fixture *f)
{
    fixture_set(f, f->servers, "SSLCACertificateFile", "ca.pem", NULL);
    fixture_set(f, f->servers, "SSLVerifyClient", "optional", NULL);
}

static void new_authority(struct fixture *f)
{
    fixture_certificate(f, "ca", "Test CA", NULL, CERT_CA, -1, 30);
    fixture_certificate(f, "client", "Zoe", "ca", CERT_PLAIN, -1, 30);
}

static void only_tls12(struct fixture *f)
{
    fixture_set(f, f->servers, "SSLProtocol", "TLSv1.2", NULL);
}

static void one_suite(struct fixture *f)
{
    fixture_set(f, f->servers, "SSLProtocol", "all", NULL);
    fixture_set(f, f->servers, "SSLCipherSuite", "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256");
}

static void a_changed_server_does_not_take_it(void **state)
{
    struct fixture *f = *state;

    change_and_thaw(f, "a.example", change_nothing, true);
    change_and_thaw(f, "b.example", change_nothing, true);
    change_and_thaw(f, "b.example", add_server, false);
    change_and_thaw(f, "b.example", change_nothing, true);
    change_and_thaw(f, "a.example", rename_server, false);
    change_and_thaw(f, "a.example", change_nothing, true);
    change_and_thaw(f, "a.example", ask_for_certificates, false);
    change_and_thaw(f, "a.example", change_nothing, true);
    change_and_thaw(f, "a.example", new_authority, false);
    change_and_thaw(f, "a.example", only_tls12, false);
}

static void a_suite_that_is_gone_does_not_move(void **state)
{
    change_and_thaw(*state, "a.example", one_suite, false);
}

/* Whatever bytes come, nothing is taken that is not sound; no byte of the head is without
 * meaning but those that a session is made of. */
static void unsound_bytes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    unsigned char *bytes, *copy;
    struct peer p;
    size_t len;

    assert_non_null(fixture_start(f));
    peer_open(&p, TLS1_3_VERSION, "a.example");
    t = connect_as(f, &p);
    bytes = frozen(t, &len);
    for (size_t cut = 0; cut < len; cut++) {
        copy = malloc(cut + 1);
        memcpy(copy, bytes, cut);
        assert_null(tls_thaw(&f->hosts, copy, cut));
        free(copy);
    }
    for (size_t at = 0; at < 9; at++) { /* version, size, suite, limit, length of the secrets */
        bytes[at] ^= 0x80;
        assert_null(tls_thaw(&f->hosts, bytes, len));
        bytes[at] ^= 0x80;
    }
    free(bytes);
    tls_close(t);
    peer_close(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_suite_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(it_moves_before_the_first_request, setup, teardown),
        cmocka_unit_test_setup_teardown(it_moves_after_a_hello_retry_request, setup, teardown),
        cmocka_unit_test_setup_teardown(it_moves_with_another_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(it_moves_with_and_without_tickets, setup, teardown),
        cmocka_unit_test_setup_teardown(it_moves_after_a_resumption, setup, teardown),
        cmocka_unit_test_setup_teardown(a_moved_client_certificate_tells_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(only_tls13_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_of_a_record_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_half_done_does_not_move, setup, teardown),
        cmocka_unit_test_setup_teardown(big_messages_pass_after_a_move, setup, teardown),
        cmocka_unit_test_setup_teardown(max_fragment_length_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_renewed_before_they_wear_out, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_messages_get_their_alert, setup, teardown),
        cmocka_unit_test_setup_teardown(tampered_records_get_their_alert, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replayed_record_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_longer_than_agreed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_records_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_split_message_waits_for_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_server_does_not_take_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_suite_that_is_gone_does_not_move, setup, teardown),
        cmocka_unit_test_setup_teardown(unsound_bytes_are_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
