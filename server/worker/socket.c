/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a WebSocket: frames in, callbacks, frames out, silence, the end. */
#include "worker/socket.h"

#include <limits.h>
#include <string.h>

#include <apr_strings.h>

#include "util/log.h"
#include "util/utf8.h"

#define LOG_PART "worker"

enum {
    CLOSE_MS = 5000, /* for the peer's half of the closing handshake */
    QUEUED_MS = 100, /* it is about to be stepped */
    TIMER_PARTS = 8, /* of a limit: what is left of one is waited for in few lengths */
    KEEPS_BYTES = 64 * 1024
};

/* ---- Callbacks, on whatever thread ----------------------------------------------- */

/* Decompressed and checked. 0, or the status to close with. */
static int unpack(struct ins_ws *ws, struct ws_bytes *plain)
{
    uint32_t utf8 = 0;
    int status = ws_inflate(&ws->context, &ws->terms, ws->message.data, ws->message.len, plain,
                            ws->rules.max_message);

    if (status == 0 && ws->parser.message == WS_TEXT &&
        (!utf8_feed(&utf8, plain->data, plain->len) || utf8 != 0)) {
        status = WS_INVALID_DATA;
    }
    if (status == 0 && !ws_bytes_reserve(plain, 0)) {
        status = WS_INTERNAL_ERROR;
    }
    return status;
}

static void deliver(struct ins_ws *ws, const struct ws_bytes *message)
{
    if (ws->endpoint->message != NULL) {
        ws->endpoint->message(ws, ws->parser.message, message->data, message->len);
    }
}

static void call_message(struct ins_ws *ws)
{
    struct ws_bytes plain = { NULL, 0, 0 };

    if (!ws->parser.compressed) {
        deliver(ws, &ws->message);
        return;
    }
    ws->failed = (uint16_t)unpack(ws, &plain);
    if (ws->failed == 0) {
        plain.data[plain.len] = '\0';
        deliver(ws, &plain);
    }
    ws_bytes_free(&plain);
}

static void call_close(struct ins_ws *ws)
{
    if (ws->endpoint->close != NULL) {
        ws->endpoint->close(ws, ws->code, ws->reason);
    }
}

static void call_drain(struct ins_ws *ws)
{
    ws->endpoint->drain(ws);
}

static void call_freeze(struct ins_ws *ws)
{
    ws->frozen_bytes = -1;
    ws->state.len = 0;
    socket_close_queue(ws);
    if (ws_bytes_reserve(&ws->state, INS_WS_STATE_MAX)) {
        ws->frozen_bytes = ws->endpoint->freeze(ws, ws->state.data, INS_WS_STATE_MAX);
    }
}

static void call_thaw(struct ins_ws *ws)
{
    ws->thaw_failed =
        ws->endpoint->thaw(ws, ws->state_version, ws->state.data, ws->state.len) != INS_OK;
}

static void (*const calls[SOCKET_CALLS])(struct ins_ws *) = {
    [CALL_MESSAGE] = call_message, [CALL_CLOSE] = call_close, [CALL_DRAIN] = call_drain,
    [CALL_FREEZE] = call_freeze,   [CALL_THAW] = call_thaw,
};

static void run_call(struct conn *c)
{
    struct ins_ws *ws = c->socket;

    socket_current = ws;
    calls[ws->call](ws);
    socket_current = NULL;
    if (ws->request != NULL) {
        request_free(ws->request);
        ws->request = NULL;
    }
}

static enum step start_call(struct conn *c, enum socket_call call)
{
    const struct route *route = c->socket->place.route;

    c->socket->call = (uint8_t)call;
    c->work->call =
        (struct module_call){ run_call, route != NULL ? route->index : UINT_MAX, CONN_SOCKET };
    c->state = CONN_WAITING;
    return STEP_NEXT;
}

/* ---- The end --------------------------------------------------------------------------- */

/* The last callback is next, then what is queued goes out. */
static enum step end(struct conn *c, unsigned code, const char *reason)
{
    struct ins_ws *ws = c->socket;

    ws->code = (uint16_t)code;
    (void)apr_cpystrn(ws->reason, reason, sizeof(ws->reason));
    return start_call(c, CALL_CLOSE);
}

