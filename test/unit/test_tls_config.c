/* SPDX-License-Identifier: Apache-2.0 */
/* SSL* directives: what is accepted, how it merges, and the words for what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "tls_fixture.h"

static int setup(void **state)
{
    struct fixture *f = fixture_create();

    fixture_certificate(f, "good", "a.example", NULL, CERT_PLAIN, -1, 30);
    fixture_certificate(f, "other", "b.example", NULL, CERT_PLAIN, -1, 30);
    fixture_certificate(f, "old", "a.example", NULL, CERT_PLAIN, -30, -1);
    fixture_certificate(f, "young", "a.example", NULL, CERT_PLAIN, 2, 30);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

/* The only error holds both texts and names the directive's place. */
static void assert_error(struct fixture *f, const char *a, const char *b)
{
    assert_null(fixture_start(f));
    assert_int_equal(f->diags->errors, 1);
    assert_int_equal(f->diags->first->stage, DIAG_START);
    assert_string_equal(f->diags->first->file, "test.conf");
    assert_non_null(strstr(f->diags->first->message, a));
    assert_non_null(strstr(f->diags->first->message, b));
}

static void no_tls_makes_no_app(void **state)
{
    struct fixture *f = *state;

    fixture_server(f, "a.example");
    assert_null(fixture_start(f));
    assert_int_equal(f->diags->errors, 0);
    assert_false(tls_wanted(NULL, &f->hosts, true));
}

static void a_missing_certificate_is_named(void **state)
{
    struct fixture *f = *state;

    fixture_tls(f, fixture_server(f, "a.example"), "missing");
    assert_error(f, "/missing.pem", "No such file or directory");
    assert_int_equal(f->diags->first->line, 7);
}

static void a_missing_key_is_named(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_tls(f, s, "good");
    APR_ARRAY_IDX(ssl_server_conf(s)->keys, 0, struct ssl_text).value = "none.key";
    assert_error(f, "private key", "/none.key: No such file or directory");
}

static void a_directory_is_no_certificate(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(fixture_path(f, "dir.pem"), 0700), 0);
    fixture_tls(f, fixture_server(f, "a.example"), "dir");
    assert_error(f, "/dir.pem", "it is a directory");
}

static void a_certificate_that_is_not_pem_is_named(void **state)
{
    struct fixture *f = *state;

    fixture_file(f, "junk.pem", "hello\n", 6);
    fixture_tls(f, fixture_server(f, "a.example"), "junk");
    assert_error(f, "/junk.pem holds no usable certificate", "no start line");
}

static void a_key_that_is_not_pem_is_named(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_file(f, "junk.key", "hello\n", 6);
    fixture_tls(f, s, "good");
    APR_ARRAY_IDX(ssl_server_conf(s)->keys, 0, struct ssl_text).value = "junk.key";
    assert_error(f, "/junk.key holds no usable private key", "OpenSSL: ");
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_tls(f, s, "good");
    APR_ARRAY_IDX(ssl_server_conf(s)->keys, 0, struct ssl_text).value = "other.key";
    assert_error(f, "/other.key does not match the certificate", "key values mismatch");
}

static void an_engine_without_a_certificate_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_set(f, fixture_server(f, "a.example"), "SSLEngine", "On", NULL);
    assert_error(f, "SSLEngine is On for a.example", "no SSLCertificateFile");
}

static void an_https_listener_without_any_certificate_is_refused(void **state)
{
    static const char text[] = "Timeout 5\nListen 443 https\n";
    static const struct conf_file file = { "/conf", text, sizeof(text) - 1 };
    static const uint32_t arg_at[] = { 17, 21 };
    static const struct conf_node node = { .name = "Listen",
                                           .argc = 2,
                                           .file = &file,
                                           .line = 2,
                                           .column = 1,
                                           .at = 10,
                                           .arg_at = arg_at };
    struct fixture *f = *state;

    fixture_server(f, "a.example");
    f->listen->https = true;
    f->listen->node = &node;
    assert_null(fixture_start(f));
    assert_int_equal(f->diags->errors, 1);
    assert_non_null(strstr(f->diags->first->message, "https needs a certificate"));
    assert_string_equal(f->diags->first->file, "/conf");
    assert_int_equal(f->diags->first->line, 2);
    assert_int_equal(f->diags->first->column, 8);
}

static void https_listeners_need_no_engine(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_tls(f, s, "good");
    ssl_server_conf(s)->engine = UNSET;
    f->listen->https = true;
    assert_non_null(fixture_start(f));
    assert_true(tls_wanted(f->app, &f->hosts, true));
    assert_false(tls_wanted(f->app, &f->hosts, false));
    ssl_server_conf(s)->engine = 0;
    assert_false(tls_wanted(f->app, &f->hosts, true));
}

static void dates_are_warnings(void **state)
{
    static const char *const names[] = { "old", "young" };
    static const char *const words[] = { "has expired", "not valid before" };

    for (int i = 0; i < 2; i++) {
        struct fixture *f = *state;

        f->servers = NULL;
        f->diags = diags_create(f->pool);
        fixture_tls(f, fixture_server(f, "a.example"), names[i]);
        assert_non_null(fixture_start(f));
        assert_int_equal(f->diags->errors, 0);
        assert_int_equal(f->diags->warnings, 1);
        assert_non_null(strstr(f->diags->first->message, words[i]));
    }
}

static void all_errors_are_reported(void **state)
{
    struct fixture *f = *state;

    fixture_tls(f, fixture_server(f, "a.example"), "missing1");
    fixture_tls(f, fixture_server(f, "b.example"), "missing2");
    assert_null(fixture_start(f));
    assert_int_equal(f->diags->errors, 2);
}

