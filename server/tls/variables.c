/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SSL_* variables of a connection, by httpd's names and in httpd's forms,
 * for logs and modules. Looked up when asked for; nothing is prepared.
 */
#include "tls/tls_internal.h"

#include <string.h>
#include <strings.h>

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* What a memory BIO has gathered, in pool; frees it. */
static const char *bio_text(BIO *bio, bool ok, apr_pool_t *pool)
{
    char *data = NULL;
    long len = bio ? BIO_get_mem_data(bio, &data) : 0;
    const char *text =
        ok && len >= 0 ? apr_pstrmemdup(pool, data ? data : "", (apr_size_t)len) : NULL;

    BIO_free(bio);
    return text;
}

static const char *name_text(const X509_NAME *name, apr_pool_t *pool)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return bio_text(
        bio,
        bio && X509_NAME_print_ex(bio, name, 0,
                                  XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0,
        pool);
}

static const char *time_text(const ASN1_TIME *when, apr_pool_t *pool)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return bio_text(bio, bio && ASN1_TIME_print(bio, when) == 1, pool);
}

static const char *serial_text(X509 *certificate, apr_pool_t *pool)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return bio_text(bio, bio && i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate)) > 0,
                    pool);
}

static const char *pem_text(X509 *certificate, apr_pool_t *pool)
{
    BIO *bio = BIO_new(BIO_s_mem());

    return bio_text(bio, bio && PEM_write_bio_X509(bio, certificate) == 1, pool);
}

static const char *object_text(const ASN1_OBJECT *object, apr_pool_t *pool)
{
    int nid = OBJ_obj2nid(object);

    return apr_pstrdup(pool, nid == NID_undef ? "UNKNOWN" : OBJ_nid2ln(nid));
}

static const char *key_algorithm(const X509 *certificate, apr_pool_t *pool)
{
    ASN1_OBJECT *object = NULL;

    X509_PUBKEY_get0_param(&object, NULL, NULL, NULL, X509_get_X509_PUBKEY(certificate));
    return object ? object_text(object, pool) : NULL;
}

static const char *days_left(const X509 *certificate, apr_pool_t *pool)
{
    int days, seconds;

    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1) {
        return NULL;
    }
    return apr_psprintf(pool, "%d", days < 0 || seconds < 0 ? 0 : days);
}

/* Part of a distinguished name: "CN", or "OU_1" for the second OU. */
static const char *name_part(const X509_NAME *name, const char *what, apr_pool_t *pool)
{
    const char *number = strchr(what, '_');
    const char *label = number ? apr_pstrmemdup(pool, what, (apr_size_t)(number - what)) : what;
    int wanted = number ? (int)apr_atoi64(number + 1) : 0;
    int nid = strcmp(label, "Email") == 0 ? NID_pkcs9_emailAddress : OBJ_sn2nid(label);
    int at = -1;
    unsigned char *utf8 = NULL;
    const char *text;
    int len;

    if (nid == NID_undef || wanted < 0 || wanted > 100) {
        return NULL;
    }
    do {
        at = X509_NAME_get_index_by_NID(name, nid, at);
    } while (at >= 0 && wanted-- > 0);
    if (at < 0) {
        return NULL;
    }
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    text = len >= 0 ? apr_pstrmemdup(pool, (const char *)utf8, (apr_size_t)len) : NULL;
    OPENSSL_free(utf8);
    return text;
}