static enum step lose(struct conn *c)
{
    c->socket->lost = true;
    return end(c, WS_ABNORMAL, "");
}

/* The peer broke a rule, or a limit. */
static enum step fail(struct conn *c, unsigned status, const char *why)
{
    struct ins_ws *ws = c->socket;

    log_debug("INS02501", "WebSocket %llu is closed with %u: %s", (unsigned long long)ws->id,
              status, why);
    (void)socket_close_frame(ws, status, why);
    return end(c, status, why);
}

/* The log line is the opening request's; the rest is as behind any last answer. */
static enum step finish(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;
    struct work *work = c->work;

    work->request = socket_request(ws);
    if (work->request == NULL) {
        return http_conn_close(w, c);
    }
    work->request->pub.bytes_sent = (int64_t)ws->bytes_out;
    work->request->head_bytes = ws->head_bytes;
    work->close_after = true;
    work->linger = !ws->lost;
    work->piece = NULL;
    work->in_start = work->in_end = 0;
    if (ws->lost) {
        work->out_start = work->out_end = 0;
    }
    timer_cancel(&w->timers, &c->timer);
    socket_drop(c);
    c->state = CONN_LOG;
    return STEP_NEXT;
}

/* ---- Out --------------------------------------------------------------------------------- */

/* IO_DONE: all is out. IO_AGAIN: the client takes no more now. */
static enum io flush(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;
    enum io io = socket_flush(ws);

    SB_COUNT(w->slot, bytes_out, ws->bytes_out - ws->bytes_counted);
    ws->bytes_counted = ws->bytes_out;
    if (io == IO_DONE) {
        ws->stalled = 0;
    }
    else if (ws->stalled == 0) {
        ws->stalled = w->now;
        timer_cancel(&w->timers, &c->timer);
    }
    return io;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* A limit that has begun to run: since when, and how long it is; 0: none. */
struct limit {
    int64_t since, length;
};

enum { LIMIT_STALLED, LIMIT_CLOSING, LIMIT_SILENCE, LIMIT_PING, LIMITS };

static void limits_of(const struct conn *c, struct limit limits[LIMITS])
{
    const struct ins_ws *ws = c->socket;

    memset(limits, 0, LIMITS * sizeof(*limits));
    if (ws->stalled > 0) {
        limits[LIMIT_STALLED] = (struct limit){ ws->stalled, http_conn_conf(c)->timeout };
    }
    if (ws->closing > 0) {
        limits[LIMIT_CLOSING] = (struct limit){ ws->closing, CLOSE_MS };
    }
    limits[LIMIT_SILENCE] = (struct limit){ ws->heard, ws->settings.timeout };
    if (!ws->pinged) {
        limits[LIMIT_PING] = (struct limit){ ws->heard, ws->settings.ping };
    }
}

/* The timer is for the limit that is reached first. */
static void arm(struct worker *w, struct conn *c)
{
    struct limit limits[LIMITS];
    int64_t nearest = 0;

    limits_of(c, limits);
    for (int i = 0; i < LIMITS; i++) {
        int64_t length = limits[i].length, part = length / TIMER_PARTS + 1;
        int64_t left = limits[i].since + length - w->now;

        if (length > 0) {
            left = left > 0 ? (left + part - 1) / part * part : 1;
            nearest = nearest == 0 || left < nearest ? left : nearest;
        }
    }
    if (nearest > 0) {
        timer_arm(&w->timers, &c->timer, w->now, nearest);
    }
}

static enum step rest(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;

    if (ws->message.len == 0 || ws->message.cap > 2 * ws->message.len + KEEPS_BYTES) {
        if (ws->parser.message == 0) {
            ws_bytes_free(&ws->message);
        }
    }
    if (!transport_output_pending(c)) {
        conn_release_work(w, c);
    }
    if (!timer_armed(&c->timer)) {
        arm(w, c);
    }
    if (!conn_register(w, c)) {
        return STEP_CLOSED;
    }
    if (w->draining) {
        handover_park(w, c);
    }
    return STEP_WAIT;
}

void socket_timeout(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;
    struct limit limits[LIMITS];

    if (c->state != CONN_SOCKET) {
        timer_arm(&w->timers, &c->timer, w->now, QUEUED_MS);
        return;
    }
    limits_of(c, limits);
    for (int i = 0; i < LIMIT_PING; i++) {
        ws->lost =
            ws->lost || (limits[i].length > 0 && limits[i].since + limits[i].length <= w->now);
    }
    if (!ws->lost && limits[LIMIT_PING].length > 0 &&
        limits[LIMIT_PING].since + limits[LIMIT_PING].length <= w->now) {
        ws->pinged = true;
        socket_control(ws, WS_PING, NULL, 0);
    }
    loop_ready(w, c);
}

/* ---- In ----------------------------------------------------------------------------------------
 */

static enum step take_close(struct conn *c)
{
    struct ins_ws *ws = c->socket;
    char reason[WS_REASON_MAX + 1];
    uint16_t status;

    if (!ws_read_close(&ws->parser, &status, reason)) {
        return fail(c, ws->parser.fault, "a close frame that says nothing valid");
    }
    (void)socket_close_frame(ws, status, NULL);
    return end(c, status, reason);
}

static enum step take_message(struct conn *c)
{
    struct ins_ws *ws = c->socket;

    if (!socket_is_shut(ws)) {
        return start_call(c, CALL_MESSAGE);
    }
    ws_parser_next(&ws->parser, &ws->message);
    return STEP_NEXT;
}

static enum step parse(struct conn *c)
{
    struct ins_ws *ws = c->socket;
    struct work *work = c->work;
    const char *why = "";
    size_t used;
    enum ws_news news = ws_parse(&ws->parser, &ws->rules, &ws->message, work->in + work->in_start,
                                 work->in_end - work->in_start, &used, &why);

    work->in_start += used;
    switch (news) {
    case WS_NEWS_MESSAGE:
        return take_message(c);
    case WS_NEWS_PING:
        socket_control(ws, WS_PONG, ws->parser.control, ws->parser.control_len);
        return STEP_NEXT;
    case WS_NEWS_CLOSE:
        return take_close(c);
    case WS_NEWS_BROKEN:
        return fail(c, ws->parser.fault, why);
    case WS_NEWS_NO_MEMORY:
        return fail(c, WS_INTERNAL_ERROR, "out of memory");
    default:
        return STEP_NEXT;
    }
}

static enum step read_some(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;
    struct work *work = c->work;

    work->in_start = work->in_end = 0;
    switch (http_conn_fill(w, c, 1)) {
    case IO_DONE:
        ws->heard = w->now;
        ws->pinged = false;
        return STEP_NEXT;
    case IO_AGAIN:
        return rest(w, c);
    default:
        return lose(c);
    }
}

/* ---- The step
 * ------------------------------------------------------------------------------------ */

static enum step message_done(struct conn *c)
{
    struct ins_ws *ws = c->socket;
    unsigned failed = ws->failed;

    ws->failed = 0;
    ws_parser_next(&ws->parser, &ws->message);
    return failed != 0 ? fail(c, failed, "a message that cannot be decompressed") : STEP_NEXT;
}

static enum step close_done(struct conn *c)
{
    c->socket->ended = true;
    return STEP_NEXT;
}

static enum step drain_done(struct conn *c)
{
    c->socket->drained = true;
    return STEP_NEXT;
}

static enum step freeze_done(struct conn *c)
{
    struct ins_ws *ws = c->socket;

    ws->wants_freeze = false;
    if (ws->frozen_bytes < 0 || ws->frozen_bytes > INS_WS_STATE_MAX) {
        ws_bytes_free(&ws->state);
        socket_open_queue(ws);
        c->refused = true;
        return STEP_NEXT;
    }
    ws->state.len = (size_t)ws->frozen_bytes;
    ws->state_version = ws->endpoint->version;
    ws->frozen = true;
    return STEP_NEXT;
}

/* Nobody is told of the end: in this generation it has not begun. */
static enum step restart(struct conn *c, const char *why)
{
    static const ins_socket nobody;

    c->socket->endpoint = &nobody;
    return fail(c, WS_SERVICE_RESTART, why);
}

static enum step thaw_done(struct conn *c)
{
    ws_bytes_free(&c->socket->state);
    return c->socket->thaw_failed ? restart(c, "the endpoint cannot go on with it") : STEP_NEXT;
}

static enum step (*const done[SOCKET_CALLS])(struct conn *) = {
    [CALL_MESSAGE] = message_done, [CALL_CLOSE] = close_done, [CALL_DRAIN] = drain_done,
    [CALL_FREEZE] = freeze_done,   [CALL_THAW] = thaw_done,
};

/* A callback has returned. */
static enum step after_call(struct conn *c)
{
    enum socket_call call = c->socket->call;

    c->socket->call = CALL_NONE;
    return done[call](c);
}

/* ---- Moving -------------------------------------------------------------------------------------
 */

/* It has come from another worker, or could not go to one. */
static enum step thaw(struct conn *c)
{
    struct ins_ws *ws = c->socket;

    ws->thaws = ws->frozen = false;
    socket_open_queue(ws);
    if (ws->place.route == NULL) {
        return restart(c, "the endpoint is gone");
    }
    if (ws->endpoint->thaw != NULL) {
        return start_call(c, CALL_THAW);
    }
    ws_bytes_free(&ws->state);
    return STEP_NEXT;
}

/* Nobody takes it over: it is asked to go. */
static void say_going_away(const struct worker *w, struct ins_ws *ws)
{
    if (w->draining && !w->hand_over) {
        (void)socket_close_frame(ws, WS_GOING_AWAY, NULL);
    }
}

/* The callback that the worker's draining wants next. */
static enum socket_call next_call(const struct worker *w, const struct ins_ws *ws)
{
    if (!w->draining || ws->ended || ws->lost) {
        return CALL_NONE;
    }
    if (!ws->drained && ws->endpoint->drain != NULL) {
        return CALL_DRAIN;
    }
    return ws->wants_freeze ? CALL_FREEZE : CALL_NONE;
}

/* Our close frame is on its way: the peer's is awaited for a while. */
static void note_closing(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;

    if (ws->closing == 0 && socket_is_shut(ws)) {
        ws->closing = w->now;
        timer_cancel(&w->timers, &c->timer);
    }
}

enum step socket_step(struct worker *w, struct conn *c)
{
    struct ins_ws *ws = c->socket;
    enum socket_call call;
    enum io io;

    if (conn_work(w, c) == NULL) {
        return http_conn_close(w, c);
    }
    if (ws->call != CALL_NONE) {
        return after_call(c);
    }
    if (ws->thaws || (ws->frozen && (ws->lost || c->refused || !handover_has_receiver(w)))) {
        return thaw(c);
    }
    if (ws->frozen) {
        return rest(w, c);
    }
    if (ws->lost && !ws->ended) {
        return lose(c);
    }
    call = next_call(w, ws);
    if (call != CALL_NONE) {
        return start_call(c, call);
    }
    if (!ws->ended && c->work->in_start < c->work->in_end) {
        return parse(c);
    }
    say_going_away(w, ws);
    io = ws->lost ? IO_DONE : flush(w, c);
    if (io == IO_ERROR || io == IO_EOF) {
        ws->lost = true;
        return STEP_NEXT;
    }
    note_closing(w, c);
    if (ws->ended && io == IO_AGAIN) {
        return rest(w, c);
    }
    if (ws->ended) {
        return finish(w, c);
    }
    /* Who takes nothing is not listened to either, so that answers do not pile up. */
    return io == IO_AGAIN && socket_has_queue(ws) ? rest(w, c) : read_some(w, c);
}

/* ---- The end of the process
 * ------------------------------------------------------------------------ */

void socket_farewell(struct worker *w)
{
    unsigned code = w->draining && w->hand_over ? WS_SERVICE_RESTART : WS_GOING_AWAY;

    for (uint32_t i = 0; i < w->slab.used; i++) {
        struct conn *c = &w->slab.list[i];

        if (c->state != CONN_SOCKET || c->socket->ended || conn_work(w, c) == NULL) {
            continue;
        }
        socket_open_queue(c->socket);
        if (socket_close_frame(c->socket, code, NULL)) {
            (void)flush(w, c);
            (void)shutdown(c->fd, SHUT_WR);
        }
    }
}
