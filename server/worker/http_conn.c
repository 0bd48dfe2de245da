/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 connection as a state machine: the table of steps, waiting and
 * its timeouts, and the steps that read a request. See http_machine.h.
 */
#include "worker/http_machine.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/log.h"
#include "worker/socket.h"

#define LOG_PART "worker"

enum {
    STEPS_PER_TURN = 512, /* of one connection, then the others have a turn */
    QUEUED_MS = 100
};

const struct http_server_conf *http_conn_conf(const struct conn *c)
{
    const struct request *q = c->work != NULL ? c->work->request : NULL;

    if (q != NULL && q->pub.server != NULL) {
        return http_server_conf(q->pub.server);
    }
    return http_server_conf(http_find_server(c->hosts, NULL, 0));
}

enum step http_conn_close(struct worker *w, struct conn *c)
{
    conn_close(w, c);
    return STEP_CLOSED;
}

void http_conn_next_request(struct conn *c)
{
    struct work *work = c->work;

    request_give(work->request);
    work->request = NULL;
    c->state = CONN_HEAD;
}

/* ---- Waiting ------------------------------------------------------------ */

int64_t http_conn_read_allowance(const struct read_timeout *t, int64_t timeout, int64_t elapsed,
                                 uint64_t bytes)
{
    int64_t allowed = t->initial;

    if (allowed <= 0) {
        return timeout;
    }
    if (t->min_rate > 0) {
        allowed += (int64_t)(bytes * 1000 / (uint64_t)t->min_rate);
        if (t->maximum > 0 && allowed > t->maximum) {
            allowed = t->maximum;
        }
    }
    return allowed - elapsed;
}

/* Of two limits, 0 being none. */
static int64_t sooner(int64_t a, int64_t b)
{
    return b == 0 || (a > 0 && a < b) ? a : b;
}

static void arm(struct worker *w, struct conn *c, int64_t length)
{
    if (length > 0) {
        timer_arm(&w->timers, &c->timer, w->now, length);
    }
    else {
        timer_cancel(&w->timers, &c->timer);
    }
}

static bool is_idle(const struct worker *w, const struct conn *c)
{
    return c->work == NULL && conn_record(&w->slab, c)->keepalives > 0;
}

/* As in httpd: a KeepAliveTimeout in the host of the last request goes before the one of
 * the address's default host, an inherited one does not. */
static int64_t idle_allowance(const struct worker *w, const struct conn *c,
                              const struct http_server_conf *conf)
{
    int64_t own = conn_record(&w->slab, c)->idle_allowed;
    int64_t allowed = own > 0 ? own : conf->keep_alive_timeout;

    return allowed > 0 ? allowed : 1;
}

static const struct read_timeout *read_limit(const struct conn *c,
                                             const struct http_server_conf *conf)
{
    if (c->state != CONN_HEAD) {
        return &conf->read_body;
    }
    return c->tls != NULL && !tls_established(c->tls) ? &conf->read_handshake : &conf->read_header;
}

/* Bytes do not move a read deadline: when it fires, the rate is looked at. */
static void arm_for_state(struct worker *w, struct conn *c)
{
    const struct http_server_conf *conf = http_conn_conf(c);
    const struct read_timeout *t;

    if (c->state == CONN_HEAD && is_idle(w, c)) {
        arm(w, c, idle_allowance(w, c, conf));
        return;
    }
    if (c->state == CONN_WAITING && timer_armed(&c->timer)) {
        return; /* waiting once more is no new wait */
    }
    if (c->state != CONN_HEAD && c->state != CONN_BODY && c->state != CONN_DISCARD) {
        arm(w, c, conf->timeout);
        return;
    }
    if (!timer_armed(&c->timer)) {
        t = read_limit(c, conf);
        arm(w, c, sooner(t->initial, conf->timeout));
    }
}

enum step http_conn_wait(struct worker *w, struct conn *c)
{
    enum io io = transport_flush(c);

