/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permessage-deflate (RFC 7692): the terms, and messages in and out. Where no context is
 * kept between messages the compressors belong to the thread, not to the connection.
 * Built without zlib, nothing is ever agreed.
 */
#ifndef WEBSOCKET_DEFLATE_H
#define WEBSOCKET_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "websocket/frame.h"

enum { WS_WINDOW_MIN = 9, WS_WINDOW_MAX = 15, WS_WINDOW_BYTES = 1 << WS_WINDOW_MAX };

/* What server and client have agreed; plain data. */
struct ws_terms {
    uint8_t on;
    uint8_t server_keeps, client_keeps; /* the context, from message to message */
    uint8_t server_bits, client_bits;   /* of their windows */
    uint8_t client_bits_told;           /* the answer names them */
};

/* What we would agree to. */
struct ws_wish {
    bool on, keep_context;
    int bits; /* of both windows at most */
};

/* The zlib streams of a connection whose side keeps its context; NULL until used. */
struct ws_context {
    void *deflate, *inflate;
};

/* Is zlib built in? */
bool ws_deflate_available(void);

/* The first offer of a Sec-WebSocket-Extensions field that can be met; on is 0 where
 * there is none. False: the field is no list of extensions. */
bool ws_terms_agree(struct ws_terms *terms, const struct ws_wish *wish, const char *offers);
/* "permessage-deflate; ..." for the answer, at most WS_TERMS_MAX bytes with the NUL. */
enum { WS_TERMS_MAX = 160 };
void ws_terms_text(const struct ws_terms *terms, char out[WS_TERMS_MAX]);

/* Appends what comes of a compressed message. 0; or the status to close with
 * (WS_INVALID_DATA, WS_TOO_BIG past max bytes, WS_INTERNAL_ERROR). */
int ws_inflate(struct ws_context *context, const struct ws_terms *terms, const char *data,
               size_t len, struct ws_bytes *out, uint64_t max);
/* Appends a message compressed. 1; 0: it is better sent as it is (nothing was appended); -1: no
 * memory. */
int ws_deflate(struct ws_context *context, const struct ws_terms *terms, const char *data,
               size_t len, struct ws_bytes *out);
void ws_context_free(struct ws_context *context);

/* What a peer's next message may refer back to: its length, and where out is not NULL the bytes, at
 * most WS_WINDOW_BYTES. Our own messages may begin with an empty context at any time. */
size_t ws_context_window(const struct ws_context *context, char *out);
/* False: no memory. */
bool ws_context_restore(struct ws_context *context, const char *window, size_t len);

#endif
