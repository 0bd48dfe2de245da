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
#include <unistd.h>

#include "util/log_line.h"

#define LOG_PART "util"

enum { PARTS_MAX = 256, PART_NAME = 64, TRACE_LEVELS = 8, NAME_BYTES = 4096 };

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

static int severity(ins_level level)
{
    return level < INS_DEBUG ? (int)level : (int)INS_DEBUG;
}

static void put(struct log_sink *sink, const struct line_facts *f, const char *words, size_t len)
{
    char line[LINE_MAX_BYTES];
    size_t taken;
    int error;

    len = line_make(line, sink, settings.json, f, words, len);
    error = sink_write(sink, severity(f->level), line, len, &taken);
    if (error == 0) {
        return;
    }
    if (sink_lost(sink, 1) && sink->fd != STDERR_FILENO) {
        char why[256];
        struct line_facts said = { .tag = "INS02200", .part = LOG_PART, .part_len = 4 };
        int n = snprintf(why, sizeof(why), "lines for %.160s are lost: %s", sink->name,
                         strerror(error));

        said.level = INS_ERR;
        len = line_make(line, &by_descriptor, settings.json, &said, why,
                        n > 0 ? strnlen(why, sizeof(why)) : 0);
        (void)!write(STDERR_FILENO, line, len);
    }
}

static void put_recovered(struct log_sink *sink, uint64_t lost)
{
    struct line_facts f = {
        .tag = "INS02201", .part = LOG_PART, .part_len = 4, .level = INS_WARNING
    };
    char words[128];
    int n = snprintf(words, sizeof(words),
                     "%" PRIu64 " lines of this process were lost; they are written again", lost);

    put(sink, &f, words, n > 0 ? (size_t)n : 0);
}

void log_vline(const struct log_host *host, const char *tag, const char *part, ins_level level,
               const struct log_about *about, const char *format, va_list args)
{
    struct log_sink *sink = host->sink ? host->sink : settings.sink;
    struct line_facts f = { .tag = tag, .part = part, .level = level };
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
