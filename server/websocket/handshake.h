/* SPDX-License-Identifier: Apache-2.0 */
/* The opening handshake (RFC 6455, 4.2) of a request that asks for an upgrade. */
#ifndef WEBSOCKET_HANDSHAKE_H
#define WEBSOCKET_HANDSHAKE_H

#include "instar.h"
#include "websocket/settings.h"

/* Checks the fields and agrees on extensions. INS_OK, or the status that answers it with *why in
 * words; 426 has its fields set. */
int ws_handshake_check(ins_request *r, const struct ws_settings *settings, struct ws_terms *terms,
                       const char **why);
/* Status and fields of the 101; protocol: the chosen one or NULL. */
void ws_handshake_accept(ins_request *r, const struct ws_terms *terms, const char *protocol);

#endif
