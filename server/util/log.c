/* SPDX-License-Identifier: Apache-2.0 */
/* The error log's lines. Any thread may write one at any time, so a line is
 * made on the caller's stack and leaves in one piece.
 * Levels are set while the process has one thread and only read afterwards. */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "util/json_text.h"
#include "util/utf8.h"

#define LOG_PART "util"

enum {
    LINE_MAX_BYTES = 8192,
    PARTS_MAX = 256,
    PART_NAME = 64,
    TRACE_LEVELS = 8,
    NAME_BYTES = 4096
};

static const char *const level_names[] = { "emerg",  "alert", "crit",  "error", "warn",
                                           "notice", "info",  "debug", "trace1" };

/* Where lines go until a log is known, and of a process that has no set of logs. */
static struct log_sink by_descriptor = { .name = "the error log", .fd = STDERR_FILENO };

static struct {
    struct log_sink *sink;
    bool json;
    struct log_levels levels;
    struct log_part_level parts[PARTS_MAX];
    char names[PARTS_MAX][PART_NAME];
} settings = { .sink = &by_descriptor,
               .levels = { .level = INS_WARNING, .parts = settings.parts } };

const struct log_host log_process = { .sink = NULL, .levels = NULL };

int log_open(const char *path, int *fd)
{
    if (strcmp(path, "stderr") == 0) {
        *fd = STDERR_FILENO;
        return 0;
    }
    /* O_NONBLOCK: a fifo that nobody reads must not stop the server */
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    return *fd < 0 ? errno : 0;
}

void log_set_fd(int fd)
{
    sink_init(&by_descriptor, "the error log", fd);
    settings.sink = &by_descriptor;
}

int log_fd(void)
{
    return settings.sink->fd;
}

void log_set_sink(struct log_sink *sink)
{
    settings.sink = sink;
}

static struct log_sink own = { .fd = -1 };

int log_take_sink(const struct log_sink *sink)
{
    static char name[NAME_BYTES], tag[PART_NAME], socket[PART_NAME * 2];
    int before = own.fd, copy = fcntl(sink->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (copy < 0) {
        return errno;
    }
    (void)snprintf(name, sizeof(name), "%s", sink->name);
    sink_init(&own, name, copy);
    if (sink->kind == SINK_SYSLOG) {
        struct sink_syslog syslog = { socket, tag, sink->syslog.facility };

        (void)snprintf(tag, sizeof(tag), "%s", sink->syslog.tag);
        (void)snprintf(socket, sizeof(socket), "%s", sink->syslog.socket);
        sink_init_syslog(&own, name, copy, &syslog);
    }
    settings.sink = &own;
    if (before >= 0) {
        (void)close(before);
    }
    return 0;
}

void log_drop_sink(void)
{
    if (settings.sink == &own) {
        log_set_fd(STDERR_FILENO);
    }
    if (own.fd >= 0) {
        (void)close(own.fd);
        own.fd = -1;
    }
}

const char *log_sink_name(void)
{
    return settings.sink == &own ? own.name : "";
}

void log_replace(int fd)
{
    if (settings.sink == &own && own.fd >= 0 && dup3(fd, own.fd, O_CLOEXEC) >= 0) {
        atomic_store(&own.torn, false);
    }
}

void log_set_json(bool json)
{
    settings.json = json;
}

void log_set_level(ins_level level)
{
    settings.levels.level = level;
}

/* "hello_module" and "hello" name the same thing. */
static size_t part_length(const char *part)
{
    static const char suffix[] = "_module";
    size_t len = strlen(part), tail = sizeof(suffix) - 1;

    return len > tail && strcasecmp(part + len - tail, suffix) == 0 ? len - tail : len;
}

static int part_find(const struct log_levels *levels, const char *part)
{
    size_t len = part_length(part);
    int i = levels->part_count - 1;

    for (; i >= 0; i--) {
        const char *name = levels->parts[i].part;

        if (strncasecmp(name, part, len) == 0 && part_length(name) == len) {
            break;
        }
    }
    return i;
}

void log_set_part_level(const char *part, ins_level level)
{
    size_t len = part_length(part);
    int i = part_find(&settings.levels, part);

    if (i < 0) {
        if (settings.levels.part_count == PARTS_MAX || len >= PART_NAME) {
            return;
        }
        i = settings.levels.part_count++;
        memcpy(settings.names[i], part, len);
        settings.names[i][len] = '\0';
        settings.parts[i].part = settings.names[i];
    }
    settings.parts[i].level = level;
}

void log_reset_levels(void)
{
    settings.levels.level = INS_WARNING;
    settings.levels.part_count = 0;
}

int log_level_from_name(const char *name)
{
    for (int i = 0; i <= INS_TRACE1; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            return i;
        }
    }
    /* httpd knows trace1 to trace8; here there is one */
    if (strncasecmp(name, "trace", 5) == 0 && name[5] >= '1' && name[5] <= '0' + TRACE_LEVELS &&
        name[6] == '\0') {
        return INS_TRACE1;
    }
    return -1;
}

