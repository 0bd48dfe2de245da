/* SPDX-License-Identifier: Apache-2.0 */
/* The directives of the http part. Names, meanings and defaults are httpd's. */
#include "http/core_directives.h"

#include <limits.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "http/chars.h"
#include "http/http_conf.h"
#include "http/log_format.h"
#include "http/routes.h"

enum { LINE_LIMIT_MAX = 1 << 20, ARGUMENTS_MAX = 3 };

/* ---- Names ---- */

static const char *lower_case(apr_pool_t *pool, const char *text)
{
    char *copy = apr_pstrdup(pool, text);

    for (char *c = copy; *c; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;
    }
    return copy;
}

static bool is_host_name(const char *text)
{
    return *text && strpbrk(text, " \t/?*#@,\\\"<>") == NULL &&
           (*text == '[' || !strchr(text, ':'));
}

/* [scheme://]name[:port] */
static const char *set_server_name(ins_cmd *cmd, void *conf, const char *arg)
{
    const char *scheme = strstr(arg, "://");
    char *name = apr_pstrdup(cmd->pool, scheme ? scheme + 3 : arg);
    char *colon = strrchr(name, ':');
    int64_t port = 0;

    (void)conf;
    if (*name == '[' && colon && strchr(colon, ']')) {
        colon = NULL;
    }
    if (colon) {
        if (!conf_int(colon + 1, 1, 65535, &port)) {
            return "a port is a number from 1 to 65535: ServerName example.com:443";
        }
        *colon = '\0';
    }
    if (!is_host_name(name)) {
        return apr_psprintf(cmd->temp_pool, "%s is no host name; more names go into ServerAlias",
                            arg);
    }
    cmd->server->server_hostname = name;
    cmd->server->port = (int)port;
    return NULL;
}

static const char *set_server_alias(ins_cmd *cmd, void *conf, const char *arg)
{
    struct http_server_conf *server = conf;

    if (!cmd->server->is_virtual) {
        return "it stands inside <VirtualHost> only";
    }
    if (strpbrk(arg, " \t/#@")) {
        return apr_psprintf(cmd->temp_pool, "%s is no host name", arg);
    }
    if (server->server_alias == NULL) {
        server->server_alias = apr_array_make(cmd->pool, 4, sizeof(const char *));
    }
    APR_ARRAY_PUSH(server->server_alias, const char *) = lower_case(cmd->pool, arg);
    return NULL;
}

static const char *set_server_admin(ins_cmd *cmd, void *conf, const char *arg)
{
    (void)conf;
    cmd->server->server_admin = apr_pstrdup(cmd->pool, arg);
    return NULL;
}

/* httpd's words; the version is "major.minor.patch". */
const char *core_server_header(const char *tokens, apr_pool_t *pool)
{
    static const struct {
        const char *word;
        int numbers; /* of the version */
        const char *system;
    } table[] = { { "Prod", 0, "" },      { "ProductOnly", 0, "" }, { "Major", 1, "" },
                  { "Minor", 2, "" },     { "Min", 3, "" },         { "Minimal", 3, "" },
                  { "OS", 3, " (Unix)" }, { "Full", 3, " (Unix)" } };
    static const char version[] = INSTAR_VERSION;
    size_t len = 0;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcasecmp(tokens, table[i].word) != 0) {
            continue;
        }
        for (int n = 0; n < table[i].numbers && len < strlen(version); n++) {
            len += n > 0;
            len += strcspn(version + len, ".");
        }
        return apr_psprintf(pool, "Instar%s%.*s%s", len ? "/" : "", (int)len, version,
                            table[i].system);
    }
    return NULL;
}

static const char *set_server_tokens(ins_cmd *cmd, void *conf, const char *arg)
{
    const char *header = core_server_header(arg, cmd->pool);

    if (header == NULL) {
        return "it is one of Full, OS, Minimal, Minor, Major and Prod";
    }
    ((struct http_server_conf *)conf)->server_header = header;
    return NULL;
}

/* ---- Times and limits ---- */

static const char *set_timeout(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t *timeout = &((struct http_server_conf *)conf)->timeout;

    (void)cmd;
    return conf_time(arg, timeout) && *timeout > 0 ? NULL : "it wants a time above 0: 60, or 500ms";
}

static const char *set_keep_alive_timeout(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t *timeout = &((struct http_server_conf *)conf)->keep_alive_timeout;

    (void)cmd;
    return conf_time(arg, timeout) ? NULL : "it wants a time: 5, or 500ms";
}

