/* SPDX-License-Identifier: Apache-2.0 */
/* Access log lines between a request and the disk, the pipe, syslog. */
#include "http/access_log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "config/logs.h"
#include "http/log_format.h"
#include "http/request.h"
#include "util/log.h"

#define LOG_PART "http"

enum {
    BUFFER_SIZE = 64 * 1024,
    RETRY_FULL_MS = 5,     /* a pipe's reader is a process that is running */
    RETRY_FAILED_MS = 100, /* a disk, a syslog that is down */
    SEVERITY_INFO = 6
};

struct log_buffer {
    struct log_buffer *next;
    size_t written, used;
    char data[BUFFER_SIZE];
};

struct access_logs *log_lines_create(const struct log_set *set, apr_pool_t *pool)
{
    struct access_logs *logs = apr_pcalloc(pool, sizeof(*logs));

    logs->pool = pool;
    logs->files = apr_hash_make(pool);
    logs->formats = apr_hash_make(pool);
    logs->set = set;
    if (set) {
        logs->buffered = set->buffered;
        logs->flush_ms = set->flush_ms;
        logs->buffers_max = set->buffer_bytes / BUFFER_SIZE;
    }
    return logs;
}

struct log_file *log_lines_file(struct access_logs *logs, struct log_sink *sink)
{
    struct log_file *file = apr_hash_get(logs->files, &sink, sizeof(sink));

    if (file == NULL) {
        file = apr_pcalloc(logs->pool, sizeof(*file));
        file->sink = sink;
        apr_hash_set(logs->files, &file->sink, sizeof(file->sink), file);
    }
    return file;
}

/* ---- Buffers ------------------------------------------------------------ */

static struct log_buffer *new_buffer(struct access_logs *logs)
{
    struct log_buffer *buffer = logs->free;

    if (buffer) {
        logs->free = buffer->next;
    }
    else {
        buffer = apr_palloc(logs->pool, sizeof(*buffer));
    }
    buffer->next = NULL;
    buffer->written = buffer->used = 0;
    return buffer;
}

/* Another one at the end of file's; false: its share and the common one are used up. */
static bool add_buffer(struct access_logs *logs, struct log_file *file)
{
    struct log_buffer *buffer;

    if (file->first && logs->buffers_used >= logs->buffers_max) {
        return false;
    }
    buffer = new_buffer(logs);
    if (file->first) {
        logs->buffers_used++;
        file->last->next = buffer;
    }
    else {
        file->first = buffer;
        file->due = logs->buffered ? logs->now + logs->flush_ms : 0;
        file->next_dirty = logs->dirty;
        logs->dirty = file;
    }
    file->last = buffer;
    return true;
}

static void drop_first(struct access_logs *logs, struct log_file *file)
{
    struct log_buffer *buffer = file->first;

    file->first = buffer->next;
    if (file->first) {
        logs->buffers_used--;
    }
    else {
        file->last = NULL;
    }
    buffer->next = logs->free;
    logs->free = buffer;
}

/* ---- Trouble ------------------------------------------------------------ */

static void say_trouble(struct log_file *file, int error)
{
    if (!file->troubled) {
        file->troubled = true;
        log_error("INS02202", "cannot write to the log %s: %s; its lines wait", file->sink->name,
                  strerror(error));
    }
}

static void lose(struct log_file *file, uint64_t lines)
{
    if (sink_lost(file->sink, lines)) {
        log_error("INS02203", "the log %s takes no more lines: they are lost and counted",
                  file->sink->name);
    }
}

static void say_recovered(struct log_file *file)
{
    uint64_t lost = sink_recovered(file->sink);

    if (lost > 0 || file->troubled) {
        file->troubled = false;
        log_warning("INS02204", "the log %s is written again; %" PRIu64 " lines were lost",
                    file->sink->name, lost);
    }
}

/* ---- Writing ------------------------------------------------------------ */

/* 0, or why something still waits. */
static int write_buffers(struct access_logs *logs, struct log_file *file)
{
    while (file->first) {
        struct log_buffer *buffer = file->first;
        size_t taken;
        int error = sink_write(file->sink, SEVERITY_INFO, buffer->data + buffer->written,
                               buffer->used - buffer->written, &taken);

        buffer->written += taken;
        if (error) {
            return error;
        }
        drop_first(logs, file);
    }
    return 0;
}

static void try_file(struct access_logs *logs, struct log_file *file)
{
    int error = write_buffers(logs, file);

    file->blocked = error != 0;
    if (error == 0) {
        say_recovered(file);
    }
    else if (error == EAGAIN || error == ENOBUFS) {
        file->due = logs->now + RETRY_FULL_MS;
    }
    else {
        say_trouble(file, error);
        file->due = logs->now + RETRY_FAILED_MS;
    }
}

