/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SSL* directives: httpd's names, arguments and merging. All of them stand
 * in the main server or a <VirtualHost>; files are read later, by
 * tls_app_create(), but what can be judged from the words alone is refused here.
 */
#include "tls/tls_internal.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>
#include <openssl/err.h>

#include "config/conf.h"

static void *create_server(apr_pool_t *pool, ins_server *s)
{
    struct ssl_server_conf *conf = apr_pcalloc(pool, sizeof(*conf));

    (void)s;
    conf->engine = UNSET;
    conf->certificates = apr_array_make(pool, 1, sizeof(struct ssl_text));
    conf->keys = apr_array_make(pool, 1, sizeof(struct ssl_text));
    conf->ticket_key_files = apr_array_make(pool, 1, sizeof(struct ssl_text));
    conf->policy = UNSET;
    conf->protocols = UNSET;
    conf->honor_cipher_order = UNSET;
    conf->session_tickets = UNSET;
    conf->verify = UNSET;
    conf->verify_depth = UNSET;
    conf->stapling = (struct ssl_stapling){ UNSET, UNSET, NULL, UNSET, UNSET, UNSET, UNSET, UNSET };
    return conf;
}

#define MERGE(field, is_set) conf->field = (is_set) ? over->field : base->field

static void *merge_server(apr_pool_t *pool, void *base_conf, void *over_conf)
{
    const struct ssl_server_conf *base = base_conf, *over = over_conf;
    struct ssl_server_conf *conf = apr_pcalloc(pool, sizeof(*conf));
    bool own = over->policy != UNSET; /* replaces what is inherited of its subjects */

    MERGE(engine, over->engine != UNSET);
    MERGE(engine_at, over->engine != UNSET);
    MERGE(certificates, over->certificates->nelts > 0);
    MERGE(keys, over->certificates->nelts > 0 || over->keys->nelts > 0);
    MERGE(policy, own);
    MERGE(protocols, own || over->protocols != UNSET);
    MERGE(protocols_at, own || over->protocols != UNSET);
    MERGE(ciphers, own || over->ciphers);
    MERGE(ciphers13, own || over->ciphers13);
    MERGE(honor_cipher_order, own || over->honor_cipher_order != UNSET);
    MERGE(session_tickets, over->session_tickets != UNSET);
    MERGE(ticket_key_files, over->ticket_key_files->nelts > 0);
    MERGE(ca_file, over->ca_file.value);
    MERGE(verify, over->verify != UNSET);
    MERGE(verify_at, over->verify != UNSET);
    MERGE(verify_depth, over->verify_depth != UNSET);
    MERGE(stapling.use, over->stapling.use != UNSET);
    MERGE(stapling.return_errors, over->stapling.return_errors != UNSET);
    MERGE(stapling.force_url, over->stapling.force_url);
    MERGE(stapling.responder_timeout, over->stapling.responder_timeout != UNSET);
    MERGE(stapling.standard_timeout, over->stapling.standard_timeout != UNSET);
    MERGE(stapling.error_timeout, over->stapling.error_timeout != UNSET);
    MERGE(stapling.time_skew, over->stapling.time_skew != UNSET);
    MERGE(stapling.max_age, over->stapling.max_age != UNSET);
    return conf;
}

static struct ssl_text text_at(const ins_cmd *cmd, const char *value)
{
    return (struct ssl_text){ .value = value, .file = cmd->file, .line = cmd->line };
}

static const char *set_engine(ins_cmd *cmd, void *conf, int on)
{
    struct ssl_server_conf *c = conf;

    c->engine = on;
    c->engine_at = text_at(cmd, on ? "On" : "Off");
    return NULL;
}

static const char *add_file(ins_cmd *cmd, void *conf, const char *path)
{
    apr_array_header_t **list =
        (apr_array_header_t **)(void *)((char *)conf + *(const size_t *)cmd->info);

    if (*path == '\0') {
        return "the file name is empty";
    }
    APR_ARRAY_PUSH(*list, struct ssl_text) = text_at(cmd, path);
    return NULL;
}

static const char *set_file(ins_cmd *cmd, void *conf, const char *path)
{
    struct ssl_text *text = (struct ssl_text *)(void *)((char *)conf + *(const size_t *)cmd->info);

    if (*path == '\0') {
        return "the file name is empty";
    }
    *text = text_at(cmd, path);
    return NULL;
}

static const struct {
    const char *name;
    int bits;
} protocol_names[] = {
    { "all", PROTOCOL_TLS1 | PROTOCOL_TLS1_1 | PROTOCOL_TLS1_2 | PROTOCOL_TLS1_3 },
    { "SSLv2", PROTOCOL_SSL3 },
    { "SSLv3", PROTOCOL_SSL3 },
    { "TLSv1", PROTOCOL_TLS1 },
    { "TLSv1.1", PROTOCOL_TLS1_1 },
    { "TLSv1.2", PROTOCOL_TLS1_2 },
    { "TLSv1.3", PROTOCOL_TLS1_3 },
    { NULL, 0 },
};

