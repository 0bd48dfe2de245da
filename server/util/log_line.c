/* SPDX-License-Identifier: Apache-2.0 */
/* What a line of the error log looks like, for people and in JSON. */
#include "util/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/json_text.h"
#include "util/utf8.h"

/* "Mon Nov 23 06:43:05.123456 2026"; localtime_r() takes a lock and reads the
 * zone, so each thread keeps the last second's text. */
static size_t format_time(char *out, size_t size)
{
    static _Thread_local struct {
        time_t second;
        char day[32], year[12];
    } cache;
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != cache.second || cache.day[0] == '\0') {
        struct tm tm;

        if (!localtime_r(&now.tv_sec, &tm)) {
            memset(&tm, 0, sizeof(tm));
        }
        (void)strftime(cache.day, sizeof(cache.day), "%a %b %d %H:%M:%S", &tm);
        (void)strftime(cache.year, sizeof(cache.year), "%Y", &tm);
        cache.second = now.tv_sec;
    }
    return (size_t)snprintf(out, size, "%s.%06ld %s", cache.day, now.tv_nsec / 1000, cache.year);
}

static bool is_plain(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];

    if (n == 0 || c < 0x20 || c == 0x7f) {
        return false;
    }
    /* U+0080 to U+009F: control characters too, some terminals obey them */
    return !(c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

/* Copies what fits, control characters and bytes that are no text as \xNN. */
static size_t escape_words(char *out, size_t size, const char *words, size_t len)
{
    size_t used = 0;

    while (len > 0 && words[len - 1] == '\n') {
        len--;
    }
    while (len > 0) {
        size_t n = utf8_length(words, len);
        size_t need = 4;

        if (is_plain(words, n)) {
            need = n;
        }
        else {
            n = 1;
        }
        if (used + need > size) {
            break;
        }
        if (need == n) {
            memcpy(out + used, words, n);
        }
        else {
            static const char hex[] = "0123456789abcdef";
            unsigned char c = (unsigned char)*words;
            const char code[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

            memcpy(out + used, code, sizeof(code));
        }
        used += need;
        words += n;
        len -= n;
    }
    return used;
}

/* A line that is being made; text that does not fit is cut. */
struct line {
    char *text;
    size_t used, size; /* one byte is kept for the newline */
};

static void INS_PRINTF(2, 3) add(struct line *line, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line->text + line->used, line->size - line->used, format, args);
    va_end(args);
    if (n > 0) {
        line->used += (size_t)n;
    }
    if (line->used > line->size - 1) {
        line->used = line->size - 1;
    }
}

static void add_text(struct line *line, const struct line_facts *f, bool timed, const char *words,
                     size_t len)
{
    char when[64];

    if (timed) {
        (void)format_time(when, sizeof(when));
        add(line, "[%s] ", when);
    }
    add(line, "[%.*s:%s] [pid %ld:tid %ld] ", f->part_len, f->part, log_level_name(f->level),
        (long)getpid(), (long)gettid());
    if (f->about.id) {
        add(line, "[id %.128s] ", f->about.id);
    }
    if (f->about.client) {
        add(line, "[client %.128s] ", f->about.client);
    }
    if (f->tag) {
        add(line, "%.16s: ", f->tag);
    }
    line->used += escape_words(line->text + line->used, line->size - 1 - line->used, words, len);
}

/* "2026-11-27T10:04:05.123456Z" */
static void add_json_time(struct line *line)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &tm) || strftime(when, sizeof(when), "%FT%T", &tm) == 0) {
        when[0] = '\0';
    }
    add(line, "{\"time\":\"%s.%06ldZ\"", when, now.tv_nsec / 1000);
}

static void add_json_string(struct line *line, const char *name, const char *text, size_t len)
{
    static const char end[] = "\"}";
    size_t room, read;

    add(line, ",\"%s\":\"", name);
    room = line->size - 1 - line->used;
    room = room > sizeof(end) ? room - sizeof(end) : 0;
    line->used += json_text(line->text + line->used, room, text, len, &read);
    add(line, "\"");
}

static void add_json(struct line *line, const struct line_facts *f, const char *words, size_t len)
{
    add_json_time(line);
    add(line, ",\"level\":\"%s\",\"pid\":%ld,\"tid\":%ld", log_level_name(f->level), (long)getpid(),
        (long)gettid());
    add_json_string(line, "part", f->part, (size_t)f->part_len);
    if (f->about.id) {
        add_json_string(line, "request_id", f->about.id, strnlen(f->about.id, 128));
    }
    if (f->about.client) {
        add_json_string(line, "client", f->about.client, strnlen(f->about.client, 128));
    }
    if (f->tag) {
        add_json_string(line, "tag", f->tag, strnlen(f->tag, 16));
    }
    while (len > 0 && words[len - 1] == '\n') {
        len--;
    }
    add_json_string(line, "message", words, len);
    add(line, "}");
}

size_t line_make(char out[LINE_MAX_BYTES], const struct log_sink *sink, bool json,
                 const struct line_facts *f, const char *words, size_t len)
{
    size_t max = sink_line_max(sink);
    struct line line = { .text = out, .size = max < LINE_MAX_BYTES ? max : LINE_MAX_BYTES };

    if (json) {
        add_json(&line, f, words, len);
    }
    else {
        add_text(&line, f, sink->kind != SINK_SYSLOG, words, len);
    }
    out[line.used++] = '\n';
    return line.used;
}
