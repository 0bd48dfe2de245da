/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: OpenSSL's client against ours, through memory. */
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

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int setup(void **state)
{
    struct fixture *f = fixture_create();

    fixture_certificate(f, "good", "a.example", NULL, CERT_PLAIN, -1, 30);
    fixture_certificate(f, "other", "b.example", NULL, CERT_PLAIN, -1, 30);
    fixture_certificate(f, "ca", "Test CA", NULL, CERT_CA, -1, 30);
    fixture_certificate(f, "client", "Zoe", "ca", CERT_PLAIN, -1, 30);
    fixture_certificate(f, "stranger", "Mallory", NULL, CERT_PLAIN, -1, 30);
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

static void both_versions_talk(void **state)
{
    struct fixture *f = *state;
    struct peer p;
    char answer[64];

    assert_non_null(fixture_start(f));
    tls_worker_init(f->app);
    for (int i = 0; i < 2; i++) {
        struct tls_conn *t = tls_open(f->app, &f->hosts);

        peer_open(&p, versions[i], "a.example");
        assert_true(peer_connect(&p, t, 65536));
        assert_int_equal(SSL_version(p.ssl), versions[i]);
        assert_int_equal(SSL_write(p.ssl, "ping", 4), 4);
        peer_pump(&p, t, 65536);
        assert_int_equal(p.got_len, 4);
        assert_memory_equal(p.got, "ping", 4);
        assert_int_equal(p.server_result, TLS_WANT_INPUT);
        assert_int_equal(tls_write(t, "pong", 4), TLS_OK);
        peer_pump(&p, t, 65536);
        assert_int_equal(SSL_read(p.ssl, answer, sizeof(answer)), 4);
        assert_memory_equal(answer, "pong", 4);
        tls_close(t);
        peer_close(&p);
    }
}

static void an_idle_connection_holds_no_buffers(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_true(peer_connect(&p, t, 65536));
    assert_null(t->in.data);
    assert_null(t->out.data);
    tls_close(t);
    peer_close(&p);
}

static void byte_by_byte_is_enough(void **state)
{
    struct fixture *f = *state;
    struct peer p;

    assert_non_null(fixture_start(f));
    for (int i = 0; i < 2; i++) {
        struct tls_conn *t = tls_open(f->app, &f->hosts);

        peer_open(&p, versions[i], "a.example");
        assert_true(peer_connect(&p, t, 1));
        assert_int_equal(SSL_write(p.ssl, "0123456789", 10), 10);
        peer_pump(&p, t, 1);
        assert_int_equal(p.got_len, 10);
        tls_close(t);
        peer_close(&p);
    }
}

static void big_writes_are_taken_whole(void **state)
{
    enum { SIZE = 1000003 };
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char *sent = malloc(SIZE), *got = malloc(SIZE);
    size_t len = 0, waiting;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_true(peer_connect(&p, t, 65536));
    for (size_t i = 0; i < SIZE; i++) {
        sent[i] = (char)(i * 7 + i / 1000);
    }
    assert_int_equal(tls_write(t, sent, SIZE), TLS_OK);
    (void)tls_output(t, &waiting);
    assert_true(waiting > SIZE);
    while (len < SIZE) {
        int n;

        peer_pump(&p, t, 5000);
        n = SSL_read(p.ssl, got + len, (int)(SIZE - len));
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, sent, SIZE);
    assert_null(t->out.data);
    tls_close(t);
    peer_close(&p);
    free(sent);
    free(got);
}

static void many_writes_share_one_run(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    size_t len, before = 0;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_true(peer_connect(&p, t, 65536));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tls_write(t, "0123456789", 10), TLS_OK);
        (void)tls_output(t, &len);
        assert_int_equal(len - before, 10 + 5 + 1 + 16);
        before = len;
    }
    tls_close(t);
    peer_close(&p);
}

