/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the TLS part share with each other alone. */
#ifndef TLS_TLS_INTERNAL_H
#define TLS_TLS_INTERNAL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "tls/record13.h"
#include "tls/tls.h"
#include "util/bundle.h"

#define LOG_PART "ssl"

/* ---- Settings of a server (ssl_directives.c) --------------------------- */

enum { UNSET = -1 };

enum ssl_verify { VERIFY_NONE, VERIFY_OPTIONAL, VERIFY_REQUIRE, VERIFY_OPTIONAL_NO_CA };

enum ssl_protocol {
    PROTOCOL_SSL3 = 1,
    PROTOCOL_TLS1 = 2,
    PROTOCOL_TLS1_1 = 4,
    PROTOCOL_TLS1_2 = 8,
    PROTOCOL_TLS1_3 = 16
};

/* A value and where it stands, for messages. */
struct ssl_text {
    const char *value; /* NULL: not set */
    const char *file;
    unsigned line;
};

/* SSLUseStapling and SSLStapling...; seconds. */
struct ssl_stapling {
    int use, return_errors; /* UNSET, 0, 1 */
    const char *force_url;  /* NULL: what the certificate says */
    int responder_timeout, standard_timeout, error_timeout, time_skew, max_age;
};

struct ssl_server_conf {
    int engine; /* UNSET, 0, 1 */
    struct ssl_text engine_at;
    apr_array_header_t *certificates; /* struct ssl_text: one a key type */
    apr_array_header_t *keys;         /* struct ssl_text: in the same order; may be fewer */
    int policy;                       /* UNSET or an index */
    int protocols;                    /* UNSET or a set of enum ssl_protocol */
    struct ssl_text protocols_at;
    const char *ciphers;   /* TLS 1.2 and below; NULL: the policy's */
    const char *ciphers13; /* NULL: OpenSSL's */
    int honor_cipher_order;
    int session_tickets;
    apr_array_header_t *ticket_key_files; /* struct ssl_text: the first one encrypts */
    struct ssl_text ca_file;
    int verify; /* UNSET or enum ssl_verify */
    struct ssl_text verify_at;
    int verify_depth;
    struct ssl_stapling stapling;
    struct tls_context *context; /* made by tls_app_create(); NULL: no TLS of its own */
};

static inline struct ssl_server_conf *ssl_server_conf(const ins_server *s)
{
    return (struct ssl_server_conf *)s->module_config[ssl_module.index];
}

extern const char ssl_default_ciphers[], ssl_groups[];

/* What a server speaks (policy.c). */
struct ssl_policy {
    const char *name;
    int protocols;
    const char *ciphers;
    bool honor_order;
};

const char *ssl_set_policy(ins_cmd *cmd, void *conf, const char *arg);
/* With what the server's own directives change of it. */
struct ssl_policy ssl_policy_of(const struct ssl_server_conf *conf);

/* The private key of a certificate: given in the same order, else in the certificate's file. */
static inline const struct ssl_text *key_of(const struct ssl_server_conf *conf, int index)
{
    const apr_array_header_t *list = index < conf->keys->nelts ? conf->keys : conf->certificates;

    return &APR_ARRAY_IDX(list, index, struct ssl_text);
}

/* ---- Contexts (context.c, certificate.c) -------------------------------- */

enum { TLS_DIGEST = 32 };

struct ticket_key {
    struct ticket_secret secret;
    unsigned aes_len, hmac_len;
};

enum { TICKET_FILES_MAX = 8 };

/* Of SSLSessionTicketKeyFile; in memory of util/secret.h. */
struct ticket_files {
    int count;
    struct ticket_key keys[TICKET_FILES_MAX];
};

/* Shared by all servers with the same settings. */
struct tls_context {
    SSL_CTX *ctx; /* replaced when certificates are renewed; connections keep theirs */
    const struct ssl_server_conf *conf; /* what it was made of */
    struct ssl_text at;
    unsigned char digest[TLS_DIGEST]; /* of its files' bytes */
    const char *identity;             /* all that goes into it, as text: equal text, same context */
    const char *policy;               /* what matters for tls_server_compatible() */
    enum ssl_verify verify;
    int verify_depth;
    unsigned stapled;                  /* certificates that an OCSP response is fetched for */
    struct ticket_files *ticket_files; /* NULL: the ring's keys */
    const struct ticket_ring *ticket_ring;
};