/* With all: also those whose time has not come. */
static void try_all(struct access_logs *logs, bool all)
{
    struct log_file *file = logs->dirty, *next;

    logs->dirty = NULL;
    for (; file; file = next) {
        next = file->next_dirty;
        if (all || file->due <= logs->now || (file->first->next && !file->blocked)) {
            try_file(logs, file);
        }
        if (file->first) {
            file->next_dirty = logs->dirty;
            logs->dirty = file;
        }
    }
}

void access_log_turn(struct http_app *app, int64_t now)
{
    struct access_logs *logs = app->access_logs;

    logs->now = now;
    if (logs->dirty) {
        try_all(logs, false);
    }
}

int access_log_wait(const struct http_app *app, int64_t now)
{
    int64_t wait = INT64_MAX;

    for (const struct log_file *file = app->access_logs->dirty; file; file = file->next_dirty) {
        int64_t left = file->due > now ? file->due - now : 0;

        wait = left < wait ? left : wait;
    }
    return wait == INT64_MAX ? -1 : wait < INT_MAX ? (int)wait : INT_MAX;
}

void access_log_flush(struct http_app *app)
{
    try_all(app->access_logs, true);
}

void access_log_replace(struct http_app *app, const char *key, int fd)
{
    if (app->access_logs->set) {
        (void)logs_replace(app->access_logs->set, key, fd);
    }
}

/* ---- The end ------------------------------------------------------------ */

static uint64_t waiting_lines(const struct log_file *file)
{
    uint64_t lines = 0;

    for (const struct log_buffer *b = file->first; b; b = b->next) {
        for (size_t i = b->written; i < b->used; i++) {
            lines += b->data[i] == '\n';
        }
    }
    return lines;
}

void access_log_rescue(const struct http_app *app)
{
    for (const struct log_file *file = app->access_logs->dirty; file; file = file->next_dirty) {
        int error = file->sink->kind == SINK_SYSLOG; /* local time takes a lock */

        for (const struct log_buffer *b = file->first; b && error == 0; b = b->next) {
            size_t taken;

            error = sink_write(file->sink, SEVERITY_INFO, b->data + b->written,
                               b->used - b->written, &taken);
        }
    }
}

void access_log_end(struct http_app *app, int wait)
{
    const struct timespec pause = { .tv_nsec = RETRY_FULL_MS * 1000000L };
    struct access_logs *logs = app->access_logs;

    try_all(logs, true);
    for (; logs->dirty && wait > 0; wait -= RETRY_FULL_MS) {
        (void)nanosleep(&pause, NULL);
        try_all(logs, true);
    }
    for (struct log_file *file = logs->dirty; file; file = file->next_dirty) {
        uint64_t lines = waiting_lines(file);

        (void)sink_lost(file->sink, lines);
        log_error("INS02205", "the worker ends; %" PRIu64 " lines for the log %s are lost", lines,
                  file->sink->name);
    }
}

/* ---- A line ------------------------------------------------------------- */

/* False: there is no room for it in this buffer. */
static bool put_line(struct log_file *file, const struct log_format *format, struct request *q,
                     apr_time_t now)
{
    struct log_buffer *buffer = file->last;
    size_t room = sizeof(buffer->data) - buffer->used;
    size_t max = sink_line_max(file->sink);
    char *at = buffer->data + buffer->used;
    bool full;
    size_t len;

    if (room < 2) {
        return false;
    }
    len = log_format_write(format, q, now, at, room < max ? room : max, &full);
    if (full && room < max && buffer->used > 0) {
        return false;
    }
    if (full) {
        len = log_format_write_short(format, q, now, at, room < max ? room : max);
    }
    buffer->used += len;
    return true;
}

void log_lines_add(struct access_logs *logs, const struct log_target *target, struct request *q,
                   apr_time_t now)
{
    struct log_file *file = target->file;

    if (file->first == NULL && !add_buffer(logs, file)) {
        return;
    }
    if (put_line(file, target->format, q, now)) {
        return;
    }
    if (!file->blocked && !logs->buffered) {
        try_file(logs, file); /* many lines in one turn */
    }
    if (file->first == NULL) {
        file->first = file->last = new_buffer(logs); /* it is among the dirty ones already */
    }
    else if (!add_buffer(logs, file)) {
        lose(file, 1);
        return;
    }
    (void)put_line(file, target->format, q, now);
}
