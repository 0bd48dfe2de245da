/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CustomLog: which lines go where (access_log.c), and how they get there
 * (log_lines.c). A worker gathers its lines in buffers, a chain for each log, and writes
 * them once a turn of the loop, or with BufferedLogs once in LogFlushInterval. What
 * a full disk or a slow reader does not take goes on waiting, up to LogBufferSize for all
 * logs of the worker together, beside one buffer that each log may have; what comes
 * beyond is lost, counted and said. Loop's thread alone.
 */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_hash.h>
#include <apr_pools.h>
#include <apr_time.h>

struct log_buffer;
struct log_format;
struct log_set;
struct log_sink;
struct request;

/* A log that lines wait for, or may. */
struct log_file {
    struct log_sink *sink;
    struct log_buffer *first, *last; /* NULL: nothing waits */
    struct log_file *next_dirty;     /* of those where something waits */
    int64_t due;                     /* of the next try; the loop's clock, ms */
    bool blocked;                    /* the last try failed: due alone counts */
    bool troubled;                   /* in a way that was worth a word */
};

struct log_target {
    struct log_file *file;
    const struct log_format *format;
    const char *env; /* NULL: every request */
    bool env_not;
};

struct access_logs {
    apr_pool_t *pool;
    const struct log_set *set;
    bool buffered;
    int64_t flush_ms;
    size_t buffers_max, buffers_used; /* beyond a log's first */
    int64_t now;                      /* the loop's clock, as of its last turn */
    struct log_file *dirty;
    struct log_buffer *free;
    apr_hash_t *files;   /* sink -> struct log_file * */
    apr_hash_t *formats; /* text -> struct log_format * */
};

/* set may be NULL: a check. */
struct access_logs *log_lines_create(const struct log_set *set, apr_pool_t *pool);
struct log_file *log_lines_file(struct access_logs *logs, struct log_sink *sink);
void log_lines_add(struct access_logs *logs, const struct log_target *target, struct request *q,
                   apr_time_t now);

#endif