    if (io == IO_ERROR) {
        return http_conn_close(w, c);
    }
    if (io == IO_DONE && c->state == CONN_HEAD && c->work != NULL &&
        c->work->in_start == c->work->in_end) {
        conn_release_work(w, c);
    }
    arm_for_state(w, c);
    if (!conn_register(w, c)) {
        return STEP_CLOSED;
    }
    if (w->draining) {
        handover_park(w, c);
    }
    return STEP_WAIT;
}

enum step http_conn_drain(struct worker *w, struct conn *c)
{
    switch (transport_flush(c)) {
    case IO_DONE:
        timer_cancel(&w->timers, &c->timer);
        return STEP_NEXT;
    case IO_AGAIN:
        arm(w, c, http_conn_conf(c)->timeout);
        return conn_register(w, c) ? STEP_WAIT : STEP_CLOSED;
    default:
        return http_conn_close(w, c);
    }
}

static void queue_remove(struct conn_queue *q, struct conn *c)
{
    struct conn_queue kept = { NULL, NULL };
    struct conn *other;

    while ((other = queue_pop(q)) != NULL) {
        if (other != c) {
            queue_push(&kept, other);
        }
    }
    *q = kept;
}

/* Out of time as a whole, or silent for Timeout? */
static void read_timeout(struct worker *w, struct conn *c, const struct read_timeout *t,
                         int64_t since, uint64_t bytes)
{
    int64_t timeout = http_conn_conf(c)->timeout;
    int64_t left = timeout - (w->now - c->work->heard);

    if (t->initial > 0) {
        int64_t allowed = http_conn_read_allowance(t, timeout, w->now - since, bytes);

        left = allowed < left ? allowed : left;
    }
    if (left > 0) {
        timer_arm(&w->timers, &c->timer, w->now, (left + 999) / 1000 * 1000);
        return;
    }
    (void)http_conn_refuse(w, c, 408);
    loop_ready(w, c);
}

void http_conn_timeout(struct worker *w, struct conn *c)
{
    const struct http_server_conf *conf = http_conn_conf(c);
    struct work *work = c->work;

    if (c->queued) {
        timer_arm(&w->timers, &c->timer, w->now, QUEUED_MS); /* it is about to be stepped */
        return;
    }
    if (c->socket != NULL) {
        socket_timeout(w, c);
        return;
    }
    switch ((enum conn_state)c->state) {
    case CONN_HEAD:
        if (work != NULL && work->request != NULL) {
            read_timeout(w, c, &conf->read_header, work->since, work->in_end - work->in_start);
            return;
        }
        break;
    case CONN_BODY:
        read_timeout(w, c, &conf->read_body, work->body_since, work->body_bytes);
        return;
    case CONN_WAITING:
        queue_remove(&w->waiting, c);
        log_warning("INS01408", "no thread became free within Timeout: 503 (ThreadsPerWorker %d)",
                    w->start.threads_max);
        (void)http_conn_refuse(w, c, 503);
        loop_ready(w, c);
        return;
    default:
        break;
    }
    if (c->tls != NULL) {
        tls_shutdown(c->tls);
        (void)transport_flush_tls(c);
    }
    (void)http_conn_close(w, c);
}

/* ---- Head --------------------------------------------------------------- */

/* Room for the next read behind what is unread. A head may not use the last
 * IN_SLACK bytes: they are there for the body that follows it in place. */
static bool make_room(struct work *work, size_t head_max)
{
    size_t unread = work->in_end - work->in_start;

    if (work->in_start > 0) {
        memmove(work->in, work->in + work->in_start, unread);
        work->in_start = 0;
        work->in_end = unread;
    }
    return unread <= head_max && work_reserve(work, unread + IN_SLACK + 1);
}

static void count_handshake(struct worker *w, const struct conn *c)
{
    switch (tls_handshake_news(c->tls, false)) {
    case TLS_NEWS_FULL:
        SB_COUNT(w->slot, tls_full, 1);
        return;
    case TLS_NEWS_RESUMED:
        SB_COUNT(w->slot, tls_resumed, 1);
        return;
    default:
        return;
    }
}

