/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames (RFC 6455, 5) as a server reads and writes them. The parser is
 * incremental and does no I/O; its state is plain data that can be copied at any
 * byte, in the middle of a frame's head too, and go on elsewhere.
 */
#ifndef WEBSOCKET_FRAME_H
#define WEBSOCKET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

/* The first byte of a frame, around the opcode. */
enum { WS_FIN = 0x80, WS_RSV1 = 0x40 };

enum {
    WS_HEAD_MAX = 14,      /* of a frame to us, with its mask */
    WS_SEND_HEAD_MAX = 10, /* of one from us */
    WS_CONTROL_MAX = 125,
    WS_REASON_MAX = WS_CONTROL_MAX - 2
};

/* Status codes (7.4.1). */
enum ws_status {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_NO_STATUS = 1005, /* never on the wire */
    WS_ABNORMAL = 1006,  /* never on the wire */
    WS_INVALID_DATA = 1007,
    WS_TOO_BIG = 1009,
    WS_INTERNAL_ERROR = 1011,
    WS_SERVICE_RESTART = 1012,
    WS_TRY_AGAIN_LATER = 1013
};

/* Bytes that grow; data comes from malloc(), NULL at first. */
struct ws_bytes {
    char *data;
    size_t len, cap;
};

/* Room for more bytes and a NUL behind len. False: no memory. */
bool ws_bytes_reserve(struct ws_bytes *bytes, size_t more);
/* Makes it hold a copy of data; nothing is allocated for nothing. False: no memory. */
bool ws_bytes_set(struct ws_bytes *bytes, const void *data, size_t len);
void ws_bytes_free(struct ws_bytes *bytes);

struct ws_rules {
    uint64_t max_frame, max_message; /* bytes of payload; a message's decompressed */
    bool compression;                /* permessage-deflate was agreed: RSV1 may be set */
};

/* All zero at first. */
struct ws_parser {
    uint64_t left;  /* of the frame's payload */
    uint32_t utf8;  /* of a text message that is not compressed: utf8_feed()'s state */
    uint16_t fault; /* WS_NEWS_BROKEN: the status to close with */
    uint8_t head[WS_HEAD_MAX], head_len;
    uint8_t in_payload;
    uint8_t first;      /* of the frame */
    uint8_t mask[4];    /* turned, so that the next byte's is mask[0] */
    uint8_t message;    /* opcode of the message that is under way, 0 none */
    uint8_t compressed; /* it is */
    uint8_t control_len;
    char control[WS_CONTROL_MAX];
};

enum ws_news {
    WS_NEWS_MORE,    /* all input is used up */
    WS_NEWS_MESSAGE, /* whole, in *message: take it, ws_parser_next() */
    WS_NEWS_PING,    /* p->control; answer it */
    WS_NEWS_PONG,
    WS_NEWS_CLOSE,  /* p->control: ws_read_close() */
    WS_NEWS_BROKEN, /* p->fault, and *why */
    WS_NEWS_NO_MEMORY
};

/* Looks at in[0..len), and unmasks in it. Uncompressed text is checked as it arrives; a
 * compressed message is collected as it came. */
enum ws_news ws_parse(struct ws_parser *p, const struct ws_rules *rules, struct ws_bytes *message,
                      char *in, size_t len, size_t *consumed, const char **why);
/* Is it one that ws_parse() can have left behind, wherever these bytes come from? */
bool ws_parser_sound(const struct ws_parser *p);
/* The message was taken. */
void ws_parser_next(struct ws_parser *p, struct ws_bytes *message);
/* The close frame in p->control: its status (WS_NO_STATUS where it has none) and its
 * reason, NUL-terminated. False: p->fault says what is wrong. */
bool ws_read_close(struct ws_parser *p, uint16_t *status, char reason[WS_REASON_MAX + 1]);

/* May a program send it in a close frame? */
bool ws_status_valid(unsigned status);
/* XORs data with mask, and turns mask by len bytes. */
void ws_unmask(char *data, size_t len, uint8_t mask[4]);
/* A frame's head to a client: its length. first: FIN, RSV1 and opcode. */
size_t ws_write_head(char out[WS_SEND_HEAD_MAX], uint8_t first, uint64_t len);

#endif
