/* SPDX-License-Identifier: Apache-2.0 */
/* The body of an answer as a handler writes it: kept up to OUTPUT_BUFFER, so
 * that the loop can send it with the head; past that, sent from the handler's
 * own thread, which may wait. The pieces are used again after each send: an
 * answer of any size needs no more memory than one buffer. */

#include "http/request_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>

enum { PIECE_MIN = 8192, PRINT_ROOM = 512, IOV_MAX_PIECES = 16, IOV_FRAMING = 4 };

static void forget_pieces(struct request *q)
{
    struct body_piece *piece = q->last = &q->first;

    do {
        piece->len = 0;
        piece = piece->next;
    } while (piece);
    q->out_len = 0;
}

void output_reset(struct request *q)
{
    forget_pieces(q);
    q->out_total = 0;
    q->out_declared = q->out_length = -1;
    q->next = NULL;
}

/* ---- Keeping ----------------------------------------------------------- */

static struct body_piece *next_piece(struct request *q, size_t len)
{
    struct body_piece *piece = q->last->next;
    size_t cap = q->last->cap * 2;

    if (!piece) {
        cap = cap > PIECE_MIN ? cap : PIECE_MIN;
        cap = cap > len ? cap : len;
        piece = apr_palloc(q->pub.pool, sizeof(*piece) + cap);
        *piece = (struct body_piece){ NULL, 0, cap, (char *)(piece + 1) };
        q->last->next = piece;
    }
    q->last = piece;
    return piece;
}

void output_append(struct request *q, const char *data, size_t len)
{
    struct body_piece *piece = q->last;

    q->out_len += (int64_t)len;
    while (len > 0) {
        size_t room = piece->cap - piece->len, n = len < room ? len : room;

        memcpy(piece->data + piece->len, data, n);
        piece->len += n;
        data += n;
        len -= n;
        if (len > 0) {
            piece = next_piece(q, len);
        }
    }
}

/* ---- Sending from the handler's thread --------------------------------- */

struct burst {
    struct iovec iov[IOV_MAX_PIECES + IOV_FRAMING];
    int count;
};

static void add(struct burst *b, const char *data, size_t len)
{
    if (len > 0) {
        /* writev() only reads; struct iovec cannot say so */
        memcpy(&b->iov[b->count].iov_base, &data, sizeof(data));
        b->iov[b->count++].iov_len = len;
    }
}

static int send_burst(struct request *q, struct burst *b)
{
    int result = q->io->send(q, b->iov, b->count);

    b->count = 0;
    if (result != 0) {
        q->failed = true;
    }
    return result;
}

static int add_pieces(struct request *q, struct burst *b)
{
    for (struct body_piece *piece = &q->first; piece; piece = piece->next) {
        if (b->count >= IOV_MAX_PIECES && send_burst(q, b) != 0) {
            return -1;
        }
        add(b, piece->data, piece->len);
    }
    return 0;
}

/* Everything that is kept, and data behind it, framed. */
static int send_all(struct request *q, const char *data, size_t len)
{
    char chunk[CHUNK_HEAD];
    const char *head;
    size_t head_len, body_len = (size_t)q->out_len + len;
    struct burst b;

    b.count = 0;
    q->io->will_block(q);
    if (!q->head_sent) {
        char *room = apr_palloc(q->pub.pool, RESPONSE_HEAD_MIN);

        head_len = response_head(q, true, false, room, RESPONSE_HEAD_MIN, &head);
        add(&b, head, head_len);
    }
    if (q->out_chunked && body_len > 0) {
        add(&b, chunk, chunk_head(chunk, body_len));
    }
    if (add_pieces(q, &b) != 0) {
        return -1;
    }
    add(&b, data, len);
    if (q->out_chunked && body_len > 0) {
        add(&b, "\r\n", 2);
    }
    if (b.count > 0 && send_burst(q, &b) != 0) {
        return -1;
    }
    q->pub.bytes_sent += (int64_t)body_len;
    forget_pieces(q);
    return 0;
}

/* ---- What handlers call ------------------------------------------------ */

static bool sends_nothing(const struct request *q)
{
    return q->pub.header_only || response_is_empty(q);
}

/* Of len bytes, those that the declared length allows. */
static size_t within_declared(struct request *q, size_t len)
{
    if (q->out_declared < 0 || (uint64_t)(q->out_declared - q->out_total) >= len) {
        return len;
    }
    if (!q->trouble_logged) {
        q->trouble_logged = true;
        request_complain(
            q, "INS01503", INS_ERR,
            "handler %s wrote more than the %lld bytes it had declared; the rest is cut",
            q->pub.handler ? q->pub.handler : "-", (long long)q->out_declared);
    }
    return q->out_declared > q->out_total ? (size_t)(q->out_declared - q->out_total) : 0;
}

int ins_write(ins_request *r, const void *data, size_t len)
{
    struct request *q = request_of(r);

    if (q->failed) {
        return -1;
    }
    len = within_declared(q, len);
    q->out_total += (int64_t)len;
    if (sends_nothing(q)) {
        return 0;
    }
    if (len > OUTPUT_BUFFER - (size_t)q->out_len) {
        return send_all(q, data, len);
    }
    output_append(q, data, len);
    return 0;
}

int ins_puts(ins_request *r, const char *text)
{
    return ins_write(r, text, strlen(text));
}

int ins_printf(ins_request *r, const char *format, ...)
{
    char room[PRINT_ROOM], *text = room;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(room, sizeof(room), format, args);
    va_end(args);
    if (len < 0) {
        return -1;
    }
    if ((size_t)len >= sizeof(room)) {
        va_start(args, format);
        text = pool_vprintf(r->pool, format, args);
        va_end(args);
    }
    return ins_write(r, text, (size_t)len);
}

int ins_flush(ins_request *r)
{
    struct request *q = request_of(r);

    if (q->failed) {
        return -1;
    }
    if (sends_nothing(q) || (q->head_sent && q->out_len == 0)) {
        return 0;
    }
    return send_all(q, NULL, 0);
}

int ins_stream(ins_request *r, ins_next_fn next, void *state)
{
    struct request *q = request_of(r);

    q->next = next;
    q->next_state = state;
    return INS_OK;
}

void ins_will_block(ins_request *r)
{
    struct request *q = request_of(r);

    q->io->will_block(q);
}