enum io http_conn_fill(struct worker *w, struct conn *c, size_t slack)
{
    struct work *work = c->work;
    size_t got = 0;
    enum io io = transport_read(c, work->in + work->in_end, work->in_size - slack - work->in_end,
                                &got, w->raw, sizeof(w->raw));

    work->in_end += got;
    work->heard = got > 0 ? w->now : work->heard;
    SB_COUNT(w->slot, bytes_in, got);
    if (c->tls != NULL) {
        count_handshake(w, c);
    }
    return io;
}

struct request_source http_conn_source(struct worker *w, const struct conn *c, apr_time_t began)
{
    const struct record *r = conn_record(&w->slab, c);

    return (struct request_source){
        .peer = r->peer_len > 0 ? &r->peer.any : NULL,
        .local = r->local_len > 0 ? &r->local.any : NULL,
        .hosts = c->hosts,
        .sni_server = c->tls != NULL ? tls_server(c->tls) : NULL,
        .compatible = tls_server_compatible,
        .secure = c->tls != NULL,
        .keepalives = (int)r->keepalives,
        .id = r->id,
        .received = began,
    };
}

static int begin(struct worker *w, struct conn *c)
{
    struct request_source source = http_conn_source(w, c, w->wall);

    return request_begin(c->work->request, &source, &http_handler_io, c);
}

enum step http_conn_refuse(struct worker *w, struct conn *c, int status)
{
    struct request *q = c->work->request;

    timer_cancel(&w->timers, &c->timer);
    if (c->state == CONN_HEAD) {
        if (q->head.status == 0) {
            q->head.status = status;
        }
        status = begin(w, c);
    }
    SB_COUNT(w->slot, errors, 1);
    request_refuse(q, status, NULL);
    c->work->close_after = true;
    c->work->linger = true;
    c->state = CONN_ANSWER;
    return STEP_NEXT;
}

static enum step head_complete(struct worker *w, struct conn *c)
{
    struct work *work = c->work;
    struct request *q = work->request;
    int status;

    timer_cancel(&w->timers, &c->timer);
    work->in_start += q->head.length;
    work->body_at = work->in_start;
    status = begin(w, c);
    if (status != INS_OK) {
        /* The framing is sound, so the connection may go on. */
        SB_COUNT(w->slot, errors, 1);
        request_refuse(q, status, NULL);
        c->state = CONN_ANSWER;
        return STEP_NEXT;
    }
    work->body_since = w->now;
    work->body_bytes = 0;
    if (request_ready(q)) {
        http_call_handler(c);
    }
    else {
        c->state = CONN_BODY;
    }
    return STEP_NEXT;
}

/* The TLS port was spoken to in plain HTTP: the only answer that can be read. */
static enum step answer_plain_http(struct worker *w, struct conn *c)
{
    static const char words[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        "This port speaks TLS: use https:// to reach it.\n";

    (void)send(c->fd, words, sizeof(words) - 1, MSG_NOSIGNAL);
    SB_COUNT(w->slot, tls_failed, 1);
    tls_close(c->tls);
    c->tls = NULL;
    return http_linger(w, c);
}

const char *http_conn_peer(const struct worker *w, const struct conn *c, char *out, size_t size)
{
    const struct record *r = conn_record(&w->slab, c);
    char ip[INET6_ADDRSTRLEN] = "unix:";
    int port = 0;

    if (r->peer_len > 0 && r->peer.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &r->peer.v4.sin_addr, ip, sizeof(ip));
        port = ntohs(r->peer.v4.sin_port);
    }
    else if (r->peer_len > 0) {
        inet_ntop(AF_INET6, &r->peer.v6.sin6_addr, ip, sizeof(ip));
        port = ntohs(r->peer.v6.sin6_port);
    }
    (void)snprintf(out, size, port ? "%s:%d" : "%s", ip, port);
    return out;
}

static enum step read_failed(struct worker *w, struct conn *c)
{
    if (c->tls != NULL && tls_is_plain_http(c->tls)) {
        return answer_plain_http(w, c);
    }
    if (c->tls != NULL) {
        char peer[PEER_TEXT];

        log_line("INS01407", "ssl", INS_INFO, http_conn_peer(w, c, peer, sizeof(peer)), "%s",
                 tls_error(c->tls));
        (void)transport_flush_tls(c);
    }
    return http_conn_close(w, c);
}

