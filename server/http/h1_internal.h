/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the head's parser alone. Functions that return false
 * have refused the head. */
#ifndef HTTP_H1_INTERNAL_H
#define HTTP_H1_INTERNAL_H

#include "http/h1_parser.h"

bool h1_refuse(struct h1_head *head, int status, const char *why);

/* buf[at..at+len) is the request line without its CRLF. */
bool h1_request_line(struct h1_head *head, const char *buf, size_t at, size_t len);
/* The same of a field line; grows head->fields. */
bool h1_field_line(struct h1_head *head, const char *buf, size_t at, size_t len, unsigned max);
/* The rules that join several fields (RFC 9112, 3.2 and 6); sets the framing. */
bool h1_settle_fields(struct h1_head *head);

#endif
