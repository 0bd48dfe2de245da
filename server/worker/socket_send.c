/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent: from any thread into the queue, from the queue to the socket. */
#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"
#include "worker/socket.h"

enum { SENDING_MAX = 64 * 1024 }; /* taken at a time; what is still in the queue can be dropped */

_Thread_local struct ins_ws *socket_current;

/* ---- Queues ----------------------------------------------------------------- */

static struct ws_chunk *make_chunk(size_t len)
{
    struct ws_chunk *chunk = malloc(sizeof(*chunk) + len);

    if (chunk != NULL) {
        *chunk =
            (struct ws_chunk){ .piece = { .len = len, .cap = len, .data = (char *)(chunk + 1) } };
    }
    return chunk;
}

static struct ws_chunk *next_of(const struct ws_chunk *chunk)
{
    return (struct ws_chunk *)chunk->piece.next;
}

static void append(struct ws_queue *q, struct ws_chunk *chunk)
{
    chunk->piece.next = NULL;
    if (q->last != NULL) {
        q->last->piece.next = &chunk->piece;
    }
    else {
        q->first = chunk;
    }
    q->last = chunk;
    q->bytes += chunk->piece.len;
}

static struct ws_chunk *take_first(struct ws_queue *q)
{
    struct ws_chunk *chunk = q->first;

    if (chunk != NULL) {
        q->first = next_of(chunk);
        q->last = q->first == NULL ? NULL : q->last;
        q->bytes -= chunk->piece.len;
    }
    return chunk;
}

static void empty(struct ws_queue *q)
{
    struct ws_chunk *chunk;

    while ((chunk = take_first(q)) != NULL) {
        free(chunk);
    }
}

/* The oldest messages that nothing has been sent of, until there is room. */
static void drop_oldest(struct ws_queue *q, size_t wanted, size_t max)
{
    struct ws_chunk *before = NULL, *chunk = q->first;

    while (chunk != NULL && q->bytes + wanted > max) {
        struct ws_chunk *next = next_of(chunk);

        if (!chunk->droppable) {
            before = chunk;
        }
        else {
            if (before == NULL) {
                q->first = next;
            }
            else {
                before->piece.next = chunk->piece.next;
            }
            q->last = next == NULL ? before : q->last;
            q->bytes -= chunk->piece.len;
            free(chunk);
        }
        chunk = next;
    }
}

/* ---- Waking the loop ---------------------------------------------------------- */

/* The loop looks anyway when a callback of the same connection returns; one that takes its time
 * sends by itself. */
static void wake(struct ins_ws *ws)
{
    struct worker *w = ws->worker;
    struct ins_ws *head;

    if (socket_current == ws) {
        if (ws->call != CALL_NONE && !handoff_has_loop(&w->handoff)) {
            (void)socket_flush(ws);
        }
        return;
    }
    if (atomic_exchange(&ws->woken, true)) {
        return;
    }
    ins_ws_hold(ws);
    head = atomic_load_explicit(&w->woken, memory_order_relaxed);
    do {
        ws->wake_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&w->woken, &head, ws, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) {
        loop_wake(w);
    }
}

void socket_take_wakes(struct worker *w)
{
    struct ins_ws *ws = atomic_exchange_explicit(&w->woken, NULL, memory_order_acquire);

    while (ws != NULL) {
        struct ins_ws *next = ws->wake_next;
        struct conn *c = conn_from_tag(&w->slab, ws->tag);

        atomic_store(&ws->woken, false);
        if (c != NULL && c->state == CONN_SOCKET && c->socket == ws) {
            loop_ready(w, c);
        }
        ins_ws_release(ws);
        ws = next;
    }
}

/* ---- Frames into the queue ------------------------------------------------------- */

static struct ws_chunk *make_frame(uint8_t first, const void *data, size_t len)
{
    char head[WS_SEND_HEAD_MAX];
    size_t head_len = ws_write_head(head, first, len);
    struct ws_chunk *chunk = make_chunk(head_len + len);

    if (chunk != NULL) {
        memcpy(chunk->piece.data, head, head_len);
        if (len > 0) {
            memcpy(chunk->piece.data + head_len, data, len);
        }
    }
    return chunk;
}

/* With the lock held. */
static bool can_queue(const struct ins_ws *ws)
{
    return !ws->shut && !ws->moving;
}

/* With the lock held. A message as a frame, compressed where that was agreed. */
static struct ws_chunk *make_message(struct ins_ws *ws, uint8_t type, const void *data, size_t len)
{
    struct ws_bytes packed = { NULL, 0, 0 };
    struct ws_chunk *chunk = NULL;
    int rv = ws->terms.on ? ws_deflate(&ws->context, &ws->terms, data, len, &packed) : 0;