static void close_notify_goes_both_ways(void **state)
{
    struct fixture *f = *state;
    struct peer p;
    char byte;

    assert_non_null(fixture_start(f));
    for (int i = 0; i < 2; i++) {
        struct tls_conn *t = tls_open(f->app, &f->hosts);

        peer_open(&p, versions[i], NULL);
        assert_true(peer_connect(&p, t, 65536));
        (void)SSL_shutdown(p.ssl);
        peer_pump(&p, t, 65536);
        assert_int_equal(p.server_result, TLS_EOF);
        tls_shutdown(t);
        tls_shutdown(t);
        assert_int_equal(tls_write(t, "late", 4), TLS_FAILED);
        peer_pump(&p, t, 65536);
        assert_int_equal(SSL_read(p.ssl, &byte, 1), 0);
        assert_int_equal(SSL_get_error(p.ssl, 0), SSL_ERROR_ZERO_RETURN);
        tls_close(t);
        peer_close(&p);
    }
}

static const char *shown_name(struct peer *p, char *buf, int size)
{
    X509 *cert = SSL_get0_peer_certificate(p->ssl);

    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, buf, size);
    return buf;
}

static void sni_chooses_the_server(void **state)
{
    static const struct {
        const char *sni, *shown, *server;
    } cases[] = {
        { "a.example", "a.example", "a.example" },  { "b.example", "b.example", "b.example" },
        { "B.Example.", "b.example", "b.example" }, { "nobody.example", "a.example", "a.example" },
        { NULL, "a.example", "a.example" },
    };
    struct fixture *f = *state;
    struct peer p;
    char cn[64];

    fixture_tls(f, fixture_server(f, "b.example"), "other");
    assert_non_null(fixture_start(f));
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_conn *t = tls_open(f->app, &f->hosts);

        peer_open(&p, versions[i % 2], cases[i / 2].sni);
        assert_true(peer_connect(&p, t, 65536));
        assert_string_equal(shown_name(&p, cn, sizeof(cn)), cases[i / 2].shown);
        assert_string_equal(tls_server(t)->server_hostname, cases[i / 2].server);
        tls_close(t);
        peer_close(&p);
    }
}

static void sni_chooses_the_protocol_too(void **state)
{
    struct fixture *f = *state;
    ins_server *b = fixture_server(f, "b.example");
    struct tls_conn *t;
    struct peer p;

    fixture_tls(f, b, "other");
    fixture_set(f, b, "SSLProtocol", "TLSv1.3", NULL);
    assert_non_null(fixture_start(f));
    for (int i = 0; i < 4; i++) {
        t = tls_open(f->app, &f->hosts);
        peer_open(&p, versions[i % 2], i < 2 ? "a.example" : "b.example");
        assert_int_equal(peer_connect(&p, t, 65536), i != 2);
        tls_close(t);
        peer_close(&p);
    }
}

struct verify_case {
    const char *mode, *certificate;
    bool ok;
    const char *variable;
};

static void try_verification(struct fixture *f, const struct verify_case *c, int version)
{
    struct tls_conn *t = tls_open(f->app, &f->hosts);
    struct peer p;

    peer_open(&p, version, "a.example");
    if (c->certificate) {
        use_certificate(f, &p, c->certificate);
    }
    (void)peer_connect(&p, t, 65536);
    assert_int_equal(tls_established(t), c->ok);
    if (c->ok) {
        assert_string_equal(tls_variable(t, "SSL_CLIENT_VERIFY", f->pool), c->variable);
    }
    else {
        assert_non_null(strstr(tls_error(t), c->variable));
        assert_int_equal(tls_read(t, &p, 1), TLS_FAILED);
    }
    tls_close(t);
    peer_close(&p);
}

