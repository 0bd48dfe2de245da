/* SPDX-License-Identifier: Apache-2.0 */
/* CustomLog: from the config to a list of logs and formats for each host, and from a
 * request to those that want a line of it. */
#include "http/access_log.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "config/conf.h"
#include "config/logs.h"
#include "http/log_format.h"
#include "http/parts.h"
#include "http/request.h"

/* ---- Building ---- */

static const struct log_nickname predefined[] = {
    { "common", "%h %l %u %t \"%r\" %>s %b", false },
    { "combined", "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"", false },
    { "json",
      "{\"time\":\"%{rfc3339}t\",\"client\":\"%a\",\"user\":\"%u\",\"host\":\"%V\","
      "\"method\":\"%m\",\"uri\":\"%U%q\",\"protocol\":\"%H\",\"status\":%>s,\"bytes\":%B,"
      "\"duration_us\":%D,\"referer\":\"%{Referer}i\",\"user_agent\":\"%{User-Agent}i\","
      "\"tls_protocol\":\"%{SSL_PROTOCOL}x\",\"tls_cipher\":\"%{SSL_CIPHER}x\","
      "\"request_id\":\"%L\",\"generation\":%{generation}P,\"worker\":%{worker}P,\"pid\":%P}",
      true },
};

static const struct log_nickname *find_nickname(const apr_array_header_t *list, const char *name)
{
    for (int i = list ? list->nelts : 0; i > 0; i--) {
        const struct log_nickname *nickname = &APR_ARRAY_IDX(list, i - 1, struct log_nickname);

        if (strcasecmp(nickname->name, name) == 0) {
            return nickname;
        }
    }
    return NULL;
}

/* The host's own nicknames, then the main server's, then ours. */
static const struct log_nickname *resolve_nickname(const struct http_app *app,
                                                   const struct http_server_conf *conf,
                                                   const char *name)
{
    const struct log_nickname *found = find_nickname(conf->log_formats, name);

    if (found == NULL) {
        found = find_nickname(http_server_conf(app->servers)->log_formats, name);
    }
    for (size_t i = 0; found == NULL && i < sizeof(predefined) / sizeof(predefined[0]); i++) {
        found = strcasecmp(predefined[i].name, name) == 0 ? &predefined[i] : NULL;
    }
    return found;
}

static void add_nicknames(apr_array_header_t *names, const apr_array_header_t *list)
{
    for (int i = 0; list && i < list->nelts; i++) {
        APR_ARRAY_PUSH(names, const char *) = APR_ARRAY_IDX(list, i, struct log_nickname).name;
    }
}

static void report_unknown(const struct http_app *app, const struct http_server_conf *conf,
                           const struct custom_log *log, struct diags *diags)
{
    apr_array_header_t *names = apr_array_make(app->pool, 8, sizeof(const char *));
    const char *near;

    add_nicknames(names, conf->log_formats);
    add_nicknames(names, http_server_conf(app->servers)->log_formats);
    for (size_t i = 0; i < sizeof(predefined) / sizeof(predefined[0]); i++) {
        APR_ARRAY_PUSH(names, const char *) = predefined[i].name;
    }
    near = conf_nearest(log->format, (const char *const *)(void *)names->elts, names->nelts);
    conf_error(diags, log->node, 1, "no LogFormat is called %s%s%s%s", log->format,
               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static const struct log_format *find_format(struct http_app *app,
                                            const struct http_server_conf *conf,
                                            const struct custom_log *log, struct diags *diags)
{
    struct access_logs *logs = app->access_logs;
    const struct log_nickname given = { NULL, log->format, false };
    const struct log_nickname *nickname =
        strchr(log->format, '%') ? &given : resolve_nickname(app, conf, log->format);
    struct log_format *format;
    const char *error, *key;

    if (nickname == NULL) {
        report_unknown(app, conf, log, diags);
        return NULL;
    }
    key = apr_pstrcat(logs->pool, nickname->json ? "j" : "t", nickname->format, NULL);
    format = apr_hash_get(logs->formats, key, APR_HASH_KEY_STRING);
    if (format == NULL) {
        format = log_format_compile(nickname->format, nickname->json, &error, logs->pool);
        if (format == NULL) {
            conf_error(diags, log->node, 1, "%s", error);
            return NULL;
        }
        apr_hash_set(logs->formats, key, APR_HASH_KEY_STRING, format);
    }
    return format;
}

static void add_targets(struct http_app *app, struct http_server_conf *conf,
                        const struct log_set *set, struct diags *diags)
{
    const apr_array_header_t *list = conf->custom_logs;

    conf->log_targets = apr_pcalloc(app->pool, (size_t)list->nelts * sizeof(struct log_target));
    for (int i = 0; i < list->nelts; i++) {
        const struct custom_log *log = &APR_ARRAY_IDX(list, i, struct custom_log);
        const struct log_format *format = find_format(app, conf, log, diags);
        struct log_sink *sink = set ? logs_sink(set, log->path) : NULL;

        if (format && sink) {
            struct log_target *target = &conf->log_targets[conf->log_target_count++];

            target->file = log_lines_file(app->access_logs, sink);
            target->format = format;
            target->env = log->env;
            target->env_not = log->env_not;
        }
    }
}

void access_logs_finish(struct http_app *app, const struct log_set *logs, struct diags *diags)
{
    struct http_server_conf *main_conf = http_server_conf(app->servers);

    app->access_logs = log_lines_create(logs, app->pool);
    for (ins_server *s = app->servers; s; s = s->next) {
        struct http_server_conf *conf = http_server_conf(s);

        if (s != app->servers && conf->custom_logs == main_conf->custom_logs) {
            conf->log_targets = main_conf->log_targets;
            conf->log_target_count = main_conf->log_target_count;
        }
        else if (conf->custom_logs) {
            add_targets(app, conf, logs, diags);
        }
        if (s != app->servers && conf->error_log && logs) {
            conf->log.sink = logs_sink(logs, conf->error_log);
        }
    }
}

/* ---- Choosing ---- */

/* httpd looks among the request's variables alone; modules here may have set a note. */
static bool applies(const struct log_target *target, const struct request *q)
{
    bool set;

    if (target->env == NULL) {
        return true;
    }
    set = apr_table_get(q->pub.subprocess_env, target->env) != NULL ||
          apr_table_get(q->pub.notes, target->env) != NULL;
    return set != target->env_not;
}

void access_log_request(struct request *q, apr_time_t now)
{
    const ins_server *s = q->pub.server ? q->pub.server : q->app->servers;
    const struct http_server_conf *conf = http_server_conf(s);

    for (int i = 0; i < conf->log_target_count; i++) {
        if (applies(&conf->log_targets[i], q)) {
            log_lines_add(q->app->access_logs, &conf->log_targets[i], q, now);
        }
    }
}
