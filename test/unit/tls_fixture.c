/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, servers and an OpenSSL client for the TLS tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tls_fixture.h"

ins_server *http_find_server(const struct host_table *hosts, const char *name, size_t len)
{
    for (ins_server *s = hosts->servers; s && name; s = s->next) {
        if (strlen(s->server_hostname) == len && strncasecmp(s->server_hostname, name, len) == 0) {
            return s;
        }
    }
    return hosts->servers;
}

struct fixture *fixture_create(void)
{
    static char dir[] = "/tmp/test_tls_XXXXXX";
    apr_pool_t *pool;
    struct fixture *f;

    assert_int_equal(apr_initialize(), APR_SUCCESS);
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    f = apr_pcalloc(pool, sizeof(*f));
    f->pool = pool;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    f->dir = apr_pstrdup(pool, mkdtemp(dir));
    assert_non_null(f->dir);
    f->diags = diags_create(pool);
    f->listens = apr_array_make(pool, 1, sizeof(struct conf_listen));
    f->listen = apr_array_push(f->listens);
    memset(f->listen, 0, sizeof(*f->listen));
    ssl_module.index = 0;
    assert_int_equal(ticket_keys_open(&f->tickets, -1, 0), 0);
    f->shared.tickets = f->tickets.view;
    return f;
}

void fixture_destroy(struct fixture *f)
{
    const char *command = apr_pstrcat(f->pool, "rm -rf ", f->dir, NULL);

    assert_int_equal(system(command), 0);
    ticket_keys_close(&f->tickets);
    apr_pool_destroy(f->pool);
}

ins_server *fixture_server(struct fixture *f, const char *name)
{
    ins_server *s = apr_pcalloc(f->pool, sizeof(*s));
    ins_server **end = &f->servers;

    s->server_hostname = name;
    s->defn_name = "test.conf";
    s->module_config = apr_pcalloc(f->pool, sizeof(void *));
    s->module_config[0] = ssl_module.create_server(f->pool, s);
    while (*end) {
        end = &(*end)->next;
    }
    *end = s;
    f->hosts.servers = f->servers;
    return s;
}

const char *fixture_path(struct fixture *f, const char *name)
{
    return apr_pstrcat(f->pool, f->dir, "/", name, NULL);
}

void fixture_file(struct fixture *f, const char *name, const void *data, size_t len)
{
    FILE *out = fopen(fixture_path(f, name), "we");

    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static void sign(struct fixture *f, X509 *cert, EVP_PKEY *key, const char *issuer)
{
    X509 *issuer_cert = NULL;
    EVP_PKEY *issuer_key = NULL;
    FILE *in;

    if (issuer) {
        in = fopen(fixture_path(f, apr_pstrcat(f->pool, issuer, ".pem", NULL)), "re");
        issuer_cert = PEM_read_X509(in, NULL, NULL, NULL);
        (void)fclose(in);
        in = fopen(fixture_path(f, apr_pstrcat(f->pool, issuer, ".key", NULL)), "re");
        issuer_key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
        (void)fclose(in);
    }
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer_cert : cert));
    assert_true(X509_sign(cert, issuer ? issuer_key : key, EVP_sha256()) > 0);
    X509_free(issuer_cert);
    EVP_PKEY_free(issuer_key);
}