    if (rv > 0) {
        chunk = make_frame(WS_FIN | WS_RSV1 | type, packed.data, packed.len);
    }
    else if (rv == 0) {
        chunk = make_frame(WS_FIN | type, data, len);
    }
    ws_bytes_free(&packed);
    if (chunk != NULL) {
        chunk->droppable = true;
    }
    return chunk;
}

/* With the lock held. */
static bool close_locked(struct ins_ws *ws, unsigned code, const char *reason)
{
    size_t len = reason != NULL ? strnlen(reason, WS_REASON_MAX) : 0;
    char payload[WS_CONTROL_MAX];
    struct ws_chunk *chunk;

    if (!can_queue(ws)) {
        return false;
    }
    while (reason != NULL && len > 0 && reason[len] != '\0' &&
           ((uint8_t)reason[len] & 0xc0) == 0x80) {
        len--; /* cut in front of a character */
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (len > 0) {
        memcpy(payload + 2, reason, len);
    }
    chunk = make_frame(WS_FIN | WS_CLOSE, payload, code == WS_NO_STATUS ? 0 : len + 2);
    ws->shut = true;
    /* Behind a message that will never be ended nothing can follow but this. */
    empty(&ws->behind);
    ws->streaming = false;
    if (chunk != NULL) {
        append(&ws->queue, chunk);
    }
    return true;
}

/* With the lock held: is there room for a message of len bytes? */
static bool make_way(struct ins_ws *ws, size_t len)
{
    size_t max = (size_t)ws->settings.max_queue, bytes = ws->queue.bytes + ws->behind.bytes;

    if (bytes == 0 || bytes + len <= max) {
        return true;
    }
    if (!ws->settings.drop_oldest) {
        empty(&ws->queue);
        (void)close_locked(ws, WS_TRY_AGAIN_LATER, "too slow");
        return false;
    }
    drop_oldest(&ws->queue, len + ws->behind.bytes, max);
    drop_oldest(&ws->behind, len + ws->queue.bytes, max);
    return true;
}

static bool text_valid(const void *data, size_t len)
{
    uint32_t state = 0;

    return utf8_feed(&state, data, len) && state == 0;
}

int ins_ws_send(ins_ws *ws, int type, const void *data, size_t len)
{
    struct ws_chunk *chunk = NULL;

    if ((type != WS_TEXT && type != WS_BINARY) || (type == WS_TEXT && !text_valid(data, len))) {
        return -1;
    }
    pthread_mutex_lock(&ws->lock);
    if (can_queue(ws) && make_way(ws, len)) {
        chunk = make_message(ws, (uint8_t)type, data, len);
    }
    if (chunk != NULL) {
        append(ws->streaming ? &ws->behind : &ws->queue, chunk);
    }
    pthread_mutex_unlock(&ws->lock);
    wake(ws);
    return chunk != NULL ? 0 : -1;
}

int ins_ws_text(ins_ws *ws, const char *text)
{
    return ins_ws_send(ws, WS_TEXT, text, strlen(text));
}

int ins_ws_begin(ins_ws *ws, int type)
{
    bool begun = false;

    pthread_mutex_lock(&ws->lock);
    if (can_queue(ws) && !ws->streaming && (type == WS_TEXT || type == WS_BINARY)) {
        ws->streaming = begun = true;
        ws->stream_begun = false;
        ws->stream_type = (uint8_t)type;
    }
    pthread_mutex_unlock(&ws->lock);
    return begun ? 0 : -1;
}

/* A fragment of the message that is being streamed. */
static int send_part(struct ins_ws *ws, uint8_t fin, const void *data, size_t len)
{
    struct ws_chunk *chunk = NULL;

    pthread_mutex_lock(&ws->lock);
    if (can_queue(ws) && ws->streaming && make_way(ws, len)) {
        uint8_t opcode = ws->stream_begun ? WS_CONTINUATION : ws->stream_type;

        chunk = make_frame((uint8_t)(fin | opcode), data, len);
    }
    if (chunk != NULL) {
        append(&ws->queue, chunk);
        ws->stream_begun = true;
    }
    if (chunk != NULL && fin != 0) {
        ws->streaming = false;
        while (ws->behind.first != NULL) {
            append(&ws->queue, take_first(&ws->behind));
        }
    }
    pthread_mutex_unlock(&ws->lock);
    wake(ws);
    return chunk != NULL ? 0 : -1;
}

int ins_ws_more(ins_ws *ws, const void *data, size_t len)
{
    return send_part(ws, 0, data, len);
}

int ins_ws_end(ins_ws *ws)
{
    return send_part(ws, WS_FIN, NULL, 0);
}

int ins_ws_close(ins_ws *ws, int code, const char *reason)
{
    bool queued;

    if (!ws_status_valid((unsigned)code) ||
        (reason != NULL && !text_valid(reason, strlen(reason)))) {
        return -1;
    }
    queued = socket_close_frame(ws, (unsigned)code, reason);
    wake(ws);
    return queued ? 0 : -1;
}

bool socket_close_frame(struct ins_ws *ws, unsigned code, const char *reason)
{
    bool queued;

    pthread_mutex_lock(&ws->lock);
    queued = close_locked(ws, code, reason);
    pthread_mutex_unlock(&ws->lock);
    return queued;
}

void socket_control(struct ins_ws *ws, enum ws_opcode opcode, const void *data, size_t len)
{
    struct ws_chunk *chunk = make_frame((uint8_t)(WS_FIN | opcode), data, len);

    pthread_mutex_lock(&ws->lock);
    if (chunk != NULL && can_queue(ws)) {
        append(&ws->queue, chunk);
        chunk = NULL;
    }
    pthread_mutex_unlock(&ws->lock);
    free(chunk);
}

bool socket_prepend(struct ins_ws *ws, const char *data, size_t len)
{
    struct ws_chunk *chunk = make_chunk(len);
    struct ws_queue all = { NULL, NULL, 0 };

    if (chunk == NULL) {
        return false;
    }
    memcpy(chunk->piece.data, data, len);
    pthread_mutex_lock(&ws->lock);
    append(&all, chunk);
    while (ws->queue.first != NULL) {
        append(&all, take_first(&ws->queue));
    }
    ws->queue = all;
    pthread_mutex_unlock(&ws->lock);
    return true;
}

/* ---- Out of the queue ---------------------------------------------------------------- */

/* What is taken cannot be dropped any more, so it is not much. */
static void take_queue(struct ins_ws *ws, struct work *work)
{
    pthread_mutex_lock(&ws->lock);
    while (ws->queue.first != NULL && ws->sending.bytes < SENDING_MAX) {
        append(&ws->sending, take_first(&ws->queue));
    }
    pthread_mutex_unlock(&ws->lock);
    if (work->piece == NULL && ws->sending.first != NULL) {
        work->piece = &ws->sending.first->piece;
        work->piece_sent = 0;
    }
}

static void free_sent(struct ins_ws *ws, const struct work *work)
{
    while (ws->sending.first != NULL && &ws->sending.first->piece != work->piece) {
        struct ws_chunk *chunk = take_first(&ws->sending);

        ws->bytes_out += chunk->piece.len;
        free(chunk);
    }
}

enum io socket_flush(struct ins_ws *ws)
{
    struct work *work = ws->conn->work;
    enum io io;

    do {
        take_queue(ws, work);
        io = transport_flush(ws->conn);
        free_sent(ws, work);
    } while (io == IO_DONE && socket_has_queue(ws));
    return io;
}

void ins_ws_will_block(ins_ws *ws)
{
    if (socket_current == ws && ws->call != CALL_NONE) {
        (void)socket_flush(ws);
    }
    handoff_will_block(&ws->worker->handoff);
}

bool socket_has_queue(struct ins_ws *ws)
{
    bool has;

    pthread_mutex_lock(&ws->lock);
    has = ws->queue.first != NULL;
    pthread_mutex_unlock(&ws->lock);
    return has;
}

void socket_close_queue(struct ins_ws *ws)
{
    pthread_mutex_lock(&ws->lock);
    ws->moving = true;
    while (ws->queue.first != NULL) {
        append(&ws->sending, take_first(&ws->queue));
    }
    pthread_mutex_unlock(&ws->lock);
}

void socket_open_queue(struct ins_ws *ws)
{
    pthread_mutex_lock(&ws->lock);
    ws->moving = false;
    pthread_mutex_unlock(&ws->lock);
}

bool socket_is_shut(struct ins_ws *ws)
{
    bool shut;

    pthread_mutex_lock(&ws->lock);
    shut = ws->shut;
    pthread_mutex_unlock(&ws->lock);
    return shut;
}

void socket_shut(struct ins_ws *ws)
{
    pthread_mutex_lock(&ws->lock);
    ws->shut = true;
    ws->streaming = false;
    empty(&ws->queue);
    empty(&ws->behind);
    pthread_mutex_unlock(&ws->lock);
    empty(&ws->sending);
}
