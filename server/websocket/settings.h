/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket* directives: location settings of a module without a file. */
#ifndef WEBSOCKET_SETTINGS_H
#define WEBSOCKET_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_tables.h>

#include "instar.h"
#include "websocket/deflate.h"

extern ins_module websocket_module;

/* What is in force where a request was sent to. Milliseconds, bytes. */
struct ws_settings {
    int64_t max_message, max_frame;
    int64_t max_queue;
    bool drop_oldest;      /* else the connection is closed where the queue is full */
    int64_t ping, timeout; /* of silence; 0: never */
    struct ws_wish wish;
};

void ws_settings_read(const ins_request *r, struct ws_settings *settings);
/* May a page of this origin open a WebSocket here? origin: the field's value, NULL where there is
 * none; host: the Host field's. */
bool ws_origin_allowed(const ins_request *r, const char *origin, const char *host);

#endif