/* What comes behind SSL_CLIENT_ or SSL_SERVER_. */
static const char *certificate_variable(X509 *c, const char *name, apr_pool_t *pool)
{
    if (strcmp(name, "M_VERSION") == 0) {
        return apr_psprintf(pool, "%ld", X509_get_version(c) + 1);
    }
    if (strcmp(name, "M_SERIAL") == 0) {
        return serial_text(c, pool);
    }
    if (strcmp(name, "S_DN") == 0) {
        return name_text(X509_get_subject_name(c), pool);
    }
    if (strcmp(name, "I_DN") == 0) {
        return name_text(X509_get_issuer_name(c), pool);
    }
    if (strncmp(name, "S_DN_", 5) == 0) {
        return name_part(X509_get_subject_name(c), name + 5, pool);
    }
    if (strncmp(name, "I_DN_", 5) == 0) {
        return name_part(X509_get_issuer_name(c), name + 5, pool);
    }
    if (strcmp(name, "V_START") == 0) {
        return time_text(X509_get0_notBefore(c), pool);
    }
    if (strcmp(name, "V_END") == 0) {
        return time_text(X509_get0_notAfter(c), pool);
    }
    if (strcmp(name, "V_REMAIN") == 0) {
        return days_left(c, pool);
    }
    if (strcmp(name, "A_KEY") == 0) {
        return key_algorithm(c, pool);
    }
    if (strcmp(name, "A_SIG") == 0) {
        return object_text(X509_get0_tbs_sigalg(c)->algorithm, pool);
    }
    return strcmp(name, "CERT") == 0 ? pem_text(c, pool) : NULL;
}

static const char *verify_result(struct tls_conn *t, const struct tls_facts *facts,
                                 apr_pool_t *pool)
{
    if (t->back->certificate_der(t, true, NULL) == 0) {
        return "NONE";
    }
    if (facts->verify_result == X509_V_OK) {
        return "SUCCESS";
    }
    if (facts->forgives) {
        return "GENEROUS";
    }
    return apr_pstrcat(pool, "FAILED:", X509_verify_cert_error_string(facts->verify_result), NULL);
}

static const char *session_id(const struct tls_facts *facts, apr_pool_t *pool)
{
    return facts->session_id_len > 0
               ? apr_pescape_hex(pool, facts->session_id, facts->session_id_len, 0)
               : NULL;
}

static const char *connection_variable(struct tls_conn *t, const char *name, apr_pool_t *pool)
{
    struct tls_facts facts;

    t->back->facts(t, &facts);
    if (strcmp(name, "PROTOCOL") == 0) {
        return facts.protocol;
    }
    if (strcmp(name, "CIPHER") == 0) {
        return facts.cipher;
    }
    if (strcmp(name, "CIPHER_EXPORT") == 0) {
        return "false";
    }
    if (strcmp(name, "CIPHER_USEKEYSIZE") == 0 || strcmp(name, "CIPHER_ALGKEYSIZE") == 0) {
        return apr_psprintf(pool, "%d", name[7] == 'A' ? facts.all_bits : facts.bits);
    }
    if (strcmp(name, "SESSION_ID") == 0) {
        return session_id(&facts, pool);
    }
    if (strcmp(name, "SESSION_RESUMED") == 0) {
        return facts.resumed ? "Resumed" : "Initial";
    }
    if (strcmp(name, "SECURE_RENEG") == 0) {
        return facts.secure_renegotiation ? "true" : "false";
    }
    if (strcmp(name, "COMPRESS_METHOD") == 0) {
        return "NULL";
    }
    if (strcmp(name, "TLS_SNI") == 0) {
        return apr_pstrdup(pool, facts.sni);
    }
    if (strcmp(name, "CLIENT_VERIFY") == 0) {
        return verify_result(t, &facts, pool);
    }
    return strcmp(name, "VERSION_LIBRARY") == 0 ? OPENSSL_VERSION_TEXT : NULL;
}

const char *tls_variable(struct tls_conn *t, const char *name, apr_pool_t *pool)
{
    const char *value = NULL;
    X509 *certificate;

    if (strcmp(name, "HTTPS") == 0) {
        return "on";
    }
    if (strncmp(name, "SSL_", 4) != 0) {
        return NULL;
    }
    name += 4;
    value = connection_variable(t, name, pool);
    if (!value && (strncmp(name, "CLIENT_", 7) == 0 || strncmp(name, "SERVER_", 7) == 0)) {
        certificate = t->back->certificate(t, *name == 'C');
        value = certificate ? certificate_variable(certificate, name + 7, pool) : NULL;
        X509_free(certificate);
    }
    ERR_clear_error();
    return value;
}
