/* SPDX-License-Identifier: Apache-2.0 */
/* httpd's ways to name a log: PATH, "|command", "||command", "|$command", syslog:facility:tag. */
#include "config/log_spec.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "config/paths.h"

enum { TAG_MAX = 32 };

/* RFC 3164, 4.1.1; the names are syslog.conf's. */
static const struct {
    const char *name;
    int number;
} facilities[] = {
    { "kern", 0 },      { "user", 1 },    { "mail", 2 },    { "daemon", 3 },  { "auth", 4 },
    { "syslog", 5 },    { "lpr", 6 },     { "news", 7 },    { "uucp", 8 },    { "cron", 9 },
    { "authpriv", 10 }, { "ftp", 11 },    { "local0", 16 }, { "local1", 17 }, { "local2", 18 },
    { "local3", 19 },   { "local4", 20 }, { "local5", 21 }, { "local6", 22 }, { "local7", 23 },
};
enum { FACILITIES = sizeof(facilities) / sizeof(facilities[0]) };

static const char *read_command(struct log_spec *spec, const char *text, apr_pool_t *pool)
{
    bool shell = *text == '$';

    text += *text == '$' || *text == '|';
    while (apr_isspace(*text)) {
        text++;
    }
    if (*text == '\0') {
        return "a command stands behind the '|': \"|/usr/bin/rotatelogs logs/access.%Y 86400\"";
    }
    spec->kind = LOG_COMMAND;
    spec->command = apr_pstrdup(pool, text);
    spec->shell = shell ? "/bin/sh" : NULL;
    spec->key = apr_pstrcat(pool, shell ? "|$" : "|", text, NULL);
    return NULL;
}

static bool is_tag(const char *text)
{
    size_t len = strlen(text);

    for (const char *c = text; *c; c++) {
        if (!apr_isalnum(*c) && strchr("_.-/", *c) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= TAG_MAX;
}

static const char *read_facility(struct log_spec *spec, const char *text, size_t len,
                                 apr_pool_t *pool)
{
    spec->facility = -1;
    for (int i = 0; i < FACILITIES; i++) {
        if (strncasecmp(facilities[i].name, text, len) == 0 && facilities[i].name[len] == '\0') {
            spec->facility = facilities[i].number;
            spec->key = facilities[i].name;
        }
    }
    return spec->facility >= 0
               ? NULL
               : apr_psprintf(pool,
                              "%.*s is no syslog facility: user, daemon, local0 to local7, ...",
                              (int)len, text);
}

/* Behind "syslog": nothing, ":facility", ":facility:tag" or "::tag". */
static const char *read_syslog(struct log_spec *spec, const char *text, apr_pool_t *pool)
{
    size_t len = *text == ':' ? strcspn(text + 1, ":") : 0;
    const char *tag = *text == ':' && text[1 + len] == ':' ? text + len + 2 : "";
    const char *error =
        len > 0 ? read_facility(spec, text + 1, len, pool) : read_facility(spec, "local7", 6, pool);

    if (error) {
        return error;
    }
    if (*tag && !is_tag(tag)) {
        return "a syslog tag has up to 32 letters, digits, '_', '.', '-' or '/'";
    }
    spec->kind = LOG_SYSLOG;
    spec->tag = apr_pstrdup(pool, *tag ? tag : "instar");
    spec->key = apr_pstrcat(pool, "syslog:", spec->key, ":", spec->tag, NULL);
    return NULL;
}

const char *log_spec_read(struct log_spec *spec, const char *server_root, const char *text,
                          apr_pool_t *pool)
{
    memset(spec, 0, sizeof(*spec));
    if (*text == '|') {
        return read_command(spec, text + 1, pool);
    }
    if (strncasecmp(text, "syslog", 6) == 0 && (text[6] == '\0' || text[6] == ':')) {
        return read_syslog(spec, text + 6, pool);
    }
    spec->kind = strcmp(text, "stderr") == 0 ? LOG_STDERR : LOG_FILE;
    spec->key = spec->kind == LOG_STDERR ? "stderr" : path_under(server_root, text, pool);
    return NULL;
}
