/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of an HTTP/1.1 connection, one for each state, and what their
 * files share. A step does what can be done and says how to go on. It may run
 * module code only as its last action: STEP_LOST means that this thread has neither loop
 * nor connection any more.
 */
#ifndef WORKER_HTTP_MACHINE_H
#define WORKER_HTTP_MACHINE_H

#include "worker/state.h"

/* ---- http_conn.c: waiting, and what arrives ----------------------------- */

const struct http_server_conf *http_conn_conf(const struct conn *c);
/* Everything that can be done now is done: send what has gathered, then wait. */
enum step http_conn_wait(struct worker *w, struct conn *c);
/* STEP_NEXT when all output is out; else waits for the socket. */
enum step http_conn_drain(struct worker *w, struct conn *c);
/* Reads into the buffer behind what is unread, all but its last slack bytes. */
enum io http_conn_fill(struct worker *w, struct conn *c, size_t slack);
/* The request is over; the next one may begin. */
void http_conn_next_request(struct conn *c);
enum step http_conn_close(struct worker *w, struct conn *c);
/* Answers with an error and closes: the framing is in doubt. */
enum step http_conn_refuse(struct worker *w, struct conn *c, int status);
/* RequestReadTimeout: milliseconds still allowed; <= 0: none. */
int64_t http_conn_read_allowance(const struct read_timeout *t, int64_t timeout, int64_t elapsed,
                                 uint64_t bytes);

/* The facts of the connection, for a request that began then. */
struct request_source http_conn_source(struct worker *w, const struct conn *c, apr_time_t began);

enum step http_step_head(struct worker *w, struct conn *c);
enum step http_step_body(struct worker *w, struct conn *c);

/* ---- http_handler.c: module code, inline or on a spare thread ----------- */

extern const struct request_io http_handler_io;

/* The request is whole, as far as it is to be: its handler is next. */
void http_call_handler(struct conn *c);
enum step http_step_waiting(struct worker *w, struct conn *c);
enum step http_step_log(struct worker *w, struct conn *c);
/* Pulls into the out buffer; the result is in work->pulled. STEP_NEXT or STEP_LOST. */
enum step http_handler_pull(struct worker *w, struct conn *c);

/* ---- http_answer.c ------------------------------------------------------ */

enum step http_step_answer(struct worker *w, struct conn *c);
enum step http_step_stream(struct worker *w, struct conn *c);
enum step http_step_sent(struct worker *w, struct conn *c);
enum step http_step_discard(struct worker *w, struct conn *c);
enum step http_step_linger(struct worker *w, struct conn *c);
/* Our side is done; what the client still sends is read and dropped. */
enum step http_linger(struct worker *w, struct conn *c);

#endif