static const char *apply_protocol(ins_cmd *cmd, int arg, const char *word, int *bits)
{
    char sign = *word == '+' || *word == '-' ? *word++ : '\0';
    int i = 0;

    while (protocol_names[i].name && strcasecmp(protocol_names[i].name, word) != 0) {
        i++;
    }
    if (!protocol_names[i].name) {
        return apr_psprintf(cmd->pool,
                            "unknown protocol \"%s\": all, TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3, "
                            "each with + or - before it",
                            word);
    }
    if (protocol_names[i].bits == PROTOCOL_SSL3 && sign != '-') {
        return apr_psprintf(cmd->pool, "%s is broken and not offered", protocol_names[i].name);
    }
    if (sign == '-') {
        *bits &= ~protocol_names[i].bits;
    }
    else if (sign == '+') {
        *bits |= protocol_names[i].bits;
    }
    else {
        if (*bits != 0) {
            conf_warn(conf_cmd_diags(cmd), conf_cmd_node(cmd), arg,
                      "%s overrides what stands before it: is a + missing?", word);
        }
        *bits = protocol_names[i].bits;
    }
    return NULL;
}

static const char *set_protocols(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct ssl_server_conf *c = conf;
    const char *error = NULL;
    int bits = 0;

    for (int i = 0; i < argc && !error; i++) {
        error = apply_protocol(cmd, i, argv[i], &bits);
    }
    if (!error && bits == 0) {
        error = "no protocol is left";
    }
    c->protocols = bits;
    c->protocols_at = text_at(cmd, "");
    return error;
}

/* Whether OpenSSL knows the ciphers; NULL if so. */
static const char *try_ciphers(apr_pool_t *pool, const char *list, bool tls13)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    const char *error = NULL;

    ERR_clear_error();
    if (!ctx) {
        return "OpenSSL cannot be set up";
    }
    if ((tls13 ? SSL_CTX_set_ciphersuites(ctx, list) : SSL_CTX_set_cipher_list(ctx, list)) != 1) {
        error = apr_psprintf(pool, "OpenSSL does not accept these ciphers: %s", tls_take_reason());
    }
    SSL_CTX_free(ctx);
    return error;
}

static const char *set_ciphers(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct ssl_server_conf *c = conf;
    bool tls13 = argc == 2 && strcasecmp(argv[0], "TLSv1.3") == 0;
    const char *list = argv[argc - 1];

    if (argc == 2 && !tls13 && strcasecmp(argv[0], "SSL") != 0) {
        return apr_psprintf(cmd->pool, "%s: before the ciphers may stand SSL or TLSv1.3", argv[0]);
    }
    if (tls13) {
        c->ciphers13 = list;
    }
    else {
        list = apr_pstrcat(cmd->pool, list, ":!aNULL:!eNULL:!EXP", NULL);
        c->ciphers = list;
    }
    return try_ciphers(cmd->temp_pool, list, tls13);
}

