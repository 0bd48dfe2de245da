/* SPDX-License-Identifier: Apache-2.0 */
/* What the TLS tests share: certificates made on the spot, servers found by
 * name, and an OpenSSL client that talks to a tls_conn through memory. */
#ifndef TEST_UNIT_TLS_FIXTURE_H
#define TEST_UNIT_TLS_FIXTURE_H

#include <openssl/ssl.h>

#include "config/conf.h"
#include "tls/tls_internal.h"

/* The test's own idea of host tables: http_find_server() is defined here. */
struct host_table {
    ins_server *servers;
};

struct fixture {
    apr_pool_t *pool;
    const char *dir; /* temporary, removed by fixture_destroy() */
    struct diags *diags;
    ins_server *servers; /* the main server first */
    struct host_table hosts;
    apr_array_header_t *listens; /* one, not https */
    struct conf_listen *listen;
    struct ticket_keys tickets;
    struct tls_shared shared;
    struct tls_app *app;
};

struct fixture *fixture_create(void);
void fixture_destroy(struct fixture *f);
/* Appends a server. */
ins_server *fixture_server(struct fixture *f, const char *name);
const char *fixture_path(struct fixture *f, const char *name);
void fixture_file(struct fixture *f, const char *name, const void *data, size_t len);

/* Writes NAME.pem and NAME.key: an EC P-256 certificate for cn, signed by issuer
 * (NULL: by itself), from start to end days from now. */
enum { CERT_PLAIN = 0, CERT_CA = 1 };
void fixture_certificate(struct fixture *f, const char *name, const char *cn, const char *issuer,
                         int kind, int start, int end);
/* Runs a directive's setter on a server's config; its words, or NULL. */
const char *fixture_set(struct fixture *f, ins_server *s, const char *name, const char *a,
                        const char *b);
/* SSLEngine On with NAME.pem and NAME.key. */
void fixture_tls(struct fixture *f, ins_server *s, const char *name);
/* Merges the main server's settings into the others, then tls_app_create(). */
struct tls_app *fixture_start(struct fixture *f);

/* A client end. */
struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
    int result;        /* of SSL_connect() */
    int server_result; /* the last of tls_read() */
    char got[65536];   /* what the server has read */
    size_t got_len;
};

void peer_open(struct peer *p, int version, const char *sni);
void peer_close(struct peer *p);
/* Moves bytes both ways, at most chunk at once, until nothing moves. */
void peer_pump(struct peer *p, struct tls_conn *t, size_t chunk);
/* Connects: true when both ends have finished the handshake. */
bool peer_connect(struct peer *p, struct tls_conn *t, size_t chunk);

#endif
