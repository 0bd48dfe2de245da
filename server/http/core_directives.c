/* SPDX-License-Identifier: Apache-2.0 */
/* The directives of the http part. Names, meanings and defaults are httpd's. */
#include "http/core_directives.h"

#include <limits.h>
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
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

static const char *set_log_format(ins_cmd *cmd, void *conf, const char *format, const char *name)
{
    struct http_server_conf *server = conf;
    struct log_nickname *nickname;
    const char *error = log_format_check(format, cmd->temp_pool);

    if (error) {
        conf_cmd_at(cmd, 0);
        return error;
    }
    if (strchr(name, '%')) {
        conf_cmd_at(cmd, 1);
        return "a nickname has no '%'";
    }
    if (server->log_formats == NULL) {
        server->log_formats = apr_array_make(cmd->pool, 4, sizeof(struct log_nickname));
    }
    nickname = apr_array_push(server->log_formats);
    nickname->format = format;
    nickname->name = name;
    return NULL;
}

static const char *check_log_path(const char *path)
{
    if (*path == '|') {
        return "logs through a pipe are not available in this version; name a file";
    }
    if (strncasecmp(path, "syslog", 6) == 0 && (path[6] == '\0' || path[6] == ':')) {
        return "syslog is not available in this version; name a file, or stderr";
    }
    return NULL;
}

static const char *set_custom_log(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct http_server_conf *server = conf;
    struct custom_log *log;
    const char *error = check_log_path(argv[0]);

    if (error) {
        conf_cmd_at(cmd, 0);
        return error;
    }
    if (argc == ARGUMENTS_MAX) {
        conf_cmd_at(cmd, 2);
        return "a condition (env=, expr=) is not available in this version";
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
    log = apr_array_push(server->custom_logs);
    log->path = argv[0];
    log->format = argv[1];
    log->node = conf_cmd_node(cmd);
    return NULL;
}

static const char *set_error_log(ins_cmd *cmd, void *conf, const char *arg)
{
    struct http_server_conf *server = conf;
    const char *error = check_log_path(arg);

    if (error == NULL) {
        server->error_log = arg;
        server->error_log_node = conf_cmd_node(cmd);
    }
    return error;
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
      .args = INS_ARGS_TWO,
      .where = INS_IN_SERVER,
      .set = { .two = set_log_format },
      .syntax = "FORMAT NICKNAME",
      .help = "names a format for CustomLog; common and combined are known already" },
    { .name = "CustomLog",
      .args = INS_ARGS_ARGV,
      .where = INS_IN_SERVER,
      .set = { .argv = set_custom_log },
      .syntax = "FILE FORMAT|NICKNAME",
      .help = "writes a line for each request; a virtual host with one of its own leaves the "
              "main server's",
      .min = 2,
      .max = ARGUMENTS_MAX },
    ONE("ErrorLog", set_error_log, "FILE|stderr", "the main server's", INS_IN_SERVER,
        "where errors are written"),
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
