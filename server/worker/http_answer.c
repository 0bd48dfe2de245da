/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a handler's result to the connection's next request, or its end.
 * Answers to pipelined requests gather in the out buffer and leave in one
 * write, when there is nothing more to parse.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "worker/http_machine.h"
#include "worker/socket.h"

enum {
    STREAM_PER_TURN = 512 * 1024,
    DISCARD_BYTES = 256 * 1024, /* of a body that nobody read, to keep the connection */
    LINGER_MS = 2000,
    LINGER_ROUNDS = 8
};

/* ---- The end of a connection -------------------------------------------- */

static void say_goodbye(struct conn *c)
{
    if (c->tls != NULL) {
        tls_shutdown(c->tls);
        (void)transport_flush_tls(c);
    }
}

/* Without this the kernel answers what the client still sends with a reset,
 * which destroys our last words on their way. */
enum step http_linger(struct worker *w, struct conn *c)
{
    say_goodbye(c);
    (void)shutdown(c->fd, SHUT_WR);
    conn_release_work(w, c);
    c->state = CONN_LINGER;
    timer_arm(&w->timers, &c->timer, w->now, LINGER_MS);
    return STEP_NEXT;
}

enum step http_step_linger(struct worker *w, struct conn *c)
{
    int rounds = LINGER_ROUNDS;
    ssize_t n;

    do {
        n = recv(c->fd, w->raw, sizeof(w->raw), 0);
    } while ((n > 0 && --rounds > 0) || (n < 0 && errno == EINTR));
    if (n < 0 && errno == EAGAIN) {
        return conn_register(w, c) ? STEP_WAIT : STEP_CLOSED;
    }
    return http_conn_close(w, c);
}

static enum step finish(struct worker *w, struct conn *c)
{
    if (c->work->linger) {
        return http_linger(w, c);
    }
    say_goodbye(c);
    return http_conn_close(w, c);
}

/* ---- Answer ------------------------------------------------------------- */

static bool must_close(const struct worker *w, const struct conn *c)
{
    const struct http_server_conf *conf = http_conn_conf(c);
    const struct record *r = conn_record(&w->slab, c);
    const struct request *q = c->work->request;

    return c->work->close_after || conf->keep_alive == 0 || c->refused ||
           (q->expect_continue && !q->body.done) ||
           (conf->max_keep_alive_requests > 0 &&
            r->keepalives + 1 >= (uint32_t)conf->max_keep_alive_requests) ||
           (w->draining && !handover_possible(w, c));
}

/* Copies small answers, so that many leave in one write. */
static void gather_pieces(struct work *work, struct body_piece *piece)
{
    while (piece != NULL && work->out_end + piece->len <= OUT_BYTES) {
        memcpy(work->out + work->out_end, piece->data, piece->len);
        work->out_end += piece->len;
        piece = piece->next;
    }
    work->piece = piece;
    work->piece_sent = 0;
}

/* Framed bytes of the next request that a handler's reads went past the body
 * with go in front of our own. */
static bool take_back_unread(struct conn *c)
{
    struct work *work = c->work;
    size_t own = work->in_end - work->in_start;
    size_t len = 0;
    const char *data = request_unread(work->request, &len);

    if (len == 0) {
        return true;
    }
    if (work->body_at + len + own > work->in_size) {
        return false;
    }
    memmove(work->in + work->body_at + len, work->in + work->in_start, own);
    memcpy(work->in + work->body_at, data, len);
    work->in_start = work->body_at;
    work->in_end = work->in_start + len + own;
    return true;
}

enum step http_step_answer(struct worker *w, struct conn *c)
{
    struct work *work = c->work;
    struct request *q = work->request;
    const char *head = NULL;
    size_t len;

    if (OUT_BYTES - work->out_end < RESPONSE_HEAD_MIN) {
        enum step step = http_conn_drain(w, c);

        if (step != STEP_NEXT) {
            return step;
        }
    }
    if (!take_back_unread(c)) {
        work->close_after = true;
    }
    if (q->upgraded) {
        return socket_begin(w, c);
    }
    len = request_answer(q, must_close(w, c), work->out + work->out_end, OUT_BYTES - work->out_end,
                         &head);
    if (head == work->out + work->out_end) {
        work->out_end += len;
        gather_pieces(work, &q->first);
    }
    else {
        work->head_piece =
            (struct body_piece){ .next = &q->first, .len = len, .data = (char *)(uintptr_t)head };
        work->piece = &work->head_piece;
        work->piece_sent = 0;
    }
    work->close_after = !q->keep_alive || q->failed;
    work->linger = work->linger || q->head.keep_alive;
    c->state = q->next != NULL && !q->failed ? CONN_STREAM : CONN_LOG;
    return STEP_NEXT;
}

enum step http_step_stream(struct worker *w, struct conn *c)
{
    struct work *work = c->work;
    size_t pulled = 0;

    while (pulled < STREAM_PER_TURN) {
        enum step step;

        if (work->has_pulled) {
            work->has_pulled = false;
            if (work->pulled <= 0) {
                work->close_after = !work->request->keep_alive || work->request->failed;
                c->state = CONN_LOG;
                return STEP_NEXT;
            }
            work->out_end += (size_t)work->pulled;
            pulled += (size_t)work->pulled;
        }
        step = http_conn_drain(w, c);
        if (step != STEP_NEXT) {
            return step;
        }
        if (!handoff_can_start(&w->handoff)) {
            break;
        }
        step = http_handler_pull(w, c);
        if (step != STEP_NEXT) {
            return step;
        }
    }
    loop_ready(w, c);
    return STEP_WAIT;
}

/* The answer is logged; large or last ones must be out before we go on. */
enum step http_step_sent(struct worker *w, struct conn *c)
{
    struct work *work = c->work;

    if (work->piece != NULL || work->close_after) {
        enum step step = http_conn_drain(w, c);

        if (step != STEP_NEXT) {
            return step;
        }
    }
    if (work->close_after) {
        work->linger = work->linger || work->in_end > work->in_start ||
                       (work->request != NULL && !work->request->body.done);
        return finish(w, c);
    }
    timer_cancel(&w->timers, &c->timer);
    if (work->request->body.done) {
        http_conn_next_request(c);
    }
    else {
        work->body_since = w->now;
        work->body_bytes = 0;
        c->state = CONN_DISCARD;
    }
    return STEP_NEXT;
}

/* The rest of a body that the handler did not read. */
enum step http_step_discard(struct worker *w, struct conn *c)
{
    struct work *work = c->work;
    size_t consumed = 0;
    enum h1_outcome outcome;

    outcome = request_discard(work->request, work->in + work->in_start,
                              work->in_end - work->in_start, &consumed);
    work->in_start += consumed;
    work->body_bytes += consumed;
    if (outcome == H1_COMPLETE) {
        timer_cancel(&w->timers, &c->timer);
        http_conn_next_request(c);
        return STEP_NEXT;
    }
    if (outcome == H1_REFUSED || work->body_bytes > DISCARD_BYTES) {
        (void)transport_flush(c);
        return http_linger(w, c);
    }
    if (work->in_start == work->in_end) {
        work->in_start = work->in_end = work->body_at;
    }
    switch (http_conn_fill(w, c, 0)) {
    case IO_DONE:
        return STEP_NEXT;
    case IO_AGAIN:
        return http_conn_wait(w, c);
    default:
        return http_conn_close(w, c);
    }
}
