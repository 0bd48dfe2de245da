/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS 1.3 connection as bytes, for another process of the same server. What comes in is
 * another process's word and perhaps another release's: nothing is believed before its version,
 * size and lengths are checked, and the server is looked up anew.
 */
#include "tls/tls_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/sha.h>

#include "util/log.h"

/* A release reads its own version and the one before. */
enum { FROZEN_VERSION = 1, LIMIT_MIN = 64, SNI_MAX = 255 };

struct frozen_direction {
    uint64_t sequence;
    unsigned char secret[TLS13_SECRET_MAX];
};

/* In front of the strings, in this order: the server's name, SNI, the client's certificate, ours,
 * the input that is no whole record yet. */
struct frozen {
    uint16_t version, size; /* of this */
    uint16_t suite, limit;
    uint8_t secret_len, resumed, secure_renegotiation, session_id_len;
    int32_t verify_result;
    struct frozen_direction direction[TLS_DIRECTIONS];
    unsigned char session_id[SSL_MAX_SSL_SESSION_ID_LENGTH];
    unsigned char demands[TLS_DIGEST];
    uint32_t server_name_len, sni_len, client_len, server_len, input_len;
};

/* ---- What is asked of a client ------------------------------------------- */

/* The sum of all certificates' digests: their order in the store says nothing. */
static bool add_authorities(SSL_CTX *ctx, unsigned char sum[SHA256_DIGEST_LENGTH])
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    unsigned char one[SHA256_DIGEST_LENGTH];

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (certificate && X509_digest(certificate, EVP_sha256(), one, NULL) != 1) {
            return false;
        }
        for (int k = 0; certificate && k < SHA256_DIGEST_LENGTH; k++) {
            sum[k] = (unsigned char)(sum[k] + one[k]);
        }
    }
    return true;
}

void tls_demands(SSL_CTX *ctx, unsigned char digest[TLS_DIGEST])
{
    const struct tls_context *context = tls_context_of(ctx);
    struct {
        int32_t verify, depth;
        unsigned char authorities[SHA256_DIGEST_LENGTH];
    } all = { .verify = (int32_t)context->verify, .depth = context->verify_depth };

    memset(digest, 0, TLS_DIGEST);
    if (context->verify == VERIFY_NONE) {
        return;
    }
    if (!add_authorities(ctx, all.authorities)) {
        memset(all.authorities, 0, sizeof(all.authorities));
    }
    SHA256((const unsigned char *)&all, sizeof(all), digest);
}

/* ---- Freezing ------------------------------------------------------------ */

bool tls_can_move(const struct tls_conn *t)
{
    unsigned limit;
    const struct tls13_suite *suite = t->back->suite(t, &limit);

    return tls_established(t) && !t->closing && suite &&
           t->traffic[TLS_RECEIVES].secret_len == suite->secret_len &&
           t->traffic[TLS_SENDS].secret_len == suite->secret_len;
}

static const char *server_name(const ins_server *server)
{
    return server->server_hostname ? server->server_hostname : "";
}

size_t tls_frozen_size(const struct tls_conn *t)
{
    struct tls_facts facts;

    if (!tls_can_move(t) || t->out.len > 0 || !t->back->at_rest(t)) {
        return 0;
    }
    t->back->facts(t, &facts);
    return sizeof(struct frozen) + strlen(server_name(t->server)) +
           (facts.sni ? strlen(facts.sni) : 0) + t->back->certificate_der(t, true, NULL) +
           t->back->certificate_der(t, false, NULL) + (t->in.len - t->in.pos);
}

static void freeze_head(const struct tls_conn *t, const struct tls_facts *facts, struct frozen *f)
{
    unsigned limit;
    const struct tls13_suite *suite = t->back->suite(t, &limit);

    memset(f, 0, sizeof(*f));
    f->version = FROZEN_VERSION;
    f->size = sizeof(*f);
    f->suite = suite->id;
    f->limit = (uint16_t)limit;
    f->secret_len = suite->secret_len;
    f->resumed = facts->resumed;
    f->secure_renegotiation = facts->secure_renegotiation;
    f->verify_result = (int32_t)facts->verify_result;
    for (int i = 0; i < TLS_DIRECTIONS; i++) {
        f->direction[i].sequence = t->traffic[i].sequence;
        memcpy(f->direction[i].secret, t->traffic[i].secret, suite->secret_len);
    }
    f->session_id_len = (uint8_t)facts->session_id_len;
    memcpy(f->session_id, facts->session_id ? facts->session_id : f->session_id,
           facts->session_id_len);
    t->back->demands(t, f->demands);
    f->server_name_len = (uint32_t)strlen(server_name(t->server));
    f->sni_len = facts->sni ? (uint32_t)strlen(facts->sni) : 0;
    f->client_len = (uint32_t)t->back->certificate_der(t, true, NULL);
    f->server_len = (uint32_t)t->back->certificate_der(t, false, NULL);
    f->input_len = t->in.len - t->in.pos;
}

static unsigned char *append(unsigned char *end, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(end, data, len);
    }
    return end + len;
}

void tls_freeze(const struct tls_conn *t, void *frozen)
{
    struct tls_facts facts;
    struct frozen f;
    unsigned char *end = frozen;

    t->back->facts(t, &facts);
    freeze_head(t, &facts, &f);
    end = append(end, &f, sizeof(f));
    end = append(end, server_name(t->server), f.server_name_len);
    end = append(end, facts.sni, f.sni_len);
    end += t->back->certificate_der(t, true, end);
    end += t->back->certificate_der(t, false, end);
    if (f.input_len > 0) {
        (void)append(end, t->in.data + t->in.pos, f.input_len);
    }
    OPENSSL_cleanse(&f, sizeof(f));
}

