/* SPDX-License-Identifier: Apache-2.0 */
/* The request's body: the first part is collected by the loop before the
 * handler runs; the rest is read by the handler's thread, which may wait for it. */

#include "http/request_internal.h"

#include <errno.h>
#include <string.h>

#include <apr_strings.h>

enum { COLLECT_FIRST = 4096, RAW_SIZE = 16 * 1024 };

/* The body is what framing was trusted with: whoever cannot read it to its end
 * cannot know where the next request begins. */
static int fail(struct request *q, int status, const char *why)
{
    q->body_status = status;
    q->why = why;
    q->keep_alive = false;
    return status;
}

static bool over_limit(const struct request *q)
{
    return q->body_limit > 0 && q->body.remaining > q->body_limit - q->body.total;
}

static int check_limit(struct request *q)
{
    return over_limit(q) ? fail(q, 413, "body longer than LimitRequestBody allows") : INS_OK;
}

void request_open_body(struct request *q)
{
    const struct h1_head *head = &q->head;

    h1_body_init(&q->body, head, &http_server_conf(q->pub.server)->limits);
    q->body_whole = q->body.done;
    q->expect_continue = head->expect_continue;
    q->pub.clength = head->chunked ? -1 : q->body.remaining;
}

int request_limit_body(struct request *q)
{
    q->body_limit = http_location_conf(&q->pub)->limit_request_body;
    return check_limit(q);
}

/* A body that nobody will ask for is not waited for; and hooks may refuse a
 * request before its client has been told to send. */
bool request_ready(const struct request *q)
{
    if (q->body.done) {
        return true;
    }
    return q->app->any_hooks ? q->expect_continue : q->match.route == NULL;
}

bool request_owes_continue(const struct request *q)
{
    return q->expect_continue && !q->body.done && !request_ready(q) && q->body.total == 0;
}

bool request_body_is_readable(const struct request *q)
{
    return q->body.done || (q->body_status == INS_OK && !q->expect_continue);
}

bool request_body_is_discardable(const struct request *q)
{
    return q->body.done ||
           (request_body_is_readable(q) && (q->body.chunked || q->body.remaining <= BODY_DISCARD));
}

/* ---- Before the handler ------------------------------------------------ */

static void make_room(struct request *q)
{
    size_t cap = q->body_cap ? q->body_cap * 2 : COLLECT_FIRST;
    char *data;

    if (!q->body.chunked && q->body_cap == 0) {
        cap = q->body.remaining < BODY_INLINE ? (size_t)q->body.remaining : BODY_INLINE;
    }
    cap = cap < BODY_INLINE ? cap : BODY_INLINE;
    data = apr_palloc(q->pub.pool, cap + 1);
    if (q->body_len > 0) {
        memcpy(data, q->body_data, q->body_len);
    }
    q->body_data = data;
    q->body_cap = cap;
}

static enum h1_outcome decode_inline(struct request *q, const char *in, size_t in_len, size_t *used)
{
    enum h1_outcome outcome;
    size_t made;

    if (q->body_len == q->body_cap && q->body_cap < BODY_INLINE) {
        make_room(q);
    }
    outcome = h1_body_decode(&q->body, in, in_len, used, q->body_data + q->body_len,
                             q->body_cap - q->body_len, &made);
    q->body_len += made;
    return outcome;
}

enum h1_outcome request_feed(struct request *q, const char *in, size_t in_len, size_t *consumed)
{
    enum h1_outcome outcome;

    q->expect_continue = q->expect_continue && in_len == 0;
    *consumed = 0;
    do {
        size_t used;

        outcome = decode_inline(q, in + *consumed, in_len - *consumed, &used);
        *consumed += used;
    } while (outcome == H1_MORE && *consumed < in_len && q->body_len < BODY_INLINE);
    if (outcome == H1_REFUSED) {
        fail(q, q->body.status, q->body.why);
        return H1_REFUSED;
    }
    if (check_limit(q) != INS_OK) {
        return H1_REFUSED;
    }
    q->body_data[q->body_len] = '\0';
    q->body_whole = outcome == H1_COMPLETE;
    return q->body_len == BODY_INLINE ? H1_COMPLETE : outcome;
}

/* ---- By the handler ---------------------------------------------------- */

static int send_continue(struct request *q)
{
    static char text[] = REQUEST_CONTINUE;
    struct iovec iov = { text, sizeof(text) - 1 };

    q->expect_continue = false;
    return q->io->send(q, &iov, 1);
}

static int64_t receive(struct request *q, char *buf, size_t size)
{
    int64_t n;

    q->io->will_block(q);
    if (q->expect_continue && send_continue(q) != 0) {
        fail(q, 400, "the client went away before its body");
        return -1;
    }
    n = q->io->receive(q, buf, size);
    if (n > 0) {
        return n;
    }
    if (n < 0 && errno == ETIMEDOUT) {
        fail(q, 408, "the body did not come in time");
    }
    else {
        fail(q, 400, "the client went away in the middle of its body");
    }
    return -1;
}

