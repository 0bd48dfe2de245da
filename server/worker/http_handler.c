/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where module code runs: inline between handoff_enter() and handoff_leave(),
 * or as a job on a spare thread. In both cases the connection is
 * CONN_RUNNING meanwhile and belongs to that thread; when the loop is not (or
 * no longer) its own, the thread hands the connection back as a completion,
 * with the state in which the loop is to go on.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "worker/http_machine.h"
#include "worker/socket.h"

static unsigned route_of(const struct request *q)
{
    return q->match.route != NULL ? q->match.route->index : UINT_MAX;
}

/* For the words about a crash. */
static void note_route(struct worker *w, unsigned route)
{
    SB_SET(w->slot, route, route + 1); /* of no route: 0 */
}

static int64_t clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- What a request may ask of the worker, on its handler's thread ------ */

static void will_block(struct request *q)
{
    (void)q;
    handoff_will_block(&worker_self->handoff);
}

/* What the loop had read before the handler started comes first. */
static size_t read_ahead(struct work *work, void *buf, size_t size)
{
    size_t len = work->in_end - work->in_start;

    len = len < size ? len : size;
    memcpy(buf, work->in + work->in_start, len);
    work->in_start += len;
    return len;
}

static int64_t receive(struct request *q, void *buf, size_t size)
{
    struct conn *c = q->owner;
    const struct http_server_conf *conf = http_conn_conf(c);
    int64_t elapsed = clock_us() / 1000 - c->work->body_since;
    int64_t allowed =
        http_conn_read_allowance(&conf->read_body, conf->timeout, elapsed, c->work->body_bytes);
    size_t got = read_ahead(c->work, buf, size);

    if (got > 0) {
        c->work->body_bytes += got;
        return (int64_t)got;
    }
    errno = ETIMEDOUT;
    if (allowed <= 0) {
        return -1;
    }
    allowed = allowed < conf->timeout ? allowed : conf->timeout;
    switch (transport_read_wait(c, buf, size, &got, allowed)) {
    case IO_DONE:
        c->work->body_bytes += got;
        return (int64_t)got;
    case IO_EOF:
        return 0;
    case IO_AGAIN:
        errno = ETIMEDOUT;
        return -1;
    default:
        errno = ECONNRESET;
        return -1;
    }
}

static int send_all(struct request *q, const struct iovec *iov, int count)
{
    struct conn *c = q->owner;

    return transport_send_wait(c, iov, count, http_conn_conf(c)->timeout) == IO_DONE ? 0 : -1;
}

static const char *variable(struct request *q, const char *name)
{
    const struct conn *c = q->owner;

    return c->tls ? tls_variable(c->tls, name, q->pub.pool) : NULL;
}

const struct request_io http_handler_io = { will_block, receive, send_all, variable,
                                            socket_upgrade };

/* ---- Running ------------------------------------------------------------ */

static void hand_out(struct worker *w, struct conn *c)
{
    w->running++;
    c->state = CONN_RUNNING;
}

static enum step take_back(struct worker *w, struct conn *c)
{
    watch_leave();
    if (!handoff_leave(&w->handoff)) {
        loop_complete(w, c);
        return STEP_LOST;
    }
    w->running--;
    c->state = c->work->call.resume;
    return STEP_NEXT;
}

static enum step run_inline(struct worker *w, struct conn *c)
{
    const struct module_call *call = &c->work->call;

    hand_out(w, c);
    note_route(w, call->route);
    watch_enter(w, c, w->now);
    handoff_enter(&w->handoff, call->route);
    call->run(c);
    return take_back(w, c);
}

static void run_handler(struct conn *c)
{
    request_run(c->work->request);
}

void http_call_handler(struct conn *c)
{
    c->work->call = (struct module_call){ run_handler, route_of(c->work->request), CONN_ANSWER };
    c->state = CONN_WAITING;
}

void http_conn_job(void *worker, struct job *job)
{
    struct worker *w = worker;
    struct conn *c = (struct conn *)job;
    const struct module_call *call = &c->work->call;
    int64_t began = clock_us();

    note_route(w, call->route);
    watch_enter(w, c, began / 1000);
    call->run(c);
    watch_leave();
    handoff_job_done(&w->handoff, call->route, clock_us() - began);
    loop_complete(w, c);
}

