/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One OpenSSL context for each distinct set of settings, made before the
 * workers are forked: a thousand virtual hosts with one certificate share one,
 * and nothing is left to be done when a connection comes.
 */
#include "tls/tls_internal.h"

#include <stdarg.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#include "config/conf.h"
#include "config/paths.h"
#include "util/log.h"

enum {
    SESSION_SECONDS = 3600,
    TICKETS_EACH = 1 /* a second one a handshake costs time and is seldom used */
};

void tls_diag(struct diags *diags, const struct ssl_text *at, bool reason, const char *format, ...)
{
    va_list args;
    char *words;

    va_start(args, format);
    words = apr_pvsprintf(diags->pool, format, args);
    va_end(args);
    if (reason) {
        words = apr_pstrcat(diags->pool, words, " (OpenSSL: ", tls_take_reason(), ")", NULL);
    }
    diags_add(diags, DIAG_START, DIAG_ERROR, at->file, at->line, 0, "%s", words);
}

const char *tls_take_reason(void)
{
    const char *words = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return words ? words : "no reason given";
}

const char *tls_path(const struct tls_app *app, const char *path, apr_pool_t *pool)
{
    return path_under(app->server_root, path, pool);
}

static const char *texts(const apr_array_header_t *list, apr_pool_t *pool)
{
    const struct ssl_text *text = (const void *)list->elts;
    const char *all = "";

    for (int i = 0; i < list->nelts; i++) {
        all = apr_pstrcat(pool, all, text[i].value, "\n", NULL);
    }
    return all;
}

static const char *policy_of(const struct ssl_server_conf *c, apr_pool_t *pool)
{
    const struct ssl_policy policy = ssl_policy_of(c);

    return apr_psprintf(pool, "%s|%s|%d|%s|%s|%s|%d|%d", texts(c->certificates, pool),
                        texts(c->keys, pool), policy.protocols, policy.ciphers,
                        c->ciphers13 ? c->ciphers13 : "", c->ca_file.value ? c->ca_file.value : "",
                        c->verify, c->verify_depth);
}

static const char *identity_of(const struct ssl_server_conf *c, const char *policy,
                               apr_pool_t *pool)
{
    const struct ssl_stapling *s = &c->stapling;
    const char *stapling = apr_psprintf(
        pool, "%d %d %s %d %d %d %d %d", s->use, s->return_errors, s->force_url ? s->force_url : "",
        s->responder_timeout, s->standard_timeout, s->error_timeout, s->time_skew, s->max_age);

    return apr_psprintf(pool, "%s|%d|%d|%s|%s", policy, ssl_policy_of(c).honor_order,
                        c->session_tickets, texts(c->ticket_key_files, pool), stapling);
}

static const struct {
    enum ssl_protocol bit;
    int version;
    uint64_t off;
} protocols[] = {
    { PROTOCOL_SSL3, SSL3_VERSION, SSL_OP_NO_SSLv3 },
    { PROTOCOL_TLS1, TLS1_VERSION, SSL_OP_NO_TLSv1 },
    { PROTOCOL_TLS1_1, TLS1_1_VERSION, SSL_OP_NO_TLSv1_1 },
    { PROTOCOL_TLS1_2, TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
    { PROTOCOL_TLS1_3, TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 },
};

/* The range by its ends, and what is missing inside it by options. */
static bool set_protocols(SSL_CTX *ctx, int wanted)
{
    int first = 0, last = 0;

    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (wanted & (int)protocols[i].bit) {
            first = first ? first : protocols[i].version;
            last = protocols[i].version;
        }
        else {
            (void)SSL_CTX_set_options(ctx, protocols[i].off);
        }
    }
    return first != 0 && SSL_CTX_set_min_proto_version(ctx, first) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, last) == 1;
}

