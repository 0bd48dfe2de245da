/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CustomLog. A worker gathers its lines in a buffer a file and writes them once a
 * turn of the loop: whole lines in one write() to an O_APPEND descriptor, so
 * lines of several workers never mix. Only files with lines waiting hold a
 * buffer: ten thousand hosts may have a log each.
 */
#include "http/log_format.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "config/conf.h"
#include "config/logs.h"
#include "http/parts.h"
#include "http/request.h"
#include "util/log.h"

#define LOG_PART "http"

enum { BUFFER_SIZE = 64 * 1024 };

struct log_buffer {
    struct log_buffer *next; /* while nobody uses it */
    size_t used;
    char data[BUFFER_SIZE];
};

struct log_file {
    int fd;
    const char *path;
    struct log_buffer *buffer;   /* NULL: nothing waits */
    struct log_file *next_dirty; /* of those with a buffer */
    bool complained;
};

struct log_target {
    struct log_file *file;
    const struct log_format *format;
};

struct access_logs {
    apr_pool_t *pool;
    struct log_file *dirty;
    struct log_buffer *free;
    apr_hash_t *files;   /* descriptor -> struct log_file * */
    apr_hash_t *formats; /* text -> struct log_format * */
};

/* ---- Building ---- */

static const struct log_nickname predefined[] = {
    { "common", "%h %l %u %t \"%r\" %>s %b" },
    { "combined", "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"" },
};

static const char *find_nickname(const apr_array_header_t *list, const char *name)
{
    for (int i = list ? list->nelts : 0; i > 0; i--) {
        const struct log_nickname *nickname = &APR_ARRAY_IDX(list, i - 1, struct log_nickname);

        if (strcasecmp(nickname->name, name) == 0) {
            return nickname->format;
        }
    }
    return NULL;
}

/* The host's own nicknames, then the main server's, then ours. */
static const char *resolve_nickname(const struct http_app *app, const struct http_server_conf *conf,
                                    const char *name)
{
    const char *format = find_nickname(conf->log_formats, name);

    if (format == NULL) {
        format = find_nickname(http_server_conf(app->servers)->log_formats, name);
    }
    for (size_t i = 0; format == NULL && i < sizeof(predefined) / sizeof(predefined[0]); i++) {
        format = strcasecmp(predefined[i].name, name) == 0 ? predefined[i].format : NULL;
    }
    return format;
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
    const char *text =
        strchr(log->format, '%') ? log->format : resolve_nickname(app, conf, log->format);
    struct log_format *format;
    const char *error;

    if (text == NULL) {
        report_unknown(app, conf, log, diags);
        return NULL;
    }
    format = apr_hash_get(logs->formats, text, APR_HASH_KEY_STRING);
    if (format == NULL) {
        format = log_format_compile(text, &error, logs->pool);
        if (format == NULL) {
            conf_error(diags, log->node, 1, "%s", error);
            return NULL;
        }
        apr_hash_set(logs->formats, text, APR_HASH_KEY_STRING, format);
    }
    return format;
}

static struct log_file *find_file(struct access_logs *logs, int fd, const char *path)
{
    struct log_file *file = apr_hash_get(logs->files, &fd, sizeof(fd));

    if (file == NULL) {
        file = apr_pcalloc(logs->pool, sizeof(*file));
        file->fd = fd;
        file->path = path;
        apr_hash_set(logs->files, &file->fd, sizeof(file->fd), file);
    }
    return file;
}

static void add_targets(struct http_app *app, struct http_server_conf *conf,
                        const struct log_set *set, struct diags *diags)
{
    const apr_array_header_t *list = conf->custom_logs;

    conf->log_targets = apr_pcalloc(app->pool, (size_t)list->nelts * sizeof(struct log_target));
    for (int i = 0; i < list->nelts; i++) {
        const struct custom_log *log = &APR_ARRAY_IDX(list, i, struct custom_log);
        const struct log_format *format = find_format(app, conf, log, diags);
        int fd = set ? logs_find(set, log->path) : -1;

        if (format && fd >= 0) {
            struct log_target *target = &conf->log_targets[conf->log_target_count++];

            target->file = find_file(app->access_logs, fd, log->path);
            target->format = format;
        }
    }
}

void access_logs_finish(struct http_app *app, const struct log_set *logs, struct diags *diags)
{
    struct http_server_conf *main_conf = http_server_conf(app->servers);

    app->access_logs = apr_pcalloc(app->pool, sizeof(*app->access_logs));
    app->access_logs->pool = app->pool;
    app->access_logs->files = apr_hash_make(app->pool);
    app->access_logs->formats = apr_hash_make(app->pool);
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
            conf->log.fd = logs_find(logs, conf->error_log);
        }
    }
}

/* ---- Writing ---- */

/* What cannot be written is lost: a full disk must not stop the server. */
static void write_buffer(struct log_file *file)
{
    const char *at = file->buffer->data;
    size_t left = file->buffer->used;

    while (left > 0) {
        ssize_t n = write(file->fd, at, left);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            if (!file->complained) {
                log_error("INS01551", "cannot write to the log %s: %s", file->path,
                          strerror(errno));
            }
            file->complained = true;
            break;
        }
        at += n;
        left -= (size_t)n;
    }
    if (left == 0) {
        file->complained = false;
    }
    file->buffer->used = 0;
}

static void take_buffer(struct access_logs *logs, struct log_file *file)
{
    file->buffer = logs->free;
    if (file->buffer) {
        logs->free = file->buffer->next;
    }
    else {
        file->buffer = apr_palloc(logs->pool, sizeof(*file->buffer));
    }
    file->buffer->used = 0;
    file->next_dirty = logs->dirty;
    logs->dirty = file;
}

static void write_line(struct access_logs *logs, const struct log_target *target, struct request *q,
                       apr_time_t now)
{
    struct log_file *file = target->file;
    struct log_buffer *buffer;
    bool full = false;
    size_t len;

    if (file->buffer == NULL) {
        take_buffer(logs, file);
    }
    buffer = file->buffer;
    if (buffer->used < sizeof(buffer->data)) {
        len = log_format_write(target->format, q, now, buffer->data + buffer->used,
                               sizeof(buffer->data) - buffer->used, &full);
        if (!full || buffer->used == 0) {
            buffer->used += len;
            return;
        }
    }
    write_buffer(file);
    buffer->used =
        log_format_write(target->format, q, now, buffer->data, sizeof(buffer->data), &full);
}

void access_log_request(struct request *q, apr_time_t now)
{
    const ins_server *s = q->pub.server ? q->pub.server : q->app->servers;
    const struct http_server_conf *conf = http_server_conf(s);

    for (int i = 0; i < conf->log_target_count; i++) {
        write_line(q->app->access_logs, &conf->log_targets[i], q, now);
    }
}

void access_log_flush(struct http_app *app)
{
    struct access_logs *logs = app->access_logs;

    while (logs->dirty) {
        struct log_file *file = logs->dirty;

        logs->dirty = file->next_dirty;
        write_buffer(file);
        file->buffer->next = logs->free;
        logs->free = file->buffer;
        file->buffer = NULL;
    }
}