void tls_wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
}

/* ---- Thawing ------------------------------------------------------------- */

static bool is_sound(const struct frozen *f, size_t len, const struct tls13_suite *suite)
{
    uint64_t strings =
        (uint64_t)f->server_name_len + f->sni_len + f->client_len + f->server_len + f->input_len;

    return f->version == FROZEN_VERSION && f->size == sizeof(*f) && suite &&
           f->secret_len == suite->secret_len && f->limit >= LIMIT_MIN &&
           f->limit <= TLS13_PLAIN_MAX && f->session_id_len <= sizeof(f->session_id) &&
           f->sni_len <= SNI_MAX && f->input_len <= RECORD_MAX && len == sizeof(*f) + strings;
}

/* The server that the client would get today, if it is the one that it has. */
static ins_server *find_server(const struct host_table *hosts, const struct frozen *f,
                               const char *strings)
{
    const char *sni = strings + f->server_name_len;
    ins_server *server = http_find_server(hosts, f->sni_len > 0 ? sni : NULL, f->sni_len);
    const char *name = server_name(server);

    if (strlen(name) != f->server_name_len || strncasecmp(name, strings, f->server_name_len) != 0) {
        return NULL;
    }
    return server;
}

static bool offers_suite(SSL_CTX *ctx, const struct tls13_suite *suite)
{
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);

    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        if (SSL_CIPHER_get_protocol_id(sk_SSL_CIPHER_value(ciphers, i)) == suite->id) {
            return true;
        }
    }
    return false;
}

/* Would the connection have come about here as it is? NULL, or why not. */
static const char *objection(const struct tls_context *context, const struct frozen *f,
                             const struct tls13_suite *suite)
{
    unsigned char demands[TLS_DIGEST];

    if (!context) {
        return "its server is gone, or another one has its name";
    }
    tls_demands(context->ctx, demands);
    if (memcmp(demands, f->demands, sizeof(demands)) != 0) {
        return "its server asks other things of its clients";
    }
    if ((ssl_policy_of(context->conf).protocols & PROTOCOL_TLS1_3) == 0) {
        return "its server does not speak TLS 1.3";
    }
    return offers_suite(context->ctx, suite) ? NULL : "its server does not use its cipher suite";
}

/* As sni.c chooses: a server without a context of its own uses the default server's. */
static const struct tls_context *context_for(const struct host_table *hosts,
                                             const ins_server *server)
{
    const struct tls_context *own = ssl_server_conf(server)->context;

    return own ? own : ssl_server_conf(http_find_server(hosts, NULL, 0))->context;
}

static bool start(struct tls_conn *t, const struct tls_context *context, const struct frozen *f,
                  const struct tls13_suite *suite, const unsigned char *strings)
{
    const unsigned char *sni = strings + f->server_name_len;
    const struct taken_parts parts = {
        .suite = suite,
        .context = context,
        .limit = f->limit,
        .resumed = f->resumed != 0,
        .secure_renegotiation = f->secure_renegotiation != 0,
        .verify_result = f->verify_result,
        .demands = f->demands,
        .sni = (const char *)sni,
        .sni_len = f->sni_len,
        .session_id = f->session_id,
        .session_id_len = f->session_id_len,
        .client = sni + f->sni_len,
        .client_len = f->client_len,
        .server = sni + f->sni_len + f->client_len,
        .server_len = f->server_len,
    };

    for (int i = 0; i < TLS_DIRECTIONS; i++) {
        t->traffic[i].secret_len = f->secret_len;
        t->traffic[i].sequence = f->direction[i].sequence;
        memcpy(t->traffic[i].secret, f->direction[i].secret, f->secret_len);
    }
    return taken_start(t, &parts) &&
           records_add(&t->in, parts.server + parts.server_len, f->input_len);
}

static struct tls_conn *thaw(const struct host_table *hosts, const struct frozen *f,
                             const struct tls13_suite *suite, const unsigned char *strings)
{
    ins_server *server = find_server(hosts, f, (const char *)strings);
    const struct tls_context *context = server ? context_for(hosts, server) : NULL;
    const char *why = objection(context, f, suite);
    struct tls_conn *t;

    if (why) {
        log_debug("INS02600", "a TLS session stays with the generation that has it: %s", why);
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (!t) {
        return NULL;
    }
    t->back = &taken_back;
    t->hosts = hosts;
    t->server = server;
    if (!start(t, context, f, suite, strings)) {
        ERR_clear_error();
        tls_close(t);
        return NULL;
    }
    return t;
}

struct tls_conn *tls_thaw(const struct host_table *hosts, const void *frozen, size_t len)
{
    const struct tls13_suite *suite;
    struct tls_conn *t = NULL;
    struct frozen f;

    if (len < sizeof(f)) {
        return NULL;
    }
    memcpy(&f, frozen, sizeof(f));
    suite = tls13_suite_find(f.suite);
    if (is_sound(&f, len, suite)) {
        t = thaw(hosts, &f, suite, (const unsigned char *)frozen + sizeof(f));
    }
    OPENSSL_cleanse(&f, sizeof(f));
    return t;
}