/* RFC 7301: a client that names protocols, none of them ours, is refused. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *unused)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
    unsigned char *chosen;

    (void)ssl;
    (void)unused;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void set_behaviour(SSL_CTX *ctx, const struct ssl_server_conf *conf)
{
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_ANTI_REPLAY |
                       SSL_OP_SINGLE_ECDH_USE | SSL_OP_SINGLE_DH_USE;

    if (ssl_policy_of(conf).honor_order) {
        options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    }
    if (conf->session_tickets == 0) {
        options |= SSL_OP_NO_TICKET;
    }
    (void)SSL_CTX_set_options(ctx, options);
    /* NO_AUTO_CHAIN: the file is the chain; looking for one costs each handshake. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    (void)SSL_CTX_set_num_tickets(ctx, conf->session_tickets == 0 ? 0 : TICKETS_EACH);
    (void)SSL_CTX_set_max_early_data(ctx, 0);
    (void)SSL_CTX_set_dh_auto(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_client_hello_cb(ctx, sni_client_hello, NULL);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, sni_acknowledge);
    (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tickets_callback);
    SSL_CTX_set_keylog_callback(ctx, traffic_key_log);
    SSL_CTX_set_msg_callback(ctx, traffic_message);
}

/* A ticket is good only where everything is asked of its client that is asked here. */
static bool set_session_id(SSL_CTX *ctx, const char *policy)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)policy, strlen(policy), digest);
    return SSL_CTX_set_session_id_context(ctx, digest, sizeof(digest)) == 1;
}

static bool set_ciphers(SSL_CTX *ctx, const struct ssl_server_conf *conf)
{
    return SSL_CTX_set_cipher_list(ctx, ssl_policy_of(conf).ciphers) == 1 &&
           SSL_CTX_set1_groups_list(ctx, ssl_groups) == 1 &&
           (!conf->ciphers13 || SSL_CTX_set_ciphersuites(ctx, conf->ciphers13) == 1);
}

static bool context_fill(struct tls_app *app, struct tls_context *context, struct diags *diags)
{
    const struct ssl_server_conf *conf = context->conf;
    SSL_CTX *ctx = context->ctx;

    set_behaviour(ctx, conf);
    if (!set_protocols(ctx, ssl_policy_of(conf).protocols)) {
        tls_diag(diags, conf->protocols_at.file ? &conf->protocols_at : &context->at, true,
                 "SSLProtocol leaves no protocol to speak");
        return false;
    }
    if (!set_ciphers(ctx, conf) || !set_session_id(ctx, context->policy)) {
        tls_diag(diags, &context->at, true, "the SSL settings cannot be used");
        return false;
    }
    if (conf->stapling.use == 1 && app->shared.staples) {
        (void)SSL_CTX_set_tlsext_status_cb(ctx, staple_callback);
        (void)SSL_CTX_set_tlsext_status_arg(ctx, app->shared.staples);
    }
    context->ticket_ring = app->shared.tickets;
    if (conf->ticket_key_files->nelts > 0) {
        context->ticket_files = tickets_read(app, conf->ticket_key_files, diags);
        if (!context->ticket_files) {
            return false;
        }
    }
    return verify_setup(app, context, conf, diags) && certificates_load(app, context, diags);
}

bool context_build(struct tls_app *app, struct tls_context *into, struct tls_context *owner,
                   struct diags *diags)
{
    bool ok;

    into->ticket_files = NULL;
    into->stapled = 0;
    into->ctx = SSL_CTX_new(TLS_server_method());
    if (!into->ctx || !tls_hash_begin(app)) {
        tls_diag(diags, &into->at, true, "OpenSSL cannot be set up");
        (void)tls_hash_end(app, into->digest);
        context_empty(into);
        return false;
    }
    SSL_CTX_set_app_data(into->ctx, owner);
    ok = context_fill(app, into, diags);
    ok = tls_hash_end(app, into->digest) && ok;
    if (!ok) {
        context_empty(into);
    }
    return ok;
}

void context_empty(struct tls_context *context)
{
    SSL_CTX_free(context->ctx);
    tickets_free(context->ticket_files);
    context->ctx = NULL;
    context->ticket_files = NULL;
}

static apr_status_t context_free(void *context)
{
    context_empty(context);
    return APR_SUCCESS;
}

static struct tls_context *context_find(const struct tls_app *app, const char *identity)
{
    for (int i = 0; i < app->contexts->nelts; i++) {
        struct tls_context *context = APR_ARRAY_IDX(app->contexts, i, struct tls_context *);

        if (strcmp(context->identity, identity) == 0) {
            return context;
        }
    }
    return NULL;
}