/* A counted body can be received in place, no byte too many. */
static int64_t read_counted(struct request *q, char *buf, size_t size)
{
    size_t want = (uint64_t)q->body.remaining < size ? (size_t)q->body.remaining : size;
    size_t used, made;
    int64_t n = receive(q, buf, want);

    if (n > 0) {
        (void)h1_body_decode(&q->body, buf, (size_t)n, &used, buf, want, &made);
    }
    return n;
}

static bool refill(struct request *q)
{
    int64_t n;

    if (!q->raw) {
        q->raw = apr_palloc(q->pub.pool, RAW_SIZE);
    }
    n = receive(q, q->raw, RAW_SIZE);
    q->pending = q->raw;
    q->pending_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int64_t read_chunked(struct request *q, char *buf, size_t size)
{
    size_t used, made = 0;

    while (made == 0 && !q->body.done) {
        enum h1_outcome outcome;

        if (q->pending_len == 0 && !refill(q)) {
            return -1;
        }
        outcome = h1_body_decode(&q->body, q->pending, q->pending_len, &used, buf, size, &made);
        q->pending += used;
        q->pending_len -= used;
        if (outcome == H1_REFUSED) {
            fail(q, q->body.status, q->body.why);
            return -1;
        }
        if (check_limit(q) != INS_OK) {
            return -1;
        }
    }
    return (int64_t)made;
}

static int64_t read_stream(struct request *q, char *buf, size_t size)
{
    if (q->body.done) {
        return 0;
    }
    return q->body.chunked ? read_chunked(q, buf, size) : read_counted(q, buf, size);
}

int64_t ins_read(ins_request *r, void *buf, size_t size)
{
    struct request *q = request_of(r);
    size_t n = q->body_len - q->body_read;

    if (q->body_status != INS_OK) {
        return -1;
    }
    if (size == 0) {
        return 0;
    }
    if (n == 0) {
        return read_stream(q, buf, size);
    }
    n = n < size ? n : size;
    memcpy(buf, q->body_data + q->body_read, n);
    q->body_read += n;
    return (int64_t)n;
}

int ins_body_status(ins_request *r)
{
    return request_of(r)->body_status;
}

/* Grows by doubling, so that a body of any size is copied twice at most. */
static bool collect(struct request *q, size_t max)
{
    size_t len = q->body_len - q->body_read, cap = len > COLLECT_FIRST ? len * 2 : COLLECT_FIRST;
    char *data;

    if (!q->body.chunked) {
        cap = len + (size_t)q->body.remaining;
    }
    data = apr_palloc(q->pub.pool, cap + 1);
    if (len > 0) {
        memcpy(data, q->body_data + q->body_read, len);
    }
    while (!q->body.done) {
        int64_t n;

        if (len == cap) {
            char *larger = apr_palloc(q->pub.pool, cap * 2 + 1);

            memcpy(larger, data, len);
            data = larger;
            cap *= 2;
        }
        n = read_stream(q, data + len, cap - len);
        len += n > 0 ? (size_t)n : 0;
        if (n < 0 || len > max) {
            break;
        }
    }
    data[len] = '\0';
    q->body_data = data;
    q->body_len = q->body_cap = len;
    q->body_whole = q->body.done && q->body_status == INS_OK;
    return q->body_whole;
}

static bool too_long(const struct request *q, size_t max)
{
    size_t have = q->body_len;

    return have > max || (!q->body.done && (uint64_t)q->body.remaining > max - have);
}

const char *ins_body(ins_request *r, size_t max, size_t *len)
{
    struct request *q = request_of(r);

    *len = 0;
    if (q->body_status != INS_OK) {
        return NULL;
    }
    if (too_long(q, max) || (!q->body_whole && !collect(q, max)) || q->body_len > max) {
        if (q->body_status == INS_OK) {
            q->body_status = 413;
        }
        return NULL;
    }
    q->body_read = q->body_len;
    *len = q->body_len;
    return q->body_data ? q->body_data : "";
}

/* ---- Behind the handler ------------------------------------------------ */

const char *request_unread(struct request *q, size_t *len)
{
    *len = q->pending_len;
    q->pending_len = 0;
    return q->pending;
}

enum h1_outcome request_discard(struct request *q, const char *in, size_t in_len, size_t *consumed)
{
    size_t dropped;
    enum h1_outcome outcome = h1_body_decode(&q->body, in, in_len, consumed, NULL, 0, &dropped);

    q->discarded += dropped;
    return q->discarded > BODY_DISCARD ? H1_REFUSED : outcome;
}