static const char *set_field_limit(ins_cmd *cmd, void *conf, const char *arg)
{
    struct http_server_conf *server = conf;
    int64_t count;

    if (!conf_int(arg, 0, H1_FIELDS_MAX, &count)) {
        return apr_psprintf(cmd->temp_pool, "it wants a number from 0 to %d (0: the highest)",
                            H1_FIELDS_MAX);
    }
    server->limits.fields = count ? (unsigned)count : (unsigned)H1_FIELDS_MAX;
    return NULL;
}

static const char *set_body_limit(ins_cmd *cmd, void *conf, const char *arg)
{
    int64_t *limit = &((struct http_location_conf *)conf)->limit_request_body;

    (void)cmd;
    return conf_size(arg, limit) ? NULL : "it wants a number of bytes (0: without limit)";
}

/* ---- Logs ---- */

static const char *set_log_format(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    static const char escape[] = "escape=";
    struct http_server_conf *server = conf;
    struct log_nickname *nickname;
    bool json = argc == ARGUMENTS_MAX && strcasecmp(argv[0], "escape=json") == 0;
    int at = argc - 2;
    const char *format = argv[at], *name = argv[at + 1], *error;

    if (argc == ARGUMENTS_MAX && !json) {
        conf_cmd_at(cmd, 0);
        return strncasecmp(argv[0], escape, sizeof(escape) - 1) == 0
                   ? "only escape=json is known"
                   : "it wants [escape=json] FORMAT NICKNAME";
    }
    error = log_format_check(format, cmd->temp_pool);
    if (error) {
        conf_cmd_at(cmd, at);
        return error;
    }
    if (strchr(name, '%')) {
        conf_cmd_at(cmd, at + 1);
        return "a nickname has no '%'";
    }
    if (server->log_formats == NULL) {
        server->log_formats = apr_array_make(cmd->pool, 4, sizeof(struct log_nickname));
    }
    nickname = apr_array_push(server->log_formats);
    nickname->format = format;
    nickname->name = name;
    nickname->json = json;
    return NULL;
}

static const char *check_log(ins_cmd *cmd, const char *text)
{
    struct log_spec spec;

    return log_spec_read(&spec, "/", text, cmd->temp_pool);
}

/* env=[!]NAME */
static const char *read_condition(struct custom_log *log, const char *text)
{
    if (strncasecmp(text, "expr=", 5) == 0) {
        return "expr= is not available; let a module set a variable, and ask for it by env=";
    }
    if (strncasecmp(text, "env=", 4) != 0) {
        return "a condition is env=NAME or env=!NAME";
    }
    log->env_not = text[4] == '!';
    log->env = text + 4 + log->env_not;
    return *log->env ? NULL : "a name stands behind env=";
}

static const char *set_custom_log(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct http_server_conf *server = conf;
    struct custom_log read = { argv[0], argv[1], NULL, false, conf_cmd_node(cmd) };
    const char *error = check_log(cmd, argv[0]);

    if (error) {
        conf_cmd_at(cmd, 0);
        return error;
    }
    if (argc == ARGUMENTS_MAX) {
        error = read_condition(&read, argv[2]);
    }
    if (error) {
        conf_cmd_at(cmd, 2);
        return error;
    }
    if (strchr(argv[1], '%')) {
        error = log_format_check(argv[1], cmd->temp_pool);
    }
    if (error) {
        conf_cmd_at(cmd, 1);
        return error;
    }
    if (server->custom_logs == NULL) {
        server->custom_logs = apr_array_make(cmd->pool, 2, sizeof(struct custom_log));
    }
    APR_ARRAY_PUSH(server->custom_logs, struct custom_log) = read;
    return NULL;
}

static const char *set_error_log(ins_cmd *cmd, void *conf, const char *arg)
{
    struct http_server_conf *server = conf;
    const char *error = check_log(cmd, arg);

    if (error == NULL) {
        server->error_log = arg;
        server->error_log_node = conf_cmd_node(cmd);
    }
    return error;
}

/* NAME [trust], or Off. */
static const char *set_request_id_header(ins_cmd *cmd, void *conf, int argc,
                                         const char *const argv[])
{
    struct http_server_conf *server = conf;
    bool off = argc == 1 && strcasecmp(argv[0], "Off") == 0;

    if (*argv[0] == '\0' || !http_all(argv[0], strlen(argv[0]), CHAR_TOKEN)) {
        return apr_psprintf(cmd->temp_pool, "%s is no name of a header field", argv[0]);
    }
    if (argc == 2 && strcasecmp(argv[1], "trust") != 0) {
        conf_cmd_at(cmd, 1);
        return "only trust may stand behind the name";
    }
    server->request_id_header = off ? "" : argv[0];
    server->request_id_trust = argc == 2;
    return NULL;
}

