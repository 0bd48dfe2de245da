/* SPDX-License-Identifier: Apache-2.0 */
/* The error log's lines. Any thread may write one at any time, so a line is
 * made on the caller's stack and leaves in one write(); nothing is locked.
 * Levels are set while the process has one thread and only read afterwards. */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "util/utf8.h"

enum { LINE_MAX_BYTES = 8192, PARTS_MAX = 256, PART_NAME = 64, TRACE_LEVELS = 8 };

static const char *const level_names[] = { "emerg",  "alert", "crit",  "error", "warn",
                                           "notice", "info",  "debug", "trace1" };

static struct {
    int fd;
    struct log_levels levels;
    struct log_part_level parts[PARTS_MAX];
    char names[PARTS_MAX][PART_NAME];
} settings = { .fd = STDERR_FILENO, .levels = { .level = INS_WARNING, .parts = settings.parts } };

const struct log_host log_process = { .fd = -1, .levels = NULL };

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
    settings.fd = fd;
}

int log_fd(void)
{
    return settings.fd;
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

/* snprintf() at *used of line, which never passes the line's end. */
static void INS_PRINTF(3, 4) add(char *line, size_t *used, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line + *used, LINE_MAX_BYTES - *used, format, args);
    va_end(args);
    if (n > 0) {
        *used += (size_t)n;
    }
    if (*used > LINE_MAX_BYTES - 1) {
        *used = LINE_MAX_BYTES - 1;
    }
}

static size_t INS_PRINTF(6, 0)
    make_line(char *line, const char *tag, const char *part, ins_level level, const char *client,
              const char *format, va_list args)
{
    char words[LINE_MAX_BYTES], when[64];
    size_t used = 0;
    int saved = errno, n;

    (void)format_time(when, sizeof(when));
    add(line, &used, "[%s] [%.*s:%s] [pid %ld:tid %ld] ", when, (int)part_length(part), part,
        log_level_name(level), (long)getpid(), (long)gettid());
    if (client) {
        add(line, &used, "[client %.128s] ", client);
    }
    if (tag) {
        add(line, &used, "%.16s: ", tag);
    }
    errno = saved; /* %m means the caller's */
    n = vsnprintf(words, sizeof(words), format, args);
    if (n > 0) {
        size_t len = (size_t)n < sizeof(words) ? (size_t)n : sizeof(words) - 1;

        used += escape_words(line + used, LINE_MAX_BYTES - 1 - used, words, len);
    }
    line[used++] = '\n';
    return used;
}

void log_vline(const struct log_host *host, const char *tag, const char *part, ins_level level,
               const char *client, const char *format, va_list args)
{
    const int fd = host->fd < 0 ? settings.fd : host->fd;
    char line[LINE_MAX_BYTES];
    int saved = errno;
    size_t len;

    if (!log_enabled_in(host->levels, part, level)) {
        return;
    }
    len = make_line(line, tag, part, level, client, format, args);
    while (write(fd, line, len) < 0 && errno == EINTR) {
        continue;
    }
    errno = saved;
}

void log_line(const char *tag, const char *part, ins_level level, const char *client,
              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vline(&log_process, tag, part, level, client, format, args);
    va_end(args);
}
