/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error log. Lines look like httpd's:
 *   [time] [part:level] [pid N:tid N] [id ID] [client A:P] INS01234: words
 * Each message has a tag of its own, never reused (test/layers checks). Tags by
 * part: config 010xx, master 011xx, builder 012xx, generation 013xx, worker
 * 014xx, http 015xx, tls 016xx, ipc 017xx, util 018xx, logs in all parts 022xx,
 * limits on workers 023xx; modules' own words have no tag.
 *
 * A line leaves in one piece (util/log_sink.h): lines of several processes
 * and threads never mix. Control characters in words are escaped. Any thread.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "instar.h"
#include "util/log_sink.h"

/* Where lines go from now on, inherited over fork. log_open() returns an errno
 * value; "stderr" is descriptor 2. The descriptor is CLOEXEC. */
int log_open(const char *path, int *fd);
void log_set_fd(int fd);
int log_fd(void);
/* The same to any sink, which must live on. */
void log_set_sink(struct log_sink *sink);
/* To a copy of sink, with a descriptor and strings of its own. 0 or errno. */
int log_take_sink(const struct log_sink *sink);
/* Gives that copy up; lines go to stderr. */
void log_drop_sink(void);
/* Its name, "" where there is none; and, of a file, another descriptor over its own. */
const char *log_sink_name(void);
void log_replace(int fd);
/* ErrorLogFormat json. */
void log_set_json(bool json);

/* LogLevel as a value. Of two for the same part the later one counts. */
struct log_part_level {
    const char *part; /* "ssl", "hello_module" or "hello" */
    ins_level level;
};
struct log_levels {
    ins_level level;
    int part_count;
    const struct log_part_level *parts;
};

/* What a virtual host may have of its own. */
struct log_host {
    struct log_sink *sink;           /* of its ErrorLog; NULL: the process's */
    const struct log_levels *levels; /* NULL: the process's */
};

/* LogLevel: for everything, then per part or module ("ssl", "hello_module" or
 * "hello"). Set while single-threaded. */
void log_set_level(ins_level level);
void log_set_part_level(const char *part, ins_level level);
void log_reset_levels(void);
/* -1 where name is no level. */
int log_level_from_name(const char *name);
const char *log_level_name(ins_level level);
/* INS_NOTICE always is, as in httpd. */
bool log_enabled(const char *part, ins_level level);
/* levels NULL: the process's own, as above. */
bool log_enabled_in(const struct log_levels *levels, const char *part, ins_level level);

/* tag: "INS01101" or NULL; client: "192.0.2.7:1234" or NULL. */
void log_line(const char *tag, const char *part, ins_level level, const char *client,
              const char *format, ...) INS_PRINTF(5, 6);

/* Whom a line is about; any of it may be NULL. */
struct log_about {
    const char *client; /* "192.0.2.7:1234" */
    const char *id;     /* the request's */
};
/* Nothing of its own. */
extern const struct log_host log_process;

/* The same where a virtual host has an ErrorLog or a LogLevel of its own. */
void log_vline(const struct log_host *host, const char *tag, const char *part, ins_level level,
               const struct log_about *about, const char *format, va_list args) INS_PRINTF(6, 0);

/* One for each part, in its own files: #define LOG_PART "master" first. */
#define log_emerg(tag, ...) log_line(tag, LOG_PART, INS_EMERG, NULL, __VA_ARGS__)
#define log_error(tag, ...) log_line(tag, LOG_PART, INS_ERR, NULL, __VA_ARGS__)
#define log_warning(tag, ...) log_line(tag, LOG_PART, INS_WARNING, NULL, __VA_ARGS__)
#define log_notice(tag, ...) log_line(tag, LOG_PART, INS_NOTICE, NULL, __VA_ARGS__)
#define log_info(tag, ...) log_line(tag, LOG_PART, INS_INFO, NULL, __VA_ARGS__)
#define log_debug(tag, ...) log_line(tag, LOG_PART, INS_DEBUG, NULL, __VA_ARGS__)

#endif
