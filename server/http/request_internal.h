/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that make up a request; the worker sees request.h alone. */
#ifndef HTTP_REQUEST_INTERNAL_H
#define HTTP_REQUEST_INTERNAL_H

#include <stdarg.h>

#include "http/request.h"
#include "util/log.h"

static inline struct request *request_of(ins_request *r)
{
    return (struct request *)r;
}

/* To the error log, with the client's address. */
void request_complain(const struct request *q, const char *tag, ins_level level, const char *format,
                      ...) INS_PRINTF(4, 5);

/* As vsnprintf() would print it (APR's own printing lacks %zu and %lld), in pool. */
char *pool_vprintf(apr_pool_t *pool, const char *format, va_list args) INS_PRINTF(2, 0);

/* ---- request_recycle.c */

/* As if nothing had come yet; the head stays. */
void request_reset(struct request *q);
/* Of no list: any thread. NULL: no memory. */
struct request *request_make(struct http_app *app);

/* ---- request.c */

/* request_begin(); place is NULL, or known already. */
int request_begin_at(struct request *q, const struct request_source *source,
                     const struct request_io *io, void *owner, const struct request_place *place);

/* ---- request_target.c */

/* Decodes %XX once and removes dot segments and empty segments. out has room for len + 2
 * bytes, begins with '/' and is NUL-terminated. INS_OK; 400: a bad escape, %00, or
 * above the root; 404: an encoded slash. */
int target_normalise(const char *path, size_t len, char *out, size_t *out_len);
/* unparsed_uri, uri, args; as above, with q->why. */
int request_read_target(struct request *q);

/* ---- request_peer.c: conn and useragent_ip */

void request_read_peer(struct request *q, const struct request_source *source);

/* ---- request_id.c */

const char *request_id_make(char out[REQUEST_ID_SIZE]);
/* RequestIDHeader: accepts the client's name for it, and answers with what it is. */
void request_id_tell(struct request *q);

/* ---- request_body.c */

/* Its framing, from the head. */
void request_open_body(struct request *q);
/* By the LimitRequestBody of the place it is for: INS_OK or 413. */
int request_limit_body(struct request *q);
/* A handler that goes on reading will come to its end. */
bool request_body_is_readable(const struct request *q);
/* What is left of the body is worth reading to keep the connection. */
bool request_body_is_discardable(const struct request *q);

/* ---- response.c */

/* The status forbids content (204, 304) or has none (205). */
bool response_is_empty(const struct request *q);
/* As request_answer()'s head. begun: the handler goes on and will write more. Decides framing
 * and keep-alive. */
size_t response_head(struct request *q, bool begun, bool close, char *out, size_t size,
                     const char **data);
/* Lower-case hexadecimal and CRLF, in front of a chunk; at most CHUNK_HEAD bytes. */
enum { CHUNK_HEAD = 18 };
size_t chunk_head(char *out, uint64_t size);

/* ---- answer.c */

/* Too late for another answer: the client must see that this one is incomplete. */
void answer_break_off(struct request *q, const char *what);

/* ---- output.c */

/* No body so far. */
void output_reset(struct request *q);
void output_append(struct request *q, const char *data, size_t len);

/* ---- error_page.c */

/* Replaces the body and its fields. words may be NULL. */
void error_page(struct request *q, int status, const char *words);
/* "Not Found"; "Unknown" where the status has no words. */
const char *status_words(int status);

/* ---- header_check.c */

/* May stand in a head: a token and clean text. */
bool header_is_safe(const char *name, const char *value);

/* ---- date.c */

enum { HTTP_DATE_LEN = 29 };
/* RFC 9110, 5.6.7; out has room for HTTP_DATE_LEN + 1 bytes. */
void http_date_format(char *out, int64_t seconds);
/* Now, remembered by each thread for a second; valid until the thread's next call. */
const char *http_date_now(void);

#endif
