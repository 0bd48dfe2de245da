/* SPDX-License-Identifier: Apache-2.0 */
/*
 * %t and %{format}t. A busy server writes the same second thousands of times, so
 * each item keeps the text of the second it wrote last.
 */
#include "http/log_format.h"

#include <stdint.h>
#include <string.h>

#include <apr_strings.h>

#include "http/request.h"

enum { CLOCK_TEXT = 256, PER_SECOND = 1000000 };

struct log_clock {
    int64_t second;
    size_t len;
    char text[CLOCK_TEXT];
};

/* choice: what moment */
enum { AT_BEGIN, AT_END };

static apr_time_t moment(const struct request *q, const struct log_item *item, apr_time_t now)
{
    return item->choice == AT_END ? now : q->pub.request_time;
}

static void write_text(struct log_out *out, struct request *q, const struct log_item *item,
                       apr_time_t now)
{
    struct log_clock *clock = item->clock;
    int64_t second = moment(q, item, now) / PER_SECOND;

    if (second != clock->second) {
        apr_time_exp_t local;

        (void)apr_time_exp_lt(&local, second * PER_SECOND);
        clock->len = 0;
        (void)apr_strftime(clock->text, &clock->len, sizeof(clock->text), item->text, &local);
        clock->second = second;
    }
    log_put(out, clock->text, clock->len);
}

static void write_seconds(struct log_out *out, struct request *q, const struct log_item *item,
                          apr_time_t now)
{
    log_put_number(out, moment(q, item, now) / PER_SECOND, 1);
}

static void write_milliseconds(struct log_out *out, struct request *q, const struct log_item *item,
                               apr_time_t now)
{
    log_put_number(out, moment(q, item, now) / 1000, 1);
}

static void write_microseconds(struct log_out *out, struct request *q, const struct log_item *item,
                               apr_time_t now)
{
    log_put_number(out, moment(q, item, now), 1);
}

static void write_millisecond_part(struct log_out *out, struct request *q,
                                   const struct log_item *item, apr_time_t now)
{
    log_put_number(out, moment(q, item, now) % PER_SECOND / 1000, 3);
}

static void write_microsecond_part(struct log_out *out, struct request *q,
                                   const struct log_item *item, apr_time_t now)
{
    log_put_number(out, moment(q, item, now) % PER_SECOND, 6);
}

/* 2026-11-27T10:04:05.123456Z, RFC 3339. */
static void write_rfc3339(struct log_out *out, struct request *q, const struct log_item *item,
                          apr_time_t now)
{
    struct log_clock *clock = item->clock;
    int64_t second = moment(q, item, now) / PER_SECOND;

    if (second != clock->second) {
        apr_time_exp_t utc;

        (void)apr_time_exp_gmt(&utc, second * PER_SECOND);
        clock->len = 0;
        (void)apr_strftime(clock->text, &clock->len, sizeof(clock->text), "%Y-%m-%dT%H:%M:%S.",
                           &utc);
        clock->second = second;
    }
    log_put(out, clock->text, clock->len);
    log_put_number(out, moment(q, item, now) % PER_SECOND, 6);
    log_put(out, "Z", 1);
}

static const struct {
    const char *word;
    log_item_fn write;
} tokens[] = { { "sec", write_seconds },
               { "msec", write_milliseconds },
               { "usec", write_microseconds },
               { "msec_frac", write_millisecond_part },
               { "usec_frac", write_microsecond_part },
               { "rfc3339", write_rfc3339 } };

static struct log_clock *make_clock(apr_pool_t *pool)
{
    struct log_clock *clock = apr_pcalloc(pool, sizeof(*clock));

    clock->second = INT64_MIN;
    return clock;
}

const char *log_item_choose_time(struct log_item *item, apr_pool_t *pool)
{
    item->choice = AT_BEGIN;
    if (item->text && strncmp(item->text, "begin:", 6) == 0) {
        item->text += 6;
    }
    else if (item->text && strncmp(item->text, "end:", 4) == 0) {
        item->text += 4;
        item->choice = AT_END;
    }
    for (size_t i = 0; item->text && i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        if (strcmp(tokens[i].word, item->text) == 0) {
            item->write = tokens[i].write;
            item->clock = make_clock(pool);
            return NULL;
        }
    }
    if (item->text == NULL || *item->text == '\0') {
        item->text = "[%d/%b/%Y:%H:%M:%S %z]";
    }
    item->write = write_text;
    item->clock = make_clock(pool);
    return NULL;
}
