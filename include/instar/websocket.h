/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instar/websocket.h: WebSocket endpoints (RFC 6455). A module lists them in .sockets, and
 *
 *     Route WS /chat chat
 *
 * gives one a path. Framing, pings, the closing handshake, UTF-8 and compression are the
 * server's; the module sees whole messages.
 *
 * Threads: the callbacks of one connection never overlap, and each may block, as a handler may. A
 * connection is not bound to a thread. What is marked "any thread" may be called from
 * everywhere, on any connection that is still there: until its close callback has returned, or
 * longer where ins_ws_hold() says so. All else is for the connection's own callbacks.
 */
#ifndef INSTAR_WEBSOCKET_H
#define INSTAR_WEBSOCKET_H

#include <instar.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ins_ws ins_ws;

#define INS_WS_TEXT 1
#define INS_WS_BINARY 2

/* Every member behind the name may be left out. */
typedef struct ins_socket {
    const char *name; /* as Route names it */

    /* Before the 101, behind all hooks: r is the request, as for a handler. INS_OK opens; an HTTP
     * status from 400 up refuses, INS_DECLINED is 404 (ins_error() gives it words). Fields that are
     * set on r go into the answer. What is sent here follows the answer. */
    int (*open)(ins_ws *ws, ins_request *r);
    /* A message, whole; type is INS_WS_TEXT (valid UTF-8) or INS_WS_BINARY. data has a NUL behind
     * its len bytes and is the server's: gone when this returns. */
    void (*message)(ins_ws *ws, int type, const void *data, size_t len);
    /* The last callback, once for each that was opened. code is the peer's, 1005 where it gave
     * none; ours where we broke off (1002, 1007, 1009, 1013); 1006 where the connection was lost.
     */
    void (*close)(ins_ws *ws, int code, const char *reason);

    /* A reload moves connections to the new generation, and its code answers their next message.
     * One of which a module keeps nothing (no data, no pool, no hold) just moves; any other needs
     * these two, or it stays in the old generation until that ends, and is closed with 1012. */

    /* Of the state that freeze writes. */
    uint32_t version;
    /* What is to move, as bytes into room: their number, or -1: not yet, it stays. From here on the
     * connection is not this generation's: sending returns -1, no callback comes, and the handle is
     * gone, unless it could not be moved: then thaw is called in this generation. */
    int64_t (*freeze)(ins_ws *ws, void *room, size_t size);
    /* Before the first callback in the new generation, or again in the old. version is that of the
     * code that wrote state. INS_OK goes on; anything else closes with 1012, without close. */
    int (*thaw)(ins_ws *ws, uint32_t version, const void *state, size_t len);
    /* The generation drains: once, ahead of freeze. What is sent here still reaches the client. */
    void (*drain)(ins_ws *ws);
} ins_socket;

/* Bytes of room for freeze. */
#define INS_WS_STATE_MAX 16384

/* ---- In open ------------------------------------------------------------ */

/* 1 where the client offers this subprotocol, which is then chosen; 0: it does not. */
INS_API int ins_ws_choose(ins_ws *ws, const char *protocol);

/* ---- Sending: any thread ------------------------------------------------- */

/* A message. Never waits: it is queued, and the server sends it as the client can take it. 0; -1:
 * the connection is closed or closing, the text is not UTF-8 (type 1), or the queue is full
 * (WebSocketMaxQueue), which closes it with 1013 unless old messages are dropped. */
INS_API int ins_ws_send(ins_ws *ws, int type, const void *data, size_t len);
INS_API int ins_ws_text(ins_ws *ws, const char *text);
/* A message in pieces, sent as they come. Others that are sent meanwhile follow behind its
 * end. -1 as above, or where one is under way. */
INS_API int ins_ws_begin(ins_ws *ws, int type);
INS_API int ins_ws_more(ins_ws *ws, const void *data, size_t len);
INS_API int ins_ws_end(ins_ws *ws);
/* Begins the closing handshake behind what is queued. code: 1000, 1001, 1003, 1007 to 1014,
 * or from 3000 to 4999; reason may be NULL, and is cut to 123 bytes. Messages that arrive
 * afterwards are dropped. 0, or -1: it is closing, or the code is none to be sent. */
INS_API int ins_ws_close(ins_ws *ws, int code, const char *reason);

/* The handle stays valid until it is released, also when the connection has gone; then
 * sending returns -1. Each hold wants its release. */
INS_API void ins_ws_hold(ins_ws *ws);
INS_API void ins_ws_release(ins_ws *ws);

/* Unique among the living connections of a server's life. */
INS_API uint64_t ins_ws_id(const ins_ws *ws);

/* ---- In callbacks ---------------------------------------------------------- */

/* A pointer of the module's. */
INS_API void ins_ws_set_data(ins_ws *ws, void *data);
INS_API void *ins_ws_data(const ins_ws *ws);
/* Lives as long as the connection does in this process; made at the first call. */
INS_API apr_pool_t *ins_ws_pool(ins_ws *ws);
/* The request that opened the connection: its fields, parameters, peer, user. It is read anew for
 * each callback that asks, lives until that callback returns, and takes no answer. NULL: no
 * memory. */
INS_API ins_request *ins_ws_request(ins_ws *ws);
/* The chosen subprotocol, or NULL. */
INS_API const char *ins_ws_protocol(const ins_ws *ws);
/* As ins_will_block(). What a callback sends leaves when it returns, or here, or, once it has lost
 * the loop, at once. */
INS_API void ins_ws_will_block(ins_ws *ws);

#ifdef __cplusplus
}
#endif

#endif