struct tls_app {
    apr_pool_t *pool;
    const char *server_root;
    apr_array_header_t *contexts; /* struct tls_context * */
    struct tls_shared shared;
    BIO_METHOD *bio_method;
    const struct bundle *bundle; /* read from here; NULL: from disk */
    EVP_MD_CTX *hash;            /* of all that is read; NULL: of nothing */
};

static inline struct tls_context *tls_context_of(const SSL_CTX *ctx)
{
    return (struct tls_context *)SSL_CTX_get_app_data(ctx);
}

/* An error at a setting; OpenSSL's reason is put behind the words where reason
 * is true, and its queue cleared. */
__attribute__((format(printf, 4, 5))) void tls_diag(struct diags *diags, const struct ssl_text *at,
                                                    bool reason, const char *format, ...);
/* The last reason in OpenSSL's queue, which is cleared. Static. */
const char *tls_take_reason(void);
/* ServerRoot-relative. */
const char *tls_path(const struct tls_app *app, const char *path, apr_pool_t *pool);

/* ---- Files (files.c) ---- */

/* 0 or errno. */
int tls_file_read(struct tls_app *app, const char *path, struct secret *out);

struct tls_file {
    const char *path; /* in the diagnostics' pool */
    struct secret bytes;
    BIO *bio;
};

/* what: "private key", for the message. False where an error was reported. */
bool tls_file_open(struct tls_app *app, struct tls_file *file, const char *what,
                   const struct ssl_text *at, struct diags *diags);
void tls_file_close(struct tls_file *file);
/* After the last PEM object of a kind was read: was it the end, and not a broken one? */
bool tls_pem_ended(void);
/* Between them every file that is read is hashed. */
bool tls_hash_begin(struct tls_app *app);
bool tls_hash_end(struct tls_app *app, unsigned char digest[TLS_DIGEST]);
/* The hash of what a context of these settings would read. */
bool tls_files_hash(struct tls_app *app, const struct ssl_server_conf *conf,
                    unsigned char digest[TLS_DIGEST], apr_pool_t *pool);

/* ---- */

/* Certificates and keys into context->ctx. False where an error was reported. */
bool certificates_load(struct tls_app *app, struct tls_context *context, struct diags *diags);
/* Stapling (staple.c) to the certificate that was just put into context->ctx, where it is wanted.
 * False when out of memory. */
bool staple_set_up(struct tls_app *app, struct tls_context *context, const struct ssl_text *at,
                   const char *path, struct diags *diags);
int staple_callback(SSL *ssl, void *board);
/* OpenSSL's context for into->conf, with the files' digest; owner is what connections find
 * by it. False where an error was reported; nothing is kept then. */
bool context_build(struct tls_app *app, struct tls_context *into, struct tls_context *owner,
                   struct diags *diags);
/* What context_build() has made. */
void context_empty(struct tls_context *context);
/* Whom to ask for a client certificate and whom to believe. */
bool verify_setup(struct tls_app *app, struct tls_context *context,
                  const struct ssl_server_conf *conf, struct diags *diags);
/* Chooses the server by SNI, as the ClientHello comes, before anything is decided. */
int sni_client_hello(SSL *ssl, int *alert, void *unused);
int sni_acknowledge(SSL *ssl, int *alert, void *unused);

/* ---- Session tickets (tickets.c) ---------------------------------------- */

/* The server's key files; NULL where an error was reported. */
struct ticket_files *tickets_read(struct tls_app *app, const apr_array_header_t *files,
                                  struct diags *diags);
void tickets_free(struct ticket_files *files);
int tickets_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt);

/* ---- Whole records (records.c) ------------------------------------------ */

enum { RECORD_HEADER = 5, RECORD_MAX = RECORD_HEADER + 16384 + 320 };

/* Input from the wire. Bytes [pos, whole) may go to OpenSSL. */
struct records {
    unsigned char *data; /* NULL where nothing is kept */
    unsigned pos, whole, len, cap;
    bool broken; /* what follows is no record: everything may go, to fail there */
};

/* False when out of memory or beyond any bound. */
bool records_add(struct records *r, const void *raw, size_t len);
/* For OpenSSL: up to size bytes; 0 when no whole record is left. */
size_t records_take(struct records *r, void *buf, size_t size);
/* The first whole record, where it lies, and its length; NULL when none is left. */
unsigned char *records_first(struct records *r, size_t *len);
/* Done with so many bytes from the front. */
void records_skip(struct records *r, size_t len);
/* All whole records are taken: keep what is left in a buffer of its size. */
void records_settle(struct records *r);
void records_free(struct records *r);

/* ---- Connections (conn.c, bio.c) ----------------------------------------- */

