/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket endpoint that sends back what it is sent, text and binary as they came. In the
 * configuration:
 *
 *     LoadModule wsecho_module modules/examples/wsecho.c
 *     Route WS /echo wsecho
 *
 * Try it in a browser's console on a page of this server:
 *
 *     s = new WebSocket("ws://localhost:8080/echo"); s.onmessage = m => console.log(m.data)
 *     s.send("Is anybody there?")
 */
#include <instar/websocket.h>

static void message(ins_ws *ws, int type, const void *data, size_t len)
{
    ins_ws_send(ws, type, data, len); /* fails only where the client is gone: nobody to tell */
}

static const ins_socket sockets[] = { { "wsecho", .message = message }, { 0 } };

INS_MODULE(wsecho_module) = {
    INS_MODULE_HEADER,
    .sockets = sockets,
};