/* Registered first: afterwards the connection belongs to the other thread. */
static enum step run_elsewhere(struct worker *w, struct conn *c)
{
    if (transport_output_pending(c)) {
        (void)transport_flush(c); /* earlier answers do not wait for this one */
    }
    if (!conn_register(w, c)) {
        return STEP_CLOSED;
    }
    hand_out(w, c);
    if (handoff_give_job(&w->handoff, &c->job)) {
        timer_cancel(&w->timers, &c->timer);
        return STEP_WAIT;
    }
    w->running--;
    c->state = CONN_WAITING;
    return STEP_NEXT;
}

/* Ready to run: inline, on a spare thread where the route is known to block,
 * or later where no thread is free. */
enum step http_step_waiting(struct worker *w, struct conn *c)
{
    enum step step;

    if (handoff_route_is_slow(&w->handoff, c->work->call.route)) {
        step = run_elsewhere(w, c);
        if (step != STEP_NEXT) {
            return step;
        }
    }
    else if (handoff_can_start(&w->handoff)) {
        timer_cancel(&w->timers, &c->timer);
        return run_inline(w, c);
    }
    step = http_conn_wait(w, c);
    if (step == STEP_WAIT) {
        queue_push(&w->waiting, c);
    }
    return step;
}

enum step http_handler_pull(struct worker *w, struct conn *c)
{
    struct work *work = c->work;
    struct request *q = work->request;

    hand_out(w, c);
    work->call.resume = CONN_STREAM;
    watch_enter(w, c, w->now);
    handoff_enter(&w->handoff, route_of(q));
    work->pulled = request_pull(q, work->out + work->out_end, OUT_BYTES - work->out_end);
    work->has_pulled = true;
    return take_back(w, c);
}

/* By class of status, and by method: a letter and the length tell those that are counted. */
static void count_kind(struct worker *w, const struct request *q)
{
    unsigned class = (unsigned)q->pub.status / 100;
    /* a head that was refused behind its first line has a length, and no text */
    uint32_t len = q->head.method != NULL ? q->head.method_len : 0;
    enum sb_counter method = SB_COUNTER_method_other;

    if (class >= 1 && class <= 5) {
        SB_ADD(w->slot->counter[SB_COUNTER_status_1xx + class - 1], 1);
    }
    switch (len > 0 ? q->head.method[0] : 0) {
    case 'G':
        method = len == 3 ? SB_COUNTER_method_get : method;
        break;
    case 'H':
        method = len == 4 ? SB_COUNTER_method_head : method;
        break;
    case 'P':
        method = len == 4 && q->head.method[1] == 'O' ? SB_COUNTER_method_post
                 : len == 3                           ? SB_COUNTER_method_put
                                                      : method;
        break;
    case 'D':
        method = len == 6 ? SB_COUNTER_method_delete : method;
        break;
    default:
        break;
    }
    SB_ADD(w->slot->counter[method], 1);
}

static void account(struct worker *w, struct conn *c)
{
    struct record *r = conn_record(&w->slab, c);
    const struct request *q = c->work->request;

    SB_COUNT(w->slot, requests, 1);
    count_kind(w, q);
    if (!q->upgraded) {
        loop_request_ended(w, q->pub.request_time); /* else it took as long as its client wished */
    }
    if (!q->upgraded) {
        SB_COUNT(w->slot, bytes_out, (uint64_t)q->pub.bytes_sent + (uint64_t)q->head_bytes);
    }
    record_change(r);
    r->keepalives++;
    r->idle_since = w->now;
    r->idle_allowed = http_server_conf(q->pub.server)->own_keep_alive_timeout;
    record_settle(r);
}

enum step http_step_log(struct worker *w, struct conn *c)
{
    struct request *q = c->work->request;

    account(w, c);
    if (w->http->hooks[INS_PHASE_log_transaction] == NULL) {
        request_log(q, w->wall);
        c->state = CONN_SENT;
        return STEP_NEXT;
    }
    hand_out(w, c);
    c->work->call.resume = CONN_SENT;
    watch_enter(w, c, w->now);
    handoff_enter(&w->handoff, route_of(q));
    request_log(q, w->wall);
    return take_back(w, c);
}