static void client_certificates_are_verified(void **state)
{
    static const struct verify_case cases[] = {
        { "none", "client", true, "NONE" },
        { "optional", NULL, true, "NONE" },
        { "optional", "client", true, "SUCCESS" },
        { "optional", "stranger", false, "self-signed certificate" },
        { "optional_no_ca", "stranger", true, "GENEROUS" },
        { "optional_no_ca", "client", true, "SUCCESS" },
        { "require", "client", true, "SUCCESS" },
        { "require", NULL, false, "peer did not return a certificate" },
        { "require", "stranger", false, "self-signed certificate" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_set(f, f->servers, "SSLCACertificateFile", "ca.pem", NULL);
        fixture_set(f, f->servers, "SSLVerifyClient", cases[i].mode, NULL);
        assert_non_null(fixture_start(f));
        try_verification(f, &cases[i], TLS1_2_VERSION);
        try_verification(f, &cases[i], TLS1_3_VERSION);
    }
}

static void depth_counts_from_the_client(void **state)
{
    static const struct verify_case too_deep = { "require", "deep", false, "chain too long" };
    static const struct verify_case fine = { "require", "client", true, "SUCCESS" };
    struct fixture *f = *state;

    fixture_certificate(f, "sub", "Sub CA", "ca", CERT_CA, -1, 30);
    fixture_certificate(f, "deep", "Deep", "sub", CERT_PLAIN, -1, 30);
    assert_int_equal(system(apr_psprintf(f->pool, "cat %s/sub.pem %s/ca.pem > %s/both.pem", f->dir,
                                         f->dir, f->dir)),
                     0);
    fixture_set(f, f->servers, "SSLCACertificateFile", "both.pem", NULL);
    fixture_set(f, f->servers, "SSLVerifyClient", "require", NULL);
    assert_non_null(fixture_start(f));
    try_verification(f, &too_deep, TLS1_3_VERSION);
    try_verification(f, &fine, TLS1_3_VERSION);
}

/* Connects with a session, or NULL; keeps the new one. Whether it was resumed. */
static bool resumes(struct fixture *f, int version, const char *sni, SSL_SESSION **session)
{
    struct tls_conn *t = tls_open(f->app, &f->hosts);
    struct peer p;
    bool resumed;

    peer_open(&p, version, sni);
    if (*session) {
        assert_int_equal(SSL_set_session(p.ssl, *session), 1);
    }
    assert_true(peer_connect(&p, t, 65536));
    resumed = SSL_session_reused(p.ssl);
    assert_string_equal(tls_variable(t, "SSL_SESSION_RESUMED", f->pool),
                        resumed ? "Resumed" : "Initial");
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(p.ssl);
    (void)SSL_shutdown(p.ssl);
    tls_close(t);
    peer_close(&p);
    return resumed;
}

static void tickets_resume(void **state)
{
    struct fixture *f = *state;

    assert_non_null(fixture_start(f));
    for (int i = 0; i < 2; i++) {
        SSL_SESSION *session = NULL;

        assert_false(resumes(f, versions[i], "a.example", &session));
        assert_true(resumes(f, versions[i], "a.example", &session));
        assert_true(resumes(f, versions[i], "a.example", &session));
        SSL_SESSION_free(session);
    }
}

static void tickets_survive_a_new_app_by_their_key_file(void **state)
{
    static const size_t sizes[] = { 48, 80 };
    struct fixture *f = *state;
    char key[80];

    for (int i = 0; i < 4; i++) {
        SSL_SESSION *session = NULL;

        memset(key, 'k' + i, sizeof(key));
        fixture_file(f, "ticket.key", key, sizes[i / 2]);
        fixture_set(f, f->servers, "SSLSessionTicketKeyFile", "ticket.key", NULL);
        assert_non_null(fixture_start(f));
        assert_false(resumes(f, versions[i % 2], "a.example", &session));
        assert_non_null(fixture_start(f));
        assert_true(resumes(f, versions[i % 2], "a.example", &session));
        memset(key, 'z', sizeof(key));
        fixture_file(f, "ticket.key", key, sizes[i / 2]);
        assert_non_null(fixture_start(f));
        assert_false(resumes(f, versions[i % 2], "a.example", &session));
        SSL_SESSION_free(session);
    }
}

static void no_tickets_no_resumption(void **state)
{
    struct fixture *f = *state;

    fixture_set(f, f->servers, "SSLSessionTickets", "Off", NULL);
    assert_non_null(fixture_start(f));
    for (int i = 0; i < 2; i++) {
        SSL_SESSION *session = NULL;

        assert_false(resumes(f, versions[i], "a.example", &session));
        assert_false(resumes(f, versions[i], "a.example", &session));
        SSL_SESSION_free(session);
    }
}

/* A ticket got without a client certificate opens no door that asks for one. */
static void a_ticket_is_no_client_certificate(void **state)
{
    struct fixture *f = *state;
    ins_server *b = fixture_server(f, "b.example");

    fixture_tls(f, b, "good");
    fixture_set(f, b, "SSLCACertificateFile", "ca.pem", NULL);
    fixture_set(f, b, "SSLVerifyClient", "require", NULL);
    assert_non_null(fixture_start(f));
    for (int i = 0; i < 2; i++) {
        SSL_SESSION *session = NULL;
        struct tls_conn *t = tls_open(f->app, &f->hosts);
        struct peer p;

        assert_false(resumes(f, versions[i], "a.example", &session));
        peer_open(&p, versions[i], "b.example");
        assert_int_equal(SSL_set_session(p.ssl, session), 1);
        (void)peer_connect(&p, t, 65536);
        assert_false(tls_established(t));
        tls_close(t);
        peer_close(&p);
        SSL_SESSION_free(session);
    }
}

static void alpn_answers_http11(void **state)
{
    static const struct {
        const char *offer;
        bool ok;
    } cases[] = { { "\x08http/1.1", true }, { "\x02h2\x08http/1.1", true }, { "\x02h2", false } };
    struct fixture *f = *state;
    const unsigned char *chosen;
    unsigned len;
    struct peer p;

    assert_non_null(fixture_start(f));
    for (size_t i = 0; i < 3; i++) {
        struct tls_conn *t = tls_open(f->app, &f->hosts);

        peer_open(&p, TLS1_3_VERSION, NULL);
        SSL_set_alpn_protos(p.ssl, (const unsigned char *)cases[i].offer,
                            (unsigned)strlen(cases[i].offer));
        assert_int_equal(peer_connect(&p, t, 65536), cases[i].ok);
        SSL_get0_alpn_selected(p.ssl, &chosen, &len);
        assert_int_equal(len, cases[i].ok ? 8 : 0);
        tls_close(t);
        peer_close(&p);
    }
}

static void plain_http_is_recognised(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    assert_int_equal(tls_feed(t, "GET / HTTP/1.1\r\n", 16), TLS_FAILED);
    assert_true(tls_is_plain_http(t));
    tls_close(t);
}

static void garbage_fails(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
    } cases[] = {
        { "zeros", "\0\0\0\0\0\0\0\0", 8 },
        { "SSLv2 hello", "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11 },
        { "record of 64 KiB", "\x16\x03\x01\xff\xff", 5 },
        { "application data first", "\x17\x03\x03\x00\x05hello", 10 },
        { "lower case", "hello world", 11 },
        { "broken hello", "\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", 11 },
        { "alert", "\x15\x03\x01\x00\x02\x02\x28", 7 },
    };
    struct fixture *f = *state;

    assert_non_null(fixture_start(f));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_conn *t = tls_open(f->app, &f->hosts);
        char buf[16];

        print_message("%s\n", cases[i].name);
        assert_int_equal(tls_feed(t, cases[i].bytes, cases[i].len), TLS_OK);
        assert_int_equal(tls_read(t, buf, sizeof(buf)), TLS_FAILED);
        assert_false(tls_is_plain_http(t));
        assert_string_not_equal(tls_error(t), "no failure");
        assert_int_equal(ERR_peek_error(), 0);
        tls_close(t);
    }
}