/* ---- The table ---- */

#define ONE(nm, fn, form, dflt, at, words)                                                         \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_ONE, .where = at, .set = { .one = fn }, .syntax = form,       \
        .initial = dflt, .help = words                                                             \
    }
#define ITERATE(nm, fn, form, dflt, at, words)                                                     \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_ITERATE, .where = at, .set = { .one = fn }, .syntax = form,   \
        .initial = dflt, .help = words                                                             \
    }

const ins_directive core_directives[] = {
    ONE("ServerName", set_server_name, "[SCHEME://]NAME[:PORT]", "the system's host name",
        INS_IN_SERVER, "the name of this server or virtual host"),
    ITERATE("ServerAlias", set_server_alias, "NAME...", NULL, INS_IN_SERVER,
            "more names of a virtual host; * and ? are wildcards"),
    ONE("ServerAdmin", set_server_admin, "ADDRESS", NULL, INS_IN_SERVER,
        "whom to write to: named on the page of an internal error"),
    ONE("ServerTokens", set_server_tokens, "Full|OS|Minimal|Minor|Major|Prod", "Full",
        INS_IN_GLOBAL, "how much the Server field of answers tells"),
    ONE("Timeout", set_timeout, "TIME", "60", INS_IN_SERVER,
        "how long a read or a write within a request may stand still"),
    { .name = "KeepAlive",
      .args = INS_ARGS_FLAG_FIELD,
      .where = INS_IN_SERVER,
      .syntax = "On|Off",
      .initial = "On",
      .help = "let a connection carry several requests",
      .offset = offsetof(struct http_server_conf, keep_alive) },
    ONE("KeepAliveTimeout", set_keep_alive_timeout, "TIME", "5", INS_IN_SERVER,
        "how long a connection may wait for its next request"),
    INS_INT("MaxKeepAliveRequests", struct http_server_conf, max_keep_alive_requests, 0, INT_MAX,
            "100", INS_IN_SERVER, "requests that one connection may carry; 0: any number"),
    ITERATE("RequestReadTimeout", read_timeout_set, "STAGE=SECONDS[-SECONDS][,MinRate=BYTES]...",
            "header=20-40,MinRate=500 body=20,MinRate=500", INS_IN_SERVER,
            "how long a client may take to send a request's head and body"),
    INS_INT("LimitRequestLine", struct http_server_conf, limits.line, 1, LINE_LIMIT_MAX, "8190",
            INS_IN_SERVER, "bytes of a request line"),
    ONE("LimitRequestFields", set_field_limit, "NUMBER", "100", INS_IN_SERVER,
        "header fields of a request"),
    INS_INT("LimitRequestFieldSize", struct http_server_conf, limits.field_size, 1, LINE_LIMIT_MAX,
            "8190", INS_IN_SERVER, "bytes of one header field, name and value"),
    ONE("LimitRequestBody", set_body_limit, "BYTES", "1073741824", INS_IN_SERVER | INS_IN_LOCATION,
        "bytes of a request's body; 0: any number"),
    { .name = "LogFormat",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER,
      .set = { .argv = set_log_format },
      .syntax = "[escape=json] FORMAT NICKNAME",
      .help = "names a format for CustomLog; common, combined and json are known already",
      .min = 2,
      .max = ARGUMENTS_MAX },
    { .name = "CustomLog",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER,
      .set = { .argv = set_custom_log },
      .syntax = "FILE|\"|COMMAND\"|syslog[:FACILITY[:TAG]] FORMAT|NICKNAME [env=[!]NAME]",
      .help = "writes a line for each request; a virtual host with one of its own leaves the "
              "main server's",
      .min = 2,
      .max = ARGUMENTS_MAX },
    ONE("ErrorLog", set_error_log, "FILE|stderr|\"|COMMAND\"|syslog[:FACILITY[:TAG]]",
        "the main server's", INS_IN_SERVER, "where errors are written"),
    { .name = "RequestIDHeader",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER,
      .set = { .argv = set_request_id_header },
      .syntax = "NAME [trust]|Off",
      .initial = "Off",
      .help = "sends the request's id (%L of LogFormat) in this field; trust: takes over the one "
              "that came in it",
      .min = 1,
      .max = 2 },
    { .name = "Route",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER | INS_IN_LOCATION,
      .set = { .argv = route_read },
      .syntax = "METHOD[|METHOD...] PATTERN|~ REGEX HANDLER [key=value...]",
      .help = "lets a module's handler answer the paths of a pattern: /users/{id}, "
              "/users/{id:[0-9]+}, /files/{path...}",
      .min = 3 },
    { 0 }
};