static enum step head_read(struct worker *w, struct conn *c)
{
    switch (http_conn_fill(w, c, IN_SLACK)) {
    case IO_DONE:
        return STEP_NEXT;
    case IO_AGAIN:
        return http_conn_wait(w, c);
    case IO_EOF:
        /* Answers to what it sent before are still owed to the client. */
        c->work->close_after = true;
        c->state = CONN_SENT;
        return STEP_NEXT;
    default:
        return read_failed(w, c);
    }
}

/* A head has begun to arrive: its own time limit starts. */
static bool head_begins(struct worker *w, struct conn *c)
{
    struct work *work = c->work;

    if (work->request != NULL) {
        return true;
    }
    work->request = request_take(w->http);
    work->since = work->heard = w->now;
    timer_cancel(&w->timers, &c->timer);
    return work->request != NULL;
}

enum step http_step_head(struct worker *w, struct conn *c)
{
    struct work *work = conn_work(w, c);
    const struct h1_limits *limits;

    if (work == NULL) {
        return http_conn_close(w, c);
    }
    if (work->in_end == work->in_start) {
        work->in_start = work->in_end = 0;
        return head_read(w, c);
    }
    if (!head_begins(w, c)) {
        return http_conn_close(w, c);
    }
    limits = &http_conn_conf(c)->limits;
    switch (h1_parse_head(&work->request->head, work->in + work->in_start,
                          work->in_end - work->in_start, limits)) {
    case H1_COMPLETE:
        return head_complete(w, c);
    case H1_MORE:
        return make_room(work, h1_head_max(limits)) ? head_read(w, c) : http_conn_refuse(w, c, 431);
    default:
        return http_conn_refuse(w, c, 400);
    }
}

/* ---- Body --------------------------------------------------------------- */

static void owe_continue(struct conn *c)
{
    struct work *work = c->work;
    size_t len = sizeof(REQUEST_CONTINUE) - 1;

    if (request_owes_continue(work->request) && work->out_end + len <= OUT_BYTES) {
        memcpy(work->out + work->out_end, REQUEST_CONTINUE, len);
        work->out_end += len;
        work->request->expect_continue = false;
    }
}

enum step http_step_body(struct worker *w, struct conn *c)
{
    struct work *work = c->work;
    size_t consumed = 0;
    enum h1_outcome outcome = request_feed(work->request, work->in + work->in_start,
                                           work->in_end - work->in_start, &consumed);

    work->in_start += consumed;
    work->body_bytes += consumed;
    if (outcome == H1_COMPLETE) {
        timer_cancel(&w->timers, &c->timer);
        http_call_handler(c);
        return STEP_NEXT;
    }
    if (outcome == H1_REFUSED) {
        return http_conn_refuse(w, c, work->request->body_status);
    }
    if (work->in_start == work->in_end) {
        /* Behind the head, which must stay where it is. */
        work->in_start = work->in_end = work->body_at;
        owe_continue(c);
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

/* ---- The machine -------------------------------------------------------- */

static enum step (*const steps[CONN_STATES])(struct worker *, struct conn *) = {
    [CONN_HEAD] = http_step_head,       [CONN_BODY] = http_step_body,
    [CONN_WAITING] = http_step_waiting, [CONN_ANSWER] = http_step_answer,
    [CONN_STREAM] = http_step_stream,   [CONN_LOG] = http_step_log,
    [CONN_SENT] = http_step_sent,       [CONN_DISCARD] = http_step_discard,
    [CONN_LINGER] = http_step_linger,   [CONN_SOCKET] = socket_step,
};

enum step http_conn_run(struct worker *w, struct conn *c)
{
    for (int budget = STEPS_PER_TURN; budget > 0; budget--) {
        enum step step = steps[c->state](w, c);

        if (step != STEP_NEXT) {
            return step;
        }
    }
    loop_ready(w, c);
    return STEP_WAIT;
}