/* Output for the wire: [pos, len) of data; freed when empty. */
struct tls_out {
    char *data;
    size_t pos, len, cap;
};

/* What is known of a connection beside its bytes, for variables and for a move. Strings and
 * bytes are the connection's. */
struct tls_facts {
    const char *protocol, *cipher; /* NULL: none yet */
    int bits, all_bits;            /* of the cipher: used, and what it could */
    const char *sni;               /* NULL: none was sent */
    const unsigned char *session_id;
    unsigned session_id_len;
    bool resumed, secure_renegotiation;
    bool forgives;      /* an unknown CA: SSLVerifyClient optional_no_ca */
    long verify_result; /* X509_V_... */
};

/* Who does the work: an OpenSSL session (session.c), or a session that began in another process
 * (taken.c). Contracts are those of the functions in tls.h. */
struct tls_back {
    int (*read)(struct tls_conn *t, void *buf, size_t size);
    enum tls_result (*write)(struct tls_conn *t, const void *data, size_t len);
    void (*shutdown)(struct tls_conn *t);
    /* All output is gone: an answer to the client's KeyUpdate that is still owed may follow. Not
     * before, or one that does not read could make us keep more and more of them. */
    void (*settle)(struct tls_conn *t);
    bool (*established)(const struct tls_conn *t);
    bool (*resumed)(const struct tls_conn *t);
    void (*facts)(const struct tls_conn *t, struct tls_facts *facts);
    /* The client's certificate or ours; the caller's to free. NULL none. */
    X509 *(*certificate)(const struct tls_conn *t, bool client);
    /* The same as bytes: their number, and where der is not NULL the bytes. 0 none. */
    size_t (*certificate_der)(const struct tls_conn *t, bool client, unsigned char *der);
    /* For a move (moving.c): NULL where the session is none of TLS 1.3. limit: bytes in a record,
     * as negotiated. */
    const struct tls13_suite *(*suite)(const struct tls_conn *t, unsigned *limit);
    /* Nothing is half done: no handshake, no message, no answer owed. */
    bool (*at_rest)(const struct tls_conn *t);
    /* What was asked of the client. */
    void (*demands)(const struct tls_conn *t, unsigned char digest[TLS_DIGEST]);
    void (*close)(struct tls_conn *t);
};

enum tls_direction { TLS_RECEIVES, TLS_SENDS, TLS_DIRECTIONS };

struct tls_conn {
    const struct tls_back *back;
    SSL *ssl;            /* of session.c */
    struct taken *taken; /* of taken.c */
    const struct host_table *hosts;
    ins_server *server;
    struct records in;
    struct tls_out out;
    const char *error;
    /* TLS 1.3: the secrets in use and how many records each has seen */
    struct tls13_keys traffic[TLS_DIRECTIONS];
    bool split_message; /* the latest handshake message has not come whole yet */
    bool began, plain_http, failed, closing;
    bool told; /* by tls_handshake_news() */
};

bool out_reserve(struct tls_out *out, size_t more);
BIO_METHOD *bio_method_create(void);
/* Notes the failure's words (static) and wants no more: TLS_FAILED. */
int tls_fail(struct tls_conn *t, const char *words);

/* ---- Session by OpenSSL (session.c), watched for a later move (traffic.c) ---- */

extern const struct tls_back session_back;

/* False when out of memory. */
bool session_start(struct tls_app *app, struct tls_conn *t, SSL_CTX *ctx);
void traffic_key_log(const SSL *ssl, const char *line);
void traffic_message(int sent, int version, int type, const void *buf, size_t len, SSL *ssl,
                     void *unused);

/* ---- Session that began elsewhere (taken.c) ------------------------------ */

extern const struct tls_back taken_back;

struct taken_parts {
    const struct tls13_suite *suite;
    const struct tls_context *context;
    unsigned limit;
    bool resumed, secure_renegotiation;
    long verify_result;
    const unsigned char *demands;                      /* TLS_DIGEST of them */
    const char *sni;                                   /* sni_len 0: none; as all here, copied */
    const unsigned char *session_id, *client, *server; /* certificates in DER */
    size_t sni_len, session_id_len, client_len, server_len;
};

/* t->traffic has the secrets and sequences. False: out of memory. */
bool taken_start(struct tls_conn *t, const struct taken_parts *parts);

/* ---- Moving (moving.c) ---- */

/* A digest of what a context asks of a client and whom it believes; all 0 where nothing. */
void tls_demands(SSL_CTX *ctx, unsigned char digest[TLS_DIGEST]);

#endif
