/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSLUseStapling, the side of the responders: a process of its own, where waiting hurts nobody. It
 * asks about each certificate in turn, verifies what comes against the certificate's issuer, and
 * puts it where the workers find it. One that does not answer costs SSLStaplingResponderTimeout and
 * is left alone for SSLStaplingErrorCacheTimeout.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "tls/staple.h"
#include "util/log.h"

enum { NAP_MAX = 30, REFRESH_MIN = 1, RETRY_MIN = 5, HOST_MAX = 512 };

/* What became of a question. words NULL: a response that may be stapled. */
struct reply {
    const char *words;
    unsigned char *der; /* OpenSSL's */
    int len;
    int64_t next_update; /* 0: it says none */
    int status;          /* V_OCSP_CERTSTATUS_... */
};

/* ---- The question ---------------------------------------------------------------- */

static OCSP_CERTID *id_of(X509 *certificate, const struct staple *st)
{
    return OCSP_cert_to_id(EVP_sha1(), certificate, st->issuer);
}

/* No nonce: responders answer with what they have signed before. */
static BIO *make_request(X509 *certificate, const struct staple *st)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = id_of(certificate, st);
    BIO *out = BIO_new(BIO_s_mem());

    if (request && id && out && OCSP_request_add0_id(request, id)) {
        id = NULL;
        if (i2d_OCSP_REQUEST_bio(out, request) == 1) {
            OCSP_REQUEST_free(request);
            return out;
        }
    }
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    BIO_free(out);
    return NULL;
}

/* Host: names the port, too, where it is not http's own. */
static int add_host(const char *host, const char *port, STACK_OF(CONF_VALUE) * *headers)
{
    char text[HOST_MAX];
    int n = BIO_snprintf(text, sizeof(text), "%s:%s", host, port);

    return strcmp(port, OSSL_HTTP_PORT) == 0 ? X509V3_add_value("Host", host, headers)
           : n > 0                           ? X509V3_add_value("Host", text, headers)
                                             : 0;
}

static BIO *post(const struct staple *st, BIO *request, const char *host, const char *port,
                 const char *path)
{
    STACK_OF(CONF_VALUE) *headers = NULL;
    BIO *answer = NULL;

    if (add_host(host, port, &headers) == 1) {
        answer = OSSL_HTTP_transfer(NULL, host, port, path, 0, NULL, NULL, NULL, NULL, NULL, NULL,
                                    0, headers, "application/ocsp-request", request,
                                    "application/ocsp-response", 1, STAPLE_MAX,
                                    st->settings.responder_timeout, 0);
    }
    sk_CONF_VALUE_pop_free(headers, X509V3_conf_free);
    return answer;
}

static OCSP_RESPONSE *ask(X509 *certificate, const struct staple *st, const char **words)
{
    BIO *request = make_request(certificate, st), *answer = NULL;
    OCSP_RESPONSE *response = NULL;
    char *host = NULL, *port = NULL, *path = NULL;
    int tls = 0;

    if (request &&
        OSSL_HTTP_parse_url(st->url, &tls, NULL, &host, &port, NULL, &path, NULL, NULL)) {
        if (tls) {
            *words = "its responder's address is not http://";
        }
        else {
            answer = post(st, request, host, port, path);
        }
    }
    if (answer) {
        response = d2i_OCSP_RESPONSE_bio(answer, NULL);
    }
    if (!response && !*words) {
        *words = tls_take_reason();
    }
    OPENSSL_free(host);
    OPENSSL_free(port);
    OPENSSL_free(path);
    BIO_free(request);
    BIO_free(answer);
    return response;
}

/* ---- The answer --------------------------------------------------------------------- */

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *time)
{
    struct tm tm;

    return time && ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* Signed by the issuer, or by one whom the issuer has charged with that. */
static bool is_signed(OCSP_BASICRESP *basic, const struct staple *st)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *signers = sk_X509_new_null();
    bool ok = store && signers && X509_STORE_add_cert(store, st->issuer) == 1 &&
              X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
              sk_X509_push(signers, st->issuer) > 0 &&
              OCSP_basic_verify(basic, signers, store, 0) == 1;

    sk_X509_free(signers);
    X509_STORE_free(store);
    return ok;
}

/* NULL: it is about this certificate, and good now. */
static const char *judge(OCSP_BASICRESP *basic, X509 *certificate, const struct staple *st,
                         struct reply *reply)
{
    ASN1_GENERALIZEDTIME *this_update = NULL, *next_update = NULL;
    OCSP_CERTID *id = id_of(certificate, st);
    bool found = id && OCSP_resp_find_status(basic, id, &reply->status, NULL, NULL, &this_update,
                                             &next_update) == 1;