static void a_changed_record_fails_with_an_alert(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char wire[256];
    size_t len;
    int n;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_true(peer_connect(&p, t, 65536));
    assert_int_equal(SSL_write(p.ssl, "ping", 4), 4);
    n = BIO_read(p.out, wire, sizeof(wire));
    wire[n - 1] ^= 1;
    assert_int_equal(tls_feed(t, wire, (size_t)n), TLS_OK);
    assert_int_equal(tls_read(t, p.got, sizeof(p.got)), TLS_FAILED);
    (void)tls_output(t, &len);
    assert_true(len > 0);
    assert_int_equal(tls_write(t, "x", 1), TLS_FAILED);
    tls_close(t);
    peer_close(&p);
}

static void key_updates_are_followed(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;
    char answer[8];

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_3_VERSION, NULL);
    assert_true(peer_connect(&p, t, 65536));
    for (int i = 0; i < 3; i++) {
        SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
        assert_int_equal(SSL_write(p.ssl, "ping", 4), 4);
        peer_pump(&p, t, 65536);
        assert_int_equal(tls_write(t, "pong", 4), TLS_OK);
        peer_pump(&p, t, 65536);
        assert_int_equal(SSL_read(p.ssl, answer, sizeof(answer)), 4);
    }
    assert_int_equal(p.got_len, 12);
    tls_close(t);
    peer_close(&p);
}