static struct tls_context *context_make(struct tls_app *app, const struct ssl_server_conf *conf,
                                        const struct ssl_text *at, struct diags *diags)
{
    const char *policy = policy_of(conf, app->pool);
    const char *identity = identity_of(conf, policy, app->pool);
    struct tls_context *context = context_find(app, identity);

    if (context) {
        return context;
    }
    context = apr_pcalloc(app->pool, sizeof(*context));
    context->policy = policy;
    context->identity = identity;
    context->conf = conf;
    context->at = *at;
    apr_pool_cleanup_register(app->pool, context, context_free, apr_pool_cleanup_null);
    (void)context_build(app, context, context, diags);
    APR_ARRAY_PUSH(app->contexts, struct tls_context *) = context;
    return context;
}

/* The first "Listen ... https"; NULL none. */
static const struct conf_listen *https_listen(const apr_array_header_t *listens)
{
    for (int i = 0; i < listens->nelts; i++) {
        const struct conf_listen *listen = &APR_ARRAY_IDX(listens, i, struct conf_listen);

        if (listen->https) {
            return listen;
        }
    }
    return NULL;
}

/* Where to report what no directive of the server's own is to blame for. */
static struct ssl_text place_of(const ins_server *s, const struct ssl_server_conf *conf)
{
    struct ssl_text at = conf->engine_at;

    if (!at.file) {
        at.file = s->defn_name;
        at.line = s->defn_line_number;
    }
    return at;
}

static void server_setup(struct tls_app *app, ins_server *s, struct diags *diags)
{
    struct ssl_server_conf *conf = ssl_server_conf(s);
    struct ssl_text at = place_of(s, conf);

    conf->context = NULL;
    if (conf->engine == 0) {
        return;
    }
    if (conf->certificates->nelts > 0) {
        conf->context = context_make(app, conf, &at, diags);
    }
    else if (conf->engine == 1) {
        tls_diag(diags, &at, false, "SSLEngine is On for %s, but it has no SSLCertificateFile",
                 s->server_hostname ? s->server_hostname : "this server");
    }
}

static apr_status_t method_free(void *method)
{
    BIO_meth_free(method);
    return APR_SUCCESS;
}

static bool app_init(struct tls_app *app, const struct ssl_text *nowhere, struct diags *diags)
{
    app->contexts = apr_array_make(app->pool, 4, sizeof(struct tls_context *));
    app->bio_method = bio_method_create();
    if (!app->bio_method) {
        tls_diag(diags, nowhere, true, "OpenSSL cannot be set up");
        return false;
    }
    apr_pool_cleanup_register(app->pool, app->bio_method, method_free, apr_pool_cleanup_null);
    return true;
}

struct tls_app *tls_app_create(ins_server *servers, const apr_array_header_t *listens,
                               const char *server_root, const struct tls_shared *shared,
                               struct diags *diags, apr_pool_t *pool)
{
    const struct conf_listen *https = https_listen(listens);
    bool wanted = https != NULL;
    struct ssl_text nowhere = { NULL, NULL, 0 };
    unsigned errors = diags->errors;
    struct tls_app *app;

    for (ins_server *s = servers; s; s = s->next) {
        wanted = wanted || ssl_server_conf(s)->engine == 1;
    }
    if (!wanted) {
        return NULL;
    }
    app = apr_pcalloc(pool, sizeof(*app));
    app->pool = pool;
    app->server_root = server_root;
    app->shared = *shared;
    if (!app_init(app, &nowhere, diags)) {
        return NULL;
    }
    for (ins_server *s = servers; s; s = s->next) {
        server_setup(app, s, diags);
    }
    if (https && app->contexts->nelts == 0 && diags->errors == errors) {
        conf_report(diags, DIAG_START, DIAG_ERROR, https->node, 0,
                    "Listen ... https needs a certificate: no server has SSLCertificateFile");
    }
    return diags->errors == errors ? app : NULL;
}

bool tls_wanted(const struct tls_app *app, const struct host_table *hosts, bool https)
{
    int engine;

    if (!app) {
        return false;
    }
    engine = ssl_server_conf(http_find_server(hosts, NULL, 0))->engine;
    return engine == 1 || (engine == UNSET && https);
}

bool tls_server_compatible(const ins_server *a, const ins_server *b)
{
    const struct tls_context *first = ssl_server_conf(a)->context;
    const struct tls_context *second = ssl_server_conf(b)->context;

    if (a == b || first == second) {
        return true;
    }
    return first && second && strcmp(first->policy, second->policy) == 0;
}