const char *log_level_name(ins_level level)
{
    return level_names[level];
}

bool log_enabled_in(const struct log_levels *levels, const char *part, ins_level level)
{
    int i;

    /* as in httpd: what the server has to say about itself is always said */
    if (level == INS_NOTICE) {
        return true;
    }
    levels = levels ? levels : &settings.levels;
    i = part_find(levels, part);
    return level <= (i >= 0 ? levels->parts[i].level : levels->level);
}

bool log_enabled(const char *part, ins_level level)
{
    return log_enabled_in(NULL, part, level);
}

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

/* What a line says beside its words. */
struct facts {
    const char *tag, *part;
    int part_len;
    ins_level level;
    struct log_about about;
};

static void add_text(struct line *line, const struct facts *f, bool timed, const char *words,
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

static void add_json(struct line *line, const struct facts *f, const char *words, size_t len)
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

static size_t make_line(char *out, const struct log_sink *sink, const struct facts *f,
                        const char *words, size_t len)
{
    size_t max = sink_line_max(sink);
    struct line line = { .text = out, .size = max < LINE_MAX_BYTES ? max : LINE_MAX_BYTES };

    if (settings.json) {
        add_json(&line, f, words, len);
    }
    else {
        add_text(&line, f, sink->kind != SINK_SYSLOG, words, len);
    }
    out[line.used++] = '\n';
    return line.used;
}

static int severity(ins_level level)
{
    return level < INS_DEBUG ? (int)level : (int)INS_DEBUG;
}

static void put(struct log_sink *sink, const struct facts *f, const char *words, size_t len)
{
    char line[LINE_MAX_BYTES];
    size_t taken;
    int error;

    len = make_line(line, sink, f, words, len);
    error = sink_write(sink, severity(f->level), line, len, &taken);
    if (error == 0) {
        return;
    }
    if (sink_lost(sink, 1) && sink->fd != STDERR_FILENO) {
        char why[256];
        struct facts said = { .tag = "INS02200", .part = LOG_PART, .part_len = 4 };
        int n = snprintf(why, sizeof(why), "lines for %.160s are lost: %s", sink->name,
                         strerror(error));

        said.level = INS_ERR;
        len = make_line(line, &by_descriptor, &said, why, n > 0 ? strnlen(why, sizeof(why)) : 0);
        (void)!write(STDERR_FILENO, line, len);
    }
}

static void put_recovered(struct log_sink *sink, uint64_t lost)
{
    struct facts f = { .tag = "INS02201", .part = LOG_PART, .part_len = 4, .level = INS_WARNING };
    char words[128];
    int n = snprintf(words, sizeof(words),
                     "%" PRIu64 " lines of this process were lost; they are written again", lost);

    put(sink, &f, words, n > 0 ? (size_t)n : 0);
}

void log_vline(const struct log_host *host, const char *tag, const char *part, ins_level level,
               const struct log_about *about, const char *format, va_list args)
{
    struct log_sink *sink = host->sink ? host->sink : settings.sink;
    struct facts f = { .tag = tag, .part = part, .level = level };
    char words[LINE_MAX_BYTES];
    int saved = errno, n;
    uint64_t lost;

    if (!log_enabled_in(host->levels, part, level)) {
        return;
    }
    f.part_len = (int)part_length(part);
    f.about = about ? *about : f.about;
    n = vsnprintf(words, sizeof(words), format, args); /* %m means the caller's errno */
    lost = atomic_load_explicit(&sink->lost, memory_order_relaxed);
    if (n > 0) {
        put(sink, &f, words, (size_t)n < sizeof(words) ? (size_t)n : sizeof(words) - 1);
    }
    if (lost > 0 && atomic_load(&sink->lost) == lost && (lost = sink_recovered(sink)) > 0) {
        put_recovered(sink, lost);
    }
    errno = saved;
}

void log_line(const char *tag, const char *part, ins_level level, const char *client,
              const char *format, ...)
{
    const struct log_about about = { .client = client };
    va_list args;

    va_start(args, format);
    log_vline(&log_process, tag, part, level, &about, format, args);
    va_end(args);
}
