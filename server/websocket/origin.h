/* SPDX-License-Identifier: Apache-2.0 */
/* Origins (RFC 6454) against what WebSocketOrigin says. */
#ifndef WEBSOCKET_ORIGIN_H
#define WEBSOCKET_ORIGIN_H

#include <stdbool.h>

/* "same", "any", "host", "host:port", "*.domain". */
bool ws_origin_pattern_valid(const char *pattern);
/* origin: "https://example.com:8443", or "null", which only any allows. host: the request's Host;
 * NULL where it has none. Schemes are not compared: whoever ends TLS ahead of us knows it, and
 * we do not. */
bool ws_origin_matches(const char *pattern, const char *origin, const char *host);

#endif