    OCSP_CERTID_free(id);
    if (!found) {
        return "the response is about another certificate";
    }
    if (OCSP_check_validity(this_update, next_update, st->settings.time_skew,
                            st->settings.max_age) != 1) {
        return "the response has expired, or is not valid yet";
    }
    reply->next_update = seconds_of(next_update);
    if (reply->status != V_OCSP_CERTSTATUS_GOOD && st->settings.return_errors == 0) {
        return "the certificate is not good, says the responder, and "
               "SSLStaplingReturnResponderErrors is Off";
    }
    return NULL;
}

static const char *look_into(OCSP_RESPONSE *response, X509 *certificate, const struct staple *st,
                             struct reply *reply)
{
    int status = OCSP_response_status(response);
    OCSP_BASICRESP *basic;
    const char *words;

    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        return OCSP_response_status_str(status);
    }
    basic = OCSP_response_get1_basic(response);
    if (!basic) {
        return tls_take_reason();
    }
    words = is_signed(basic, st) ? judge(basic, certificate, st, reply)
                                 : "the response is not signed by the certificate's issuer";
    OCSP_BASICRESP_free(basic);
    return words;
}

static struct reply fetch(X509 *certificate, const struct staple *st)
{
    struct reply reply = { 0 };
    OCSP_RESPONSE *response;

    ERR_clear_error();
    response = ask(certificate, st, &reply.words);
    if (response) {
        reply.words = look_into(response, certificate, st, &reply);
    }
    if (response && !reply.words) {
        reply.len = i2d_OCSP_RESPONSE(response, &reply.der);
        if (reply.len <= 0 || reply.len > STAPLE_MAX) {
            reply.words = "the response is too long";
        }
    }
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return reply;
}

/* ---- When ----------------------------------------------------------------------------- */

static int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Well before nextUpdate, and SSLStaplingStandardCacheTimeout at the latest. */
static void keep(struct staple_board *board, const struct staple *st, const struct reply *reply,
                 int64_t now)
{
    int64_t cache = st->settings.standard_timeout;
    int64_t end = reply->next_update > 0 ? reply->next_update : now + 2 * cache;

    if (staple_put(board, st->slot, st->tag, reply->der, (size_t)reply->len, end)) {
        log_info("INS02260", "%s: OCSP response fetched from %s, status %s", st->file, st->url,
                 OCSP_cert_status_str(reply->status));
    }
    staple_set_due(board, st->slot, now + at_least(sooner(cache, (end - now) / 2), REFRESH_MIN));
}

/* What is there is stapled until it expires; before that one more try is made. */
static void put_off(struct staple_board *board, const struct staple *st, const char *words,
                    int64_t now)
{
    int64_t end = staple_good_until(board, st->slot);
    int64_t wait = st->settings.error_timeout;

    if (end > now) {
        wait = sooner(wait, at_least((end - now) / 2, RETRY_MIN));
    }
    log_warning("INS02261", "%s: no OCSP response from %s: %s; %s", st->file, st->url, words,
                end > now ? "the last one is stapled until it expires" : "nothing is stapled");
    staple_set_due(board, st->slot, now + at_least(wait, REFRESH_MIN));
}

static void refresh(struct staple_board *board, X509 *certificate, const struct staple *st)
{
    struct reply reply = fetch(certificate, st);
    int64_t now = time(NULL);

    if (reply.words) {
        put_off(board, st, reply.words, now);
    }
    else {
        keep(board, st, &reply, now);
    }
    OPENSSL_free(reply.der);
}

/* Seconds until something is due. */
static int64_t one_round(struct staple_board *board, SSL_CTX *ctx)
{
    int64_t nap = NAP_MAX;

    for (long more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST); more == 1;
         more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT)) {
        X509 *certificate = SSL_CTX_get0_certificate(ctx);
        struct staple *st = certificate ? staple_of(certificate) : NULL;

        if (!st || !staple_slot_use(board, st->slot, st->tag, time(NULL))) {
            continue;
        }
        if (staple_due(board, st->slot) <= time(NULL)) {
            refresh(board, certificate, st);
        }
        nap = sooner(nap, staple_due(board, st->slot) - time(NULL));
    }
    return nap;
}

void tls_staple_run(struct tls_app *app)
{
    (void)signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int64_t nap = NAP_MAX;

        for (int i = 0; i < app->contexts->nelts; i++) {
            const struct tls_context *context =
                APR_ARRAY_IDX(app->contexts, i, struct tls_context *);

            if (context->stapled > 0) {
                nap = sooner(nap, one_round(app->shared.staples, context->ctx));
            }
        }
        (void)sleep((unsigned)at_least(nap, 1));
    }
}
