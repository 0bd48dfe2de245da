/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS by OpenSSL, without I/O of its own. The input side feeds OpenSSL whole
 * records only, the output side is a BIO that accepts everything, so that a
 * connection's state is always plain: no counted record ever waits inside
 * OpenSSL. The worker moves the bytes.
 *
 * A connection is used by one thread at a time, any thread.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>
#include <apr_tables.h>

#include "http/http_app.h"
#include "instar.h"
#include "util/diag.h"
#include "util/staple_board.h"
#include "util/ticket_ring.h"

struct tls_app;
struct tls_conn;

extern ins_module ssl_module; /* the SSL* directives */

/* What all generations share, made by the master. */
struct tls_shared {
    const struct ticket_ring *tickets; /* never NULL */
    struct staple_board *staples;      /* NULL: nothing is stapled */
};

/* Reads certificates and keys, makes a context for each distinct policy. Called while still
 * root, after the servers' configs are merged. listens: struct conf_listen, as the config has
 * them (a configtest opens none). Relative paths are below server_root. NULL where no server
 * has SSLEngine On and no address is https; errors (a missing certificate: stage start) to
 * diags. */
struct tls_app *tls_app_create(ins_server *servers, const apr_array_header_t *listens,
                               const char *server_root, const struct tls_shared *shared,
                               struct diags *diags, apr_pool_t *pool);
/* Is this connection TLS: by the default server behind its address (SSLEngine On, or not said
 * and the listener is https). app may be NULL. */
bool tls_wanted(const struct tls_app *app, const struct host_table *hosts, bool https);
/* Once in each worker. app may be NULL. */
void tls_worker_init(struct tls_app *app);

/* Takes renewed certificates and keys from a bundle of files (util/bundle.h; the descriptor
 * stays the caller's), for new connections alone: begin, step until it says false, end. Where
 * anything is wrong with them nothing changes. All by the thread that calls tls_open(); connections
 * may be opened between the steps. diags and its pool live until the end. */
struct tls_renewing;
struct tls_renewal {
    unsigned renewed, unchanged; /* sets of settings with files of their own */
};
/* NULL with an error in diags. */
struct tls_renewing *tls_renew_begin(struct tls_app *app, int bundle_fd, struct diags *diags);
/* A step makes one context at most, some milliseconds. */
bool tls_renew_step(struct tls_renewing *renewing);
/* False where nothing has changed: errors in diags, or ended before the last step. */
bool tls_renew_end(struct tls_renewing *renewing, struct tls_renewal *renewal);

/* Does any server want OCSP responses? Then a process is to be forked for tls_staple_run(), and
 * again where tls_renew() has renewed something. */
bool tls_staples(const struct tls_app *app);
/* Fetches them, in a process of its own; ends with it. */
void tls_staple_run(struct tls_app *app) __attribute__((noreturn));

/* NULL when out of memory or where the default server has no certificate (logged).
 * hosts chooses the context by SNI; it outlives the connection. */
struct tls_conn *tls_open(struct tls_app *app, const struct host_table *hosts);
void tls_close(struct tls_conn *t);

enum tls_result { TLS_OK = 0, TLS_WANT_INPUT = -1, TLS_EOF = -2, TLS_FAILED = -3 };

/* Bytes from the wire; all are taken (a partial record is kept, at most one, once tls_read()
 * has said TLS_WANT_INPUT). TLS_OK, also where what came is no TLS record: tls_read() then
 * fails, with an alert in the output. TLS_FAILED: out of memory, or plain HTTP. */
enum tls_result tls_feed(struct tls_conn *t, const void *raw, size_t len);
/* Decrypted bytes: > 0 that many; TLS_WANT_INPUT; TLS_EOF after close_notify;
 * TLS_FAILED (an alert may be in the output). Drives the handshake. Call until
 * TLS_WANT_INPUT: nothing may be left inside OpenSSL. */
int tls_read(struct tls_conn *t, void *buf, size_t size);
/* For counters: how the handshake ended, told once; TLS_NEWS_NONE until then and from then on.
 * closing: the connection ends now, and so does a handshake that has begun. */
enum tls_news { TLS_NEWS_NONE, TLS_NEWS_FULL, TLS_NEWS_RESUMED, TLS_NEWS_FAILED };
enum tls_news tls_handshake_news(struct tls_conn *t, bool closing);
/* Encrypts; takes everything. TLS_OK or TLS_FAILED. Only once established. */
enum tls_result tls_write(struct tls_conn *t, const void *data, size_t len);
/* Bytes for the wire: a contiguous run; len 0 when none. consume after sending; the buffer
 * goes when it is empty. The run is valid until the next call with t. */
const char *tls_output(struct tls_conn *t, size_t *len);
void tls_consume(struct tls_conn *t, size_t len);
/* Queue close_notify. Idempotent. */
void tls_shutdown(struct tls_conn *t);

bool tls_established(const struct tls_conn *t);
/* Handshake bytes have begun with plain HTTP: answer 400 in plain text. */
bool tls_is_plain_http(const struct tls_conn *t);
ins_server *tls_server(const struct tls_conn *t); /* chosen by SNI, else the default */
/* May a request for this server come over a connection whose SNI chose another (else 421)?
 * Only where both ask the same of a client and show the same certificate. */
bool tls_server_compatible(const ins_server *a, const ins_server *b);
/* For %{...}x, SSL_* variables: "TLSv1.3", "TLS_AES_256_GCM_SHA384", client DN ... in pool; NULL
 * unknown. */
const char *tls_variable(struct tls_conn *t, const char *name, apr_pool_t *pool);
/* A TLS 1.3 connection at rest can go on in another process: with its secrets and sequences, with
 * what came of a record that is not whole, and with what is known of its client. */

/* Is it one of those that can move whenever they are at rest? */
bool tls_can_move(const struct tls_conn *t);
/* The bytes that tls_freeze() writes; 0 where something is half done just now. */
size_t tls_frozen_size(const struct tls_conn *t);
/* The connection itself stays as it is, and can go on here if nobody takes it. The bytes are
 * secret: wipe them (tls_wipe()). */
void tls_freeze(const struct tls_conn *t, void *frozen);
/* From another process's bytes. NULL where they are not sound, or the connection would not have
 * come about here: its server is gone, asks something else of its clients, or speaks neither TLS
 * 1.3 nor its cipher suite any more. */
struct tls_conn *tls_thaw(const struct host_table *hosts, const void *frozen, size_t len);
void tls_wipe(void *secret, size_t len);

/* Last failure's words, for the log: static. */
const char *tls_error(const struct tls_conn *t);

#endif
