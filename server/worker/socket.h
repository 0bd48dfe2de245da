/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection that has become a WebSocket. Between callbacks it is CONN_SOCKET and the loop's;
 * a callback runs as a handler does, by CONN_WAITING and CONN_RUNNING. The request that
 * opened it is kept as the text of its head.
 *
 * Sending goes through a queue under the socket's lock, filled by any thread; the loop takes
 * frames from it as the client takes them from us.
 */
#ifndef WORKER_SOCKET_H
#define WORKER_SOCKET_H

#include <pthread.h>
#include <stdatomic.h>

#include "instar/websocket.h"
#include "websocket/frame.h"
#include "websocket/settings.h"
#include "worker/http_machine.h"

/* A frame on its way out; its bytes lie behind it. */
struct ws_chunk {
    struct body_piece piece; /* first */
    bool droppable;          /* a whole message */
};

struct ws_queue {
    struct ws_chunk *first, *last;
    size_t bytes;
};

enum socket_call {
    CALL_NONE,
    CALL_MESSAGE,
    CALL_CLOSE,
    CALL_DRAIN,
    CALL_FREEZE,
    CALL_THAW,
    SOCKET_CALLS
};

struct ins_ws {
    _Atomic uint32_t refs; /* the connection's, wakes', the module's */
    struct worker *worker;
    struct conn *conn;
    uint64_t tag, id; /* of the connection */

    /* Set when it opens */
    const ins_socket *endpoint;
    struct request_place place;
    void *kept; /* one block: the place's parameters, and these texts */
    const char *head_text;
    size_t head_len;
    const char *user, *protocol; /* NULL none */
    struct ws_settings settings;
    struct ws_terms terms;
    struct ws_rules rules;
    apr_time_t opened;

    /* The owner's: the loop, or the thread of a callback */
    struct ws_parser parser;
    struct ws_bytes message;
    struct ws_queue sending; /* taken from the queue; work->piece is in it */
    struct request *request; /* open's, or what a callback asked for */
    apr_pool_t *pool;
    void *data;
    int64_t heard;   /* ms: of the latest bytes */
    int64_t stalled; /* ms: since when the client takes nothing; 0 it does */
    int64_t closing; /* ms: since when we wait for the end of the closing handshake; 0 we do not */
    uint64_t bytes_out, bytes_counted; /* of frames: sent, and in the worker's counter */
    int64_t head_bytes;                /* of the 101 */
    uint8_t call;                      /* enum socket_call that runs, or has just run */
    bool pinged;                       /* and nothing was heard since */
    bool ended;                        /* its close callback has run */
    bool lost;                         /* the connection is of no more use */
    uint16_t failed;                   /* a message could not be read: the status to close with */
    uint16_t code;                     /* for the close callback */
    bool drained;                      /* the drain callback has run */
    bool wants_freeze, frozen;
    bool thaws; /* thaw is the next callback */
    bool thaw_failed;
    int64_t frozen_bytes;  /* what freeze returned */
    struct ws_bytes state; /* the module's, frozen */
    uint32_t state_version;
    char reason[WS_REASON_MAX + 1];

    /* Under the lock */
    pthread_mutex_t lock;
    struct ws_queue queue;
    struct ws_queue behind; /* a message is being streamed: these follow it */
    struct ws_context context;
    bool shut;   /* a close frame is queued, or the connection is gone */
    bool moving; /* nothing can be queued: it may be another worker's soon */
    bool streaming, stream_begun;
    uint8_t stream_type;

    _Atomic bool woken;
    struct ins_ws *wake_next;
};

/* ---- socket_open.c -------------------------------------------------------- */

/* For a connection that has none; NULL: no memory. */
struct ins_ws *socket_make(struct worker *w, struct conn *c);
/* Notes all that a begun request tells; by the loop. False: no memory. */
bool socket_keep_request(struct worker *w, struct ins_ws *ws, const struct request *q);

/* struct request_io's: handshake and open callback. */
int socket_upgrade(struct request *q);
/* The 101 is put together; the connection is a WebSocket from here on. */
enum step socket_begin(struct worker *w, struct conn *c);
/* The request that opened it, for a callback or for the log; NULL: no memory. */
struct request *socket_request(struct ins_ws *ws);
/* The connection is gone: from it, and from those who still hold it. */
void socket_drop(struct conn *c);

/* ---- socket.c -------------------------------------------------------------- */

enum step socket_step(struct worker *w, struct conn *c);
void socket_timeout(struct worker *w, struct conn *c);
/* The process ends: those who are there are told. */
void socket_farewell(struct worker *w);

/* ---- socket_send.c ----------------------------------------------------------- */

/* Which socket's callback runs on this thread. */
extern _Thread_local struct ins_ws *socket_current;

/* A control frame; dropped where a close frame has gone before. */
void socket_control(struct ins_ws *ws, enum ws_opcode opcode, const void *data, size_t len);
/* False: one is queued already. */
bool socket_close_frame(struct ins_ws *ws, unsigned code, const char *reason);
/* Bytes as they are, ahead of everything. False: no memory. */
bool socket_prepend(struct ins_ws *ws, const char *data, size_t len);
/* Sends as much as the client takes now; the connection's owner. */
enum io socket_flush(struct ins_ws *ws);
bool socket_has_queue(struct ins_ws *ws);
/* What is in it goes to what is being sent, and nothing comes into it any more; and again. */
void socket_close_queue(struct ins_ws *ws);
void socket_open_queue(struct ins_ws *ws);
bool socket_is_shut(struct ins_ws *ws);
/* Nothing can be sent any more; what was queued is forgotten. */
void socket_shut(struct ins_ws *ws);
/* The loop: those that other threads have put something into. */
void socket_take_wakes(struct worker *w);

#endif
