/* SPDX-License-Identifier: Apache-2.0 */
/* Packing a WebSocket, and unpacking it where new code may answer its next message. */
#include "worker/socket_move.h"

#include <stdlib.h>
#include <string.h>

#include "worker/socket_wire.h"

/* ---- Who can move ------------------------------------------------------------------ */

/* What its module keeps of it here would be lost, unless the module can freeze it. */
static bool has_state(const struct ins_ws *ws)
{
    return ws->data != NULL || ws->pool != NULL || atomic_load(&ws->refs) > 1;
}

bool socket_movable(const struct conn *c)
{
    struct ins_ws *ws = c->socket;
    size_t tls = 0;
    bool free;

    if (c->tls != NULL) {
        (void)tls_output(c->tls, &tls);
    }
    pthread_mutex_lock(&ws->lock);
    free = !ws->shut && !ws->streaming;
    pthread_mutex_unlock(&ws->lock);
    return free && tls == 0 && (c->work == NULL || c->work->in_start == c->work->in_end) &&
           ws->call == CALL_NONE && !ws->ended && !ws->lost &&
           (ws->frozen || ws->endpoint->freeze != NULL || !has_state(ws));
}

bool socket_has_frozen(const struct conn *c)
{
    return c->socket->frozen || c->socket->endpoint->freeze == NULL;
}

void socket_begin_freeze(struct worker *w, struct conn *c)
{
    c->socket->wants_freeze = true;
    loop_ready(w, c);
}

/* ---- Packing -------------------------------------------------------------------------- */

static size_t buffered(const struct work *work)
{
    return work != NULL ? work->out_end - work->out_start : 0;
}

/* Of the first frame that is being sent, the bytes that are gone. */
static size_t gone(const struct work *work)
{
    return work != NULL && work->piece != NULL ? work->piece_sent : 0;
}

static size_t text_len(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static struct socket_wire describe(const struct conn *c)
{
    const struct ins_ws *ws = c->socket;

    return (struct socket_wire){
        .size = sizeof(struct socket_wire),
        .state_version = ws->endpoint->version,
        .opened = ws->opened,
        .heard = ws->heard,
        .bytes_out = ws->bytes_out,
        .head_bytes = ws->head_bytes,
        .parser = ws->parser,
        .terms = ws->terms,
        .pinged = ws->pinged,
        .head = (uint32_t)ws->head_len,
        .id = (uint32_t)text_len(ws->place.id),
        .user = (uint32_t)text_len(ws->user),
        .protocol = (uint32_t)text_len(ws->protocol),
        .message = (uint32_t)ws->message.len,
        .output = (uint32_t)(buffered(c->work) + ws->sending.bytes - gone(c->work)),
        .window = (uint32_t)ws_context_window(&ws->context, NULL),
        .state = ws->frozen ? (uint32_t)ws->state.len : 0,
    };
}

size_t socket_seal(struct conn *c)
{
    struct ins_ws *ws = c->socket;
    struct socket_wire wire;

    if (!socket_movable(c)) {
        return 0;
    }
    socket_close_queue(ws);
    wire = describe(c);
    return sizeof(wire) + wire.head + wire.id + wire.user + wire.protocol + wire.message +
           wire.output + wire.window + wire.state;
}

static char *put(char *out, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(out, data, len);
    }
    return out + len;
}

static char *put_output(const struct conn *c, char *out)
{
    const struct work *work = c->work;
    const struct body_piece *piece =
        c->socket->sending.first != NULL ? &c->socket->sending.first->piece : NULL;
    size_t skip = gone(work);

    if (buffered(work) > 0) {
        out = put(out, work->out + work->out_start, buffered(work));
    }
    for (; piece != NULL; piece = piece->next, skip = 0) {
        out = put(out, piece->data + skip, piece->len - skip);
    }
    return out;
}

void socket_pack(const struct conn *c, char *out)
{
    const struct ins_ws *ws = c->socket;
    struct socket_wire wire = describe(c);

    out = put(out, &wire, sizeof(wire));
    out = put(out, ws->head_text, wire.head);
    out = put(out, ws->place.id, wire.id);
    out = put(out, ws->user, wire.user);
    out = put(out, ws->protocol, wire.protocol);
    out = put(out, ws->message.data, wire.message);
    out = put_output(c, out);
    out += ws_context_window(&ws->context, out);
    (void)put(out, ws->state.data, wire.state);
}

void socket_unseal(struct conn *c)
{
    if (!c->socket->frozen) {
        socket_open_queue(c->socket);
    }
}

/* ---- Unpacking --------------------------------------------------------------------------- */

static bool restore_bytes(struct ins_ws *ws, const struct socket_wire *wire,
                          const struct socket_strings *s)
{
    if (!ws_bytes_set(&ws->message, s->message, wire->message) ||
        !ws_bytes_set(&ws->state, s->state, wire->state) ||
        !ws_context_restore(&ws->context, s->window, wire->window)) {
        return false;
    }
    return wire->output == 0 || socket_prepend(ws, s->output, wire->output);
}

static void restore_plain(struct ins_ws *ws, const struct socket_wire *wire,
                          const struct socket_strings *s)
{
    ws->parser = wire->parser;
    ws->terms = wire->terms;
    ws->heard = wire->heard;
    ws->bytes_out = ws->bytes_counted = wire->bytes_out;
    ws->head_bytes = wire->head_bytes;
    ws->pinged = wire->pinged != 0;
    ws->state_version = wire->state_version;
    ws->protocol = s->protocol;
}

/* Its place in this generation: the same path may have other code, other settings, or nothing. */
static bool restore_place(struct worker *w, struct conn *c, const struct socket_wire *wire,
                          const struct socket_strings *s)
{
    struct request_source source = http_conn_source(w, c, wire->opened);
    struct request *q =
        request_again(w->http, s->head, wire->head, &source, &http_handler_io, c, NULL);
    bool kept;

    if (q == NULL) {
        return false;
    }
    q->pub.user = (char *)(uintptr_t)s->user;
    q->pub.log_id = s->id;
    kept = socket_keep_request(w, c->socket, q);
    request_give(q);
    return kept;
}

bool socket_unpack(struct worker *w, struct conn *c, const void *data, size_t len)
{
    struct socket_wire wire;
    struct socket_strings strings;
    struct ins_ws *ws;

    if (!socket_wire_read(&wire, &strings, data, len)) {
        return false;
    }
    ws = socket_make(w, c);
    if (ws == NULL) {
        return false;
    }
    restore_plain(ws, &wire, &strings);
    if (!restore_bytes(ws, &wire, &strings) || !restore_place(w, c, &wire, &strings)) {
        return false;
    }
    ws->thaws = true;
    c->state = CONN_SOCKET;
    return true;
}
