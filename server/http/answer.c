/* SPDX-License-Identifier: Apache-2.0 */
/* From what a handler has done to bytes for the wire: its result becomes a
 * status or an error page, a finished body gets its head, a begun one its end,
 * and a streamed one is pulled piece by piece. */

#include "http/request_internal.h"

#include <string.h>

#include <apr_tables.h>

enum { STATUS_FIRST = 200, STATUS_ERROR = 400, STATUS_BEYOND = 600 };

static const char *handler_name(const struct request *q)
{
    return q->pub.handler ? q->pub.handler : "-";
}

void answer_break_off(struct request *q, const char *what)
{
    q->failed = true;
    q->keep_alive = false;
    if (!q->trouble_logged) {
        q->trouble_logged = true;
        request_complain(q, "INS01504", INS_ERR, "handler %s %s; connection closed",
                         handler_name(q), what);
    }
}

/* ---- The handler's result ---------------------------------------------- */

static bool is_status(int number)
{
    return number >= STATUS_FIRST && number < STATUS_BEYOND;
}

static void answer_error(struct request *q, int status)
{
    if (q->head_sent) {
        answer_break_off(q, "failed behind the beginning of its answer");
        return;
    }
    error_page(q, status, NULL);
}

/* What a handler returned that is not in instar.h. */
static int strange_result(struct request *q, int result)
{
    request_complain(q, "INS01505", INS_ERR, "handler %s returned %d, which means nothing",
                     handler_name(q), result);
    return 500;
}

static void settle(struct request *q)
{
    int result = q->handler_result;

    if (result == INS_DECLINED) {
        result = 404;
    }
    if (result != INS_OK && result != INS_DONE && !is_status(result)) {
        result = strange_result(q, result);
    }
    if (result >= STATUS_ERROR) {
        answer_error(q, result);
    }
    else if (result >= STATUS_FIRST && !q->head_sent) {
        q->pub.status = result;
    }
    if (!is_status(q->pub.status) && !q->upgraded && !q->head_sent) {
        answer_error(q, strange_result(q, q->pub.status));
    }
}

/* ---- Finishing --------------------------------------------------------- */

/* Content that the answer may not have; what there would have been is remembered for HEAD. */
static void drop_content(struct request *q)
{
    int64_t total = q->out_total, declared = q->out_declared;
    ins_next_fn next = q->next;

    output_reset(q);
    q->out_total = total;
    q->out_declared = declared;
    q->next = next;
}

static bool ends_short(const struct request *q)
{
    return !q->next && q->out_declared >= 0 && q->out_total < q->out_declared;
}

static size_t finish_new(struct request *q, bool close, char *out, size_t size, const char **data)
{
    bool nothing = q->pub.header_only || response_is_empty(q);
    size_t len;

    if (nothing) {
        drop_content(q);
    }
    else if (ends_short(q)) {
        answer_break_off(q, "wrote less than it had declared");
    }
    len = response_head(q, false, close, out, size, data);
    q->next = nothing ? NULL : q->next;
    q->pub.bytes_sent = q->out_len;
    if (q->out_chunked && q->out_len > 0) {
        char *room = (char *)apr_palloc(q->pub.pool, len + CHUNK_HEAD);

        memcpy(room, *data, len);
        len += chunk_head(room + len, (uint64_t)q->out_len);
        *data = room;
        output_append(q, "\r\n", 2);
    }
    return len;
}

/* The head has gone: what remains is one more chunk, perhaps, and the end. */
static size_t finish_begun(struct request *q, char *out, const char **data)
{
    size_t len = 0;

    *data = out;
    q->pub.bytes_sent += q->out_len;
    if (q->failed) {
        output_reset(q);
        return 0;
    }
    if (ends_short(q)) {
        answer_break_off(q, "wrote less than it had declared");
    }
    if (!q->out_chunked) {
        return 0;
    }
    if (q->out_len > 0) {
        len = chunk_head(out, (uint64_t)q->out_len);
        output_append(q, "\r\n", 2);
    }
    if (!q->next) {
        output_append(q, "0\r\n\r\n", 5);
    }
    return len;
}

size_t request_answer(struct request *q, bool close, char *out, size_t size, const char **head_data)
{
    bool begun;
    size_t len;

    settle(q);
    begun = q->head_sent;
    len = begun ? finish_begun(q, out, head_data) : finish_new(q, close, out, size, head_data);
    q->keep_alive =
        q->keep_alive && !q->failed && !(begun && close) && request_body_is_discardable(q);
    return len;
}

/* ---- Refusals ---------------------------------------------------------- */

/* Behind these nobody knows where the next request begins, or its sender is not
 * to be trusted with it. */
static bool framing_in_doubt(const struct request *q, int status)
{
    static const int doubtful[] = { 400, 408, 411, 413, 414, 417, 431, 501, 505 };

    if (q->head.status || q->head.form == H1_AUTHORITY) {
        return true;
    }
    for (size_t n = 0; n < sizeof(doubtful) / sizeof(*doubtful); n++) {
        if (doubtful[n] == status) {
            return true;
        }
    }
    return false;
}

void request_refuse(struct request *q, int status, const char *why)
{
    why = why ? why : q->why;
    if (framing_in_doubt(q, status)) {
        q->keep_alive = false;
    }
    request_complain(q, "INS01506", INS_INFO, "request refused with %d: %s", status,
                     why ? why : status_words(status));
    error_page(q, status, why);
    q->handler_result = INS_OK;
}

/* ---- Streaming --------------------------------------------------------- */

static int64_t end_stream(struct request *q, char *buf)
{
    q->next = NULL;
    if (q->out_declared >= 0 && q->out_total < q->out_declared) {
        answer_break_off(q, "streamed less than it had declared");
        return -1;
    }
    if (!q->out_chunked) {
        return 0;
    }
    q->pull_ended = true;
    memcpy(buf, "0\r\n\r\n", 5);
    return 5;
}

/* Room for a chunk's head was left in front; most pulls fill the buffer, and
 * then the head has exactly that length. */
static int64_t frame(char *buf, size_t reserved, size_t n)
{
    char head[CHUNK_HEAD];
    size_t head_len = chunk_head(head, n);

    if (head_len < reserved) {
        memmove(buf + head_len, buf + reserved, n);
    }
    memcpy(buf, head, head_len);
    memcpy(buf + head_len + n, "\r\n", 2);
    return (int64_t)(head_len + n + 2);
}

int64_t request_pull(struct request *q, char *buf, size_t size)
{
    char scratch[CHUNK_HEAD];
    size_t reserved = q->out_chunked ? chunk_head(scratch, size) : 0, room = size;
    int64_t n;

    if (q->pull_ended || !q->next) {
        return 0;
    }
    room -= q->out_chunked ? reserved + 2 : 0;
    if (q->out_declared >= 0 && (uint64_t)(q->out_declared - q->out_total) < room) {
        room = (size_t)(q->out_declared - q->out_total);
    }
    n = room > 0 ? q->next(&q->pub, q->next_state, buf + reserved, room) : 0;
    if (n < 0 || (uint64_t)n > room) {
        q->next = NULL;
        answer_break_off(q, n < 0 ? "broke its stream off"
                                  : "returned more bytes than it was asked for");
        return -1;
    }
    if (n == 0) {
        return end_stream(q, buf);
    }
    q->out_total += n;
    q->pub.bytes_sent += n;
    return q->out_chunked ? frame(buf, reserved, (size_t)n) : n;
}