static void servers_with_the_same_settings_share_a_context(void **state)
{
    struct fixture *f = *state;
    ins_server *a = fixture_server(f, "a.example"), *b = fixture_server(f, "b.example");
    ins_server *c = fixture_server(f, "c.example"), *d = fixture_server(f, "d.example");

    fixture_tls(f, a, "good");
    fixture_tls(f, c, "other");
    fixture_set(f, d, "SSLSessionTickets", "Off", NULL);
    assert_non_null(fixture_start(f));
    assert_ptr_equal(ssl_server_conf(a)->context, ssl_server_conf(b)->context);
    assert_ptr_not_equal(ssl_server_conf(a)->context, ssl_server_conf(c)->context);
    assert_ptr_not_equal(ssl_server_conf(a)->context, ssl_server_conf(d)->context);
    assert_true(tls_server_compatible(a, b));
    assert_false(tls_server_compatible(a, c));
    assert_true(tls_server_compatible(a, d));
}

static void a_stricter_server_is_not_compatible(void **state)
{
    struct fixture *f = *state;
    ins_server *a = fixture_server(f, "a.example"), *b = fixture_server(f, "b.example");

    fixture_tls(f, a, "good");
    fixture_set(f, b, "SSLCACertificateFile", "other.pem", NULL);
    fixture_set(f, b, "SSLVerifyClient", "require", NULL);
    assert_non_null(fixture_start(f));
    assert_false(tls_server_compatible(a, b));
    assert_false(tls_server_compatible(b, a));
}

static void client_certificates_without_authorities_are_warned_of(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_tls(f, s, "good");
    fixture_set(f, s, "SSLVerifyClient", "require", NULL);
    assert_non_null(fixture_start(f));
    assert_int_equal(f->diags->warnings, 1);
}

static void authorities_that_cannot_be_read_are_named(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_tls(f, s, "good");
    fixture_set(f, s, "SSLCACertificateFile", "ca.pem", NULL);
    assert_error(f, "CA certificates", "/ca.pem: No such file");
}

static void a_ticket_key_of_a_wrong_size_is_refused(void **state)
{
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    fixture_file(f, "ticket.key", "short", 5);
    fixture_tls(f, s, "good");
    fixture_set(f, s, "SSLSessionTicketKeyFile", "ticket.key", NULL);
    assert_error(f, "/ticket.key", "48 or 80");
}

static void words_are_judged_at_once(void **state)
{
    static const struct {
        const char *name, *a, *b;
        bool ok;
    } cases[] = {
        { "SSLProtocol", "all", "-TLSv1.3", true },
        { "SSLProtocol", "-all", "+TLSv1.2", true },
        { "SSLProtocol", "tlsv1.3", NULL, true },
        { "SSLProtocol", "all", "-SSLv3", true },
        { "SSLProtocol", "all", "-SSLv2", true },
        { "SSLProtocol", "SSLv3", NULL, false },
        { "SSLProtocol", "+SSLv3", NULL, false },
        { "SSLProtocol", "SSLv2", NULL, false },
        { "SSLProtocol", "TLSv1.4", NULL, false },
        { "SSLProtocol", "-all", NULL, false },
        { "SSLProtocol", "", NULL, false },
        { "SSLCipherSuite", "HIGH:!aNULL", NULL, true },
        { "SSLCipherSuite", "SSL", "ECDHE-RSA-AES128-GCM-SHA256", true },
        { "SSLCipherSuite", "TLSv1.3", "TLS_AES_256_GCM_SHA384", true },
        { "SSLCipherSuite", "TLSv1.3", "ECDHE-RSA-AES128-GCM-SHA256", false },
        { "SSLCipherSuite", "TLSv1.2", "HIGH", false },
        { "SSLCipherSuite", "NO-SUCH-CIPHER", NULL, false },
        { "SSLVerifyClient", "Require", NULL, true },
        { "SSLVerifyClient", "optional_no_ca", NULL, true },
        { "SSLVerifyClient", "none", NULL, true },
        { "SSLVerifyClient", "sometimes", NULL, false },
        { "SSLCertificateFile", "", NULL, false },
        { "SSLCACertificateFile", "", NULL, false },
    };
    struct fixture *f = *state;
    ins_server *s = fixture_server(f, "a.example");

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *words = fixture_set(f, s, cases[i].name, cases[i].a, cases[i].b);

        print_message("%s %s: %s\n", cases[i].name, cases[i].a, words ? words : "fine");
        assert_int_equal(words == NULL, cases[i].ok);
    }
}

static void verification_stands_in_servers_alone(void **state)
{
    (void)state;
    for (const ins_directive *row = ssl_module.directives; row->name; row++) {
        assert_int_equal(row->where, INS_IN_SERVER);
        assert_non_null(row->help);
        assert_non_null(row->syntax);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(no_tls_makes_no_app),
        CASE(a_missing_certificate_is_named),
        CASE(a_missing_key_is_named),
        CASE(a_directory_is_no_certificate),
        CASE(a_certificate_that_is_not_pem_is_named),
        CASE(a_key_that_is_not_pem_is_named),
        CASE(a_key_of_another_certificate_is_refused),
        CASE(an_engine_without_a_certificate_is_refused),
        CASE(an_https_listener_without_any_certificate_is_refused),
        CASE(https_listeners_need_no_engine),
        CASE(dates_are_warnings),
        CASE(all_errors_are_reported),
        CASE(servers_with_the_same_settings_share_a_context),
        CASE(a_stricter_server_is_not_compatible),
        CASE(client_certificates_without_authorities_are_warned_of),
        CASE(authorities_that_cannot_be_read_are_named),
        CASE(a_ticket_key_of_a_wrong_size_is_refused),
        CASE(words_are_judged_at_once),
        cmocka_unit_test(verification_stands_in_servers_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