void fixture_certificate(struct fixture *f, const char *name, const char *cn, const char *issuer,
                         int kind, int start, int end)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_EXTENSION *ext;
    FILE *out;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711);
    X509_gmtime_adj(X509_getm_notBefore(cert), 86400L * start);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * end);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Tests", -1, -1,
                               0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_pubkey(cert, key);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                              kind == CERT_CA ? "critical,CA:TRUE" : "CA:FALSE");
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    sign(f, cert, key, issuer);
    out = fopen(fixture_path(f, apr_pstrcat(f->pool, name, ".pem", NULL)), "we");
    assert_int_equal(PEM_write_X509(out, cert), 1);
    (void)fclose(out);
    out = fopen(fixture_path(f, apr_pstrcat(f->pool, name, ".key", NULL)), "we");
    assert_int_equal(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(out);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void cmd_init(ins_cmd *cmd, struct fixture *f, ins_server *s, const ins_directive *row)
{
    *cmd = (ins_cmd){ .pool = f->pool,
                      .temp_pool = f->pool,
                      .server = s,
                      .name = row->name,
                      .file = "test.conf",
                      .line = 7,
                      .info = row->info };
}

const char *fixture_set(struct fixture *f, ins_server *s, const char *name, const char *a,
                        const char *b)
{
    const ins_directive *row = ssl_module.directives;
    const char *argv[2] = { a, b };
    void *conf = ssl_server_conf(s);
    ins_cmd cmd;

    while (strcasecmp(row->name, name) != 0) {
        row++;
        assert_non_null(row->name);
    }
    cmd_init(&cmd, f, s, row);
    switch (row->args) {
    case INS_ARGS_ONE:
        return row->set.one(&cmd, conf, a);
    case INS_ARGS_FLAG:
        return row->set.flag(&cmd, conf, strcmp(a, "On") == 0);
    case INS_ARGS_ARGV:
        return row->set.argv(&cmd, conf, b ? 2 : 1, argv);
    case INS_ARGS_FLAG_FIELD:
        *(int *)(void *)((char *)conf + row->offset) = strcmp(a, "On") == 0;
        return NULL;
    case INS_ARGS_INT_FIELD:
        *(int *)(void *)((char *)conf + row->offset) = atoi(a);
        return NULL;
    default:
        fail_msg("%s: unexpected kind of arguments", name);
        return NULL;
    }
}

void fixture_tls(struct fixture *f, ins_server *s, const char *name)
{
    assert_null(fixture_set(f, s, "SSLEngine", "On", NULL));
    assert_null(
        fixture_set(f, s, "SSLCertificateFile", apr_pstrcat(f->pool, name, ".pem", NULL), NULL));
    assert_null(
        fixture_set(f, s, "SSLCertificateKeyFile", apr_pstrcat(f->pool, name, ".key", NULL), NULL));
}

struct tls_app *fixture_start(struct fixture *f)
{
    for (ins_server *s = f->servers->next; s; s = s->next) {
        s->module_config[0] =
            ssl_module.merge_server(f->pool, f->servers->module_config[0], s->module_config[0]);
    }
    f->app = tls_app_create(f->servers, f->listens, f->dir, &f->shared, f->diags, f->pool);
    return f->app;
}

void peer_open(struct peer *p, int version, const char *sni)
{
    memset(p, 0, sizeof(*p));
    p->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(p->ctx, version);
    SSL_CTX_set_max_proto_version(p->ctx, version);
    p->ssl = SSL_new(p->ctx);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(p->in, -1);
    SSL_set_bio(p->ssl, p->in, p->out);
    if (sni) {
        SSL_set_tlsext_host_name(p->ssl, sni);
    }
}

void peer_close(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
}

static void server_read(struct peer *p, struct tls_conn *t)
{
    do {
        p->server_result = tls_read(t, p->got + p->got_len, sizeof(p->got) - p->got_len);
        if (p->server_result > 0) {
            p->got_len += (size_t)p->server_result;
            assert_true(p->got_len < sizeof(p->got));
        }
    } while (p->server_result > 0);
}

static bool to_server(struct peer *p, struct tls_conn *t, size_t chunk)
{
    char buf[65536];
    int n = BIO_read(p->out, buf, (int)(chunk < sizeof(buf) ? chunk : sizeof(buf)));

    if (n <= 0) {
        return false;
    }
    if (tls_feed(t, buf, (size_t)n) == TLS_OK) {
        server_read(p, t);
    }
    return true;
}

static bool to_client(struct peer *p, struct tls_conn *t, size_t chunk)
{
    size_t len;
    const char *data = tls_output(t, &len);

    if (!data) {
        return false;
    }
    len = len < chunk ? len : chunk;
    assert_int_equal(BIO_write(p->in, data, (int)len), (int)len);
    tls_consume(t, len);
    return true;
}

void peer_pump(struct peer *p, struct tls_conn *t, size_t chunk)
{
    bool moved;

    do {
        moved = to_server(p, t, chunk);
        moved = to_client(p, t, chunk) || moved;
    } while (moved);
}

bool peer_connect(struct peer *p, struct tls_conn *t, size_t chunk)
{
    for (int i = 0; i < 10; i++) {
        int error;

        p->result = SSL_connect(p->ssl);
        error = SSL_get_error(p->ssl, p->result);
        peer_pump(p, t, chunk);
        if (p->result == 1) {
            char none;

            (void)SSL_read(p->ssl, &none, 0); /* takes the session tickets in */
            (void)SSL_peek(p->ssl, &none, 1);
            break;
        }
        if (error != SSL_ERROR_WANT_READ) {
            break;
        }
    }
    return p->result == 1 && tls_established(t);
}