static const char *set_verify(ins_cmd *cmd, void *conf, const char *arg)
{
    static const char *const names[] = { [VERIFY_NONE] = "none",
                                         [VERIFY_OPTIONAL] = "optional",
                                         [VERIFY_REQUIRE] = "require",
                                         [VERIFY_OPTIONAL_NO_CA] = "optional_no_ca" };
    struct ssl_server_conf *c = conf;

    for (int i = 0; i <= VERIFY_OPTIONAL_NO_CA; i++) {
        if (strcasecmp(arg, names[i]) == 0 || (i == VERIFY_NONE && strcasecmp(arg, "off") == 0)) {
            c->verify = i;
            c->verify_at = text_at(cmd, arg);
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "\"%s\" is none of none, optional, require, optional_no_ca",
                        arg);
}

static const char *set_responder(ins_cmd *cmd, void *conf, const char *arg)
{
    struct ssl_server_conf *c = conf;

    if (strncasecmp(arg, "http://", 7) != 0 || arg[7] == '\0' || arg[7] == '/') {
        return apr_psprintf(cmd->pool, "\"%s\" is not http://HOST[:PORT][/PATH]", arg);
    }
    c->stapling.force_url = arg;
    return NULL;
}

static size_t certificates_field = offsetof(struct ssl_server_conf, certificates);
static size_t keys_field = offsetof(struct ssl_server_conf, keys);
static size_t ticket_key_field = offsetof(struct ssl_server_conf, ticket_key_files);
static size_t ca_field = offsetof(struct ssl_server_conf, ca_file);

/* clang-format off */
#define STAPLING_FLAG(nm, member, dflt, words)                                                     \
    { .name = nm, .args = INS_ARGS_FLAG_FIELD, .where = INS_IN_SERVER, .syntax = "On|Off",         \
      .initial = dflt, .help = words, .offset = offsetof(struct ssl_server_conf, stapling.member) }
#define STAPLING_SECONDS(nm, member, lo, dflt, words)                                              \
    { .name = nm, .args = INS_ARGS_INT_FIELD, .where = INS_IN_SERVER, .syntax = "SECONDS",         \
      .initial = dflt, .help = words, .offset = offsetof(struct ssl_server_conf, stapling.member), \
      .min = lo, .max = 31536000 }
/* clang-format on */

static const ins_directive directives[] = {
    { .name = "SSLEngine",
      .args = INS_ARGS_FLAG,
      .where = INS_IN_SERVER,
      .set = { .flag = set_engine },
      .syntax = "On|Off",
      .initial = "On behind Listen ... https, else Off",
      .help = "speak TLS on this server's addresses" },
    { .name = "SSLCertificateFile",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = add_file },
      .syntax = "FILE",
      .help = "the certificate with its chain, PEM, the server's own first; once a key type",
      .info = &certificates_field },
    { .name = "SSLCertificateKeyFile",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = add_file },
      .syntax = "FILE",
      .initial = "the certificate's file",
      .help = "the private key, PEM, without a pass phrase; in the certificates' order",
      .info = &keys_field },
    { .name = "SSLPolicy",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = ssl_set_policy },
      .syntax = "modern|intermediate|old",
      .initial = "intermediate",
      .help = "protocols and ciphers in one word: TLS 1.3 alone; 1.2 and 1.3 with forward secrecy; "
              "or all that old clients need. What SSLProtocol, SSLCipherSuite and "
              "SSLHonorCipherOrder of the same server say counts more" },
    { .name = "SSLProtocol",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER,
      .set = { .argv = set_protocols },
      .syntax = "[+|-]PROTOCOL...",
      .initial = "by SSLPolicy: TLSv1.2 +TLSv1.3",
      .help = "the versions to speak: all, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3",
      .min = 1 },
    { .name = "SSLCipherSuite",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER,
      .set = { .argv = set_ciphers },
      .syntax = "[SSL|TLSv1.3] CIPHERS",
      .initial = "by SSLPolicy",
      .help = "the ciphers up to TLS 1.2 or, after the word TLSv1.3, those of TLS 1.3",
      .min = 1,
      .max = 2 },
    { .name = "SSLHonorCipherOrder",
      .args = INS_ARGS_FLAG_FIELD,
      .where = INS_IN_SERVER,
      .syntax = "On|Off",
      .initial = "by SSLPolicy: Off",
      .help = "choose the cipher by the server's order, not the client's",
      .offset = offsetof(struct ssl_server_conf, honor_cipher_order) },
    { .name = "SSLSessionTickets",
      .args = INS_ARGS_FLAG_FIELD,
      .where = INS_IN_SERVER,
      .syntax = "On|Off",
      .initial = "On",
      .help = "let clients resume sessions",
      .offset = offsetof(struct ssl_server_conf, session_tickets) },
    { .name = "SSLSessionTicketKeyFile",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = add_file },
      .syntax = "FILE",
      .initial = "keys that the server makes and rotates",
      .help = "48 or 80 random bytes that encrypt the session tickets of a fleet of servers; "
              "given again: keys whose tickets are accepted too",
      .info = &ticket_key_field },
    { .name = "SSLCACertificateFile",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = set_file },
      .syntax = "FILE",
      .help = "the authorities whose client certificates are accepted, PEM",
      .info = &ca_field },
    { .name = "SSLVerifyClient",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = set_verify },
      .syntax = "none|optional|require|optional_no_ca",
      .initial = "none",
      .help = "ask clients for a certificate; in a whole server, never below it" },
    { .name = "SSLVerifyDepth",
      .args = INS_ARGS_INT_FIELD,
      .where = INS_IN_SERVER,
      .syntax = "NUMBER",
      .initial = "1",
      .help = "how far a client's certificate may be from a known authority",
      .offset = offsetof(struct ssl_server_conf, verify_depth),
      .min = 0,
      .max = 100 },
    STAPLING_FLAG("SSLUseStapling", use, "Off",
                  "send a fresh OCSP response with the certificate; fetched in the background"),
    { .name = "SSLStaplingForceURL",
      .args = INS_ARGS_ONE,
      .where = INS_IN_SERVER,
      .set = { .one = set_responder },
      .syntax = "http://HOST[:PORT][/PATH]",
      .initial = "what the certificate names",
      .help = "the OCSP responder to ask" },
    STAPLING_SECONDS("SSLStaplingResponderTimeout", responder_timeout, 1, "10",
                     "how long a responder may take"),
    STAPLING_SECONDS("SSLStaplingStandardCacheTimeout", standard_timeout, 1, "3600",
                     "ask anew after that at the latest; sooner where a response expires"),
    STAPLING_SECONDS("SSLStaplingErrorCacheTimeout", error_timeout, 1, "600",
                     "when to ask a responder again that gave no usable response"),
    STAPLING_SECONDS("SSLStaplingResponseTimeSkew", time_skew, 0, "300",
                     "how far the responder's clock may be off"),
    STAPLING_SECONDS("SSLStaplingResponseMaxAge", max_age, -1, "-1",
                     "how old a response may be; -1: as old as it says itself"),
    STAPLING_FLAG("SSLStaplingReturnResponderErrors", return_errors, "On",
                  "send a response too that says revoked or unknown"),
    { 0 },
};

ins_module ssl_module = {
    INS_MODULE_HEADER,
    .directives = directives,
    .create_server = create_server,
    .merge_server = merge_server,
};