static void renegotiation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_2_VERSION, NULL);
    assert_true(peer_connect(&p, t, 65536));
    assert_int_equal(SSL_renegotiate(p.ssl), 1);
    (void)SSL_do_handshake(p.ssl);
    peer_pump(&p, t, 65536);
    assert_int_not_equal(SSL_do_handshake(p.ssl), 1);
    tls_close(t);
    peer_close(&p);
}

static void variables_tell_of_the_client(void **state)
{
    static const struct {
        const char *name, *value; /* NULL: any text */
    } cases[] = {
        { "HTTPS", "on" },
        { "SSL_PROTOCOL", "TLSv1.3" },
        { "SSL_CIPHER", NULL },
        { "SSL_CIPHER_USEKEYSIZE", NULL },
        { "SSL_TLS_SNI", "a.example" },
        { "SSL_CLIENT_S_DN", "CN=Zoe,O=Tests" },
        { "SSL_CLIENT_I_DN", "CN=Test CA,O=Tests" },
        { "SSL_CLIENT_S_DN_CN", "Zoe" },
        { "SSL_CLIENT_S_DN_O", "Tests" },
        { "SSL_CLIENT_M_SERIAL", "1267" },
        { "SSL_CLIENT_M_VERSION", "3" },
        { "SSL_CLIENT_V_REMAIN", NULL },
        { "SSL_CLIENT_V_START", NULL },
        { "SSL_CLIENT_V_END", NULL },
        { "SSL_CLIENT_A_KEY", "id-ecPublicKey" },
        { "SSL_CLIENT_A_SIG", "ecdsa-with-SHA256" },
        { "SSL_CLIENT_CERT", NULL },
        { "SSL_SERVER_S_DN_CN", "a.example" },
        { "SSL_SESSION_ID", NULL },
    };
    static const char *const unknown[] = { "SSL_", "SSL_NONSENSE", "SSL_CLIENT_S_DN_XX", "PATH",
                                           "SSL_CLIENT_S_DN_CN_1" };
    struct fixture *f = *state;
    struct tls_conn *t;
    struct peer p;

    fixture_set(f, f->servers, "SSLCACertificateFile", "ca.pem", NULL);
    fixture_set(f, f->servers, "SSLVerifyClient", "require", NULL);
    assert_non_null(fixture_start(f));
    t = tls_open(f->app, &f->hosts);
    peer_open(&p, TLS1_3_VERSION, "a.example");
    use_certificate(f, &p, "client");
    assert_true(peer_connect(&p, t, 65536));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *value = tls_variable(t, cases[i].name, f->pool);

        print_message("%s: %s\n", cases[i].name, value ? value : "(null)");
        assert_non_null(value);
        assert_string_equal(value, cases[i].value ? cases[i].value : value);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_null(tls_variable(t, unknown[i], f->pool));
    }
    tls_close(t);
    peer_close(&p);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(both_versions_talk),
        CASE(an_idle_connection_holds_no_buffers),
        CASE(byte_by_byte_is_enough),
        CASE(big_writes_are_taken_whole),
        CASE(many_writes_share_one_run),
        CASE(close_notify_goes_both_ways),
        CASE(sni_chooses_the_server),
        CASE(sni_chooses_the_protocol_too),
        CASE(client_certificates_are_verified),
        CASE(depth_counts_from_the_client),
        CASE(tickets_resume),
        CASE(tickets_survive_a_new_app_by_their_key_file),
        CASE(no_tickets_no_resumption),
        CASE(a_ticket_is_no_client_certificate),
        CASE(alpn_answers_http11),
        CASE(plain_http_is_recognised),
        CASE(garbage_fails),
        CASE(a_changed_record_fails_with_an_alert),
        CASE(key_updates_are_followed),
        CASE(renegotiation_is_refused),
        CASE(variables_tell_of_the_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
