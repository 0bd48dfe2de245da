/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LogFormat: httpd's language, compiled once into a list of items, each of which
 * writes its text straight into the log's buffer. Loop's thread alone.
 */
#ifndef HTTP_LOG_FORMAT_H
#define HTTP_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>
#include <apr_time.h>

struct request;
struct log_item;

/* Where a line is written; text that does not fit is cut. */
struct log_out {
    char *at, *end;
    size_t value_max; /* bytes of a value that a client or handler made; 0: any number */
    bool json;        /* values are inside JSON strings; one that is not there is empty, not "-" */
    bool full;
};

typedef void (*log_item_fn)(struct log_out *out, struct request *q, const struct log_item *item,
                            apr_time_t now);

struct log_item {
    log_item_fn write;
    const char *text; /* a literal, or what stood in {} */
    size_t len;
    int *statuses;           /* %400,501...: ended by 0; NULL: always */
    bool not_statuses;       /* %!...: for all others */
    struct log_clock *clock; /* of a time: what it wrote last */
    int choice;              /* what the item's own words chose */
};

struct log_format {
    bool json;
    int count;
    struct log_item *items;
};

/* NULL, or what is wrong with it. */
const char *log_format_check(const char *text, apr_pool_t *pool);
/* NULL and *error where it is wrong. json: its values are escaped for JSON strings. */
struct log_format *log_format_compile(const char *text, bool json, const char **error,
                                      apr_pool_t *pool);
/* Writes a line with its newline; returns its length, size at most. *full: it was cut. */
size_t log_format_write(const struct log_format *format, struct request *q, apr_time_t now,
                        char *buf, size_t size, bool *full);
/* The same with long values shortened until the line fits. */
size_t log_format_write_short(const struct log_format *format, struct request *q, apr_time_t now,
                              char *buf, size_t size);

/* ---- Items (log_items.c, log_time.c) ---- */

/* Makes item write the directive %letter, ^ti with letter being 't'. item->text is what stood
 * in {}, or NULL. Words where it is wrong. */
const char *log_item_choose(struct log_item *item, const char *letter, size_t len,
                            apr_pool_t *pool);
const char *log_item_choose_time(struct log_item *item, apr_pool_t *pool);

void log_put(struct log_out *out, const char *text, size_t len);
void log_put_number(struct log_out *out, int64_t number, int digits);
/* As httpd escapes: quotes, backslashes, and what cannot be printed; or as JSON does. */
void log_put_escaped(struct log_out *out, const char *text);
/* What a value that is not there looks like. */
void log_put_nothing(struct log_out *out);

#endif
