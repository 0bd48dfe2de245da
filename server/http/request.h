/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request from its head to its log line, without I/O. The worker's HTTP
 * connection drives it:
 *
 *   request_take -> h1_parse_head(&q->head) -> request_begin -> (unless request_ready: body
 *   arrives, request_feed) -> request_run (module code; may be on another thread when it
 *   returns) -> request_answer -> (worker sends head and body; request_pull) -> request_log ->
 *   (request_discard) -> request_give
 *
 * A struct request is recycled: it keeps its memory, and its pool is cleared.
 * The buffer that the head was parsed in belongs to the request until
 * request_give(): header strings point into it.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <apr_allocator.h>

#include "http/h1_parser.h"
#include "http/http_app.h"
#include "instar.h"

enum {
    BODY_INLINE = 64 * 1024,   /* a body up to this is there before the handler runs */
    BODY_DISCARD = 64 * 1024,  /* what is read and dropped of a body nobody wanted; else close */
    OUTPUT_BUFFER = 64 * 1024, /* an answer up to this never waits */
    OUTPUT_FIRST = 2048,       /* the body's first buffer, part of the request */
    RESPONSE_HEAD_MIN = 1024,
    PULL_MIN = 64, /* the least size for request_pull() */
    REQUEST_TABLES = 5,
    REQUEST_ID_SIZE = 24
};

/* What the worker sends where request_owes_continue(). */
#define REQUEST_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

struct request;
struct pair_list;

/* What the worker does for a request; all of them on the thread that runs the handler. */
struct request_io {
    /* Hand the loop over, so that this thread may block. Idempotent. */
    void (*will_block)(struct request *q);
    /* The next body bytes, still framed, what the worker has read already first: > 0, 0 at the
     * end of the connection, -1 with errno (ETIMEDOUT where RequestReadTimeout passed).
     * Blocks; will_block() was called. */
    int64_t (*receive)(struct request *q, void *buf, size_t size);
    /* Sends all of it. 0, or -1 when the client is gone or Timeout passed. Blocks. */
    int (*send)(struct request *q, const struct iovec *iov, int count);
    /* For %{NAME}x of LogFormat: "TLSv1.3" of SSL_PROTOCOL; NULL where there is none. May be NULL.
     */
    const char *(*tls_variable)(struct request *q, const char *name);
    /* The handler of a WebSocket's route: INS_OK where q->upgraded is set, or a handler's other
     * results. */
    int (*upgrade)(struct request *q);
};

struct address_text {
    uint32_t v4; /* what it says, 0: something else */
    char text[48];
};

/* A table that is emptied for the next request. */
struct lasting_table {
    apr_table_t *table;
    apr_array_header_t *array; /* what it consists of */
    char *elts;                /* the first */
    int nalloc;
};

/* A piece of an answer's body: in the request's pool. Pieces behind q->last are empty. */
struct body_piece {
    struct body_piece *next;
    size_t len, cap;
    char *data;
};

struct request {
    ins_request pub; /* first: ins_request * and struct request * are the same pointer */
    ins_connection conn;
    struct request *next_free;
    apr_allocator_t *allocator; /* of its two pools alone */
    apr_pool_t *lasting;        /* as long as this structure */
    struct lasting_table tables[REQUEST_TABLES];
    void **config_slots;
    struct http_app *app;
    const struct request_io *io;
    void *owner; /* the worker's connection */

    struct h1_head head;
    struct address_text client_ip, local_ip;
    const char *why; /* it was refused: words for log and error page */
    char id[REQUEST_ID_SIZE];

    struct route_match match;
    struct pair_list *query, *form, *cookies; /* parsed on first use */

    /* request body */
    struct h1_body body;
    int64_t body_limit; /* LimitRequestBody, 0 none */
    char *body_data;    /* decoded, what came before the handler ran */
    size_t body_len, body_cap, body_read;
    bool body_whole;      /* all of it is in body_data */
    bool expect_continue; /* 100 Continue is owed before the first read; the worker that sends it
                             clears it */
    int body_status;      /* INS_OK, or why reading failed */
    size_t discarded;
    char *raw;     /* ins_read()'s buffer for framed bytes */
    char *pending; /* in raw: not yet decoded */
    size_t pending_len;

    /* answer */
    struct body_piece first; /* its data: first_data */
    struct body_piece *last;
    int64_t out_len;            /* bytes in pieces, not sent yet */
    int64_t out_total;          /* body bytes written in all, also where none are sent (HEAD) */
    int64_t out_declared;       /* ins_set_length(), -1 */
    int64_t out_length;         /* the Content-Length that was sent, -1 */
    const char *out_connection; /* the Connection that was sent, NULL */
    const char *safe_type;      /* a content_type that was checked when it was set */
    int64_t head_bytes;         /* of the answer's head and framing, for the access log */
    bool head_sent, out_chunked, keep_alive;
    bool upgraded; /* the answer is a 101: what follows is not HTTP */
    bool failed;   /* send what there is, then close: the answer is incomplete */
    bool pull_ended;
    bool trouble_logged; /* one line a request is enough */
    ins_next_fn next;    /* ins_stream(): pull while not NULL */
    void *next_state;
    int handler_result;
    char first_data[OUTPUT_FIRST];
    struct h1_field fields[H1_FIELDS_MAX]; /* last, and touched only as far as used */
};

/* Facts about the connection a request came on. */
struct request_source {
    const struct sockaddr *peer, *local; /* peer NULL: a unix socket; local may be NULL */
    const struct host_table *hosts;
    ins_server *sni_server; /* TLS: the server that SNI chose; NULL plain */
    /* tls_server_compatible(); NULL: any pair is */
    bool (*compatible)(const ins_server *sni, const ins_server *host);
    bool secure;
    int keepalives;
    uint64_t id;
    apr_time_t received; /* first byte */
};

/* From a free list of the calling worker (loop's thread alone), or new; q->head is
 * initialised, q->pub.server is NULL until it is known. NULL where there is no memory. */
struct request *request_take(struct http_app *app);
/* Everything that begins with the head: server by Host (421 where TLS forbids
 * it), path decoded and normalised, location, limits, route. q->head is
 * H1_COMPLETE, or has a status: the parser's, or one the worker put there (408). Returns
 * INS_OK, or the status that answers it: then call
 * request_refuse(). An OPTIONS, 404 or 405 is not a refusal: request_run() makes it. */
int request_begin(struct request *q, const struct request_source *source,
                  const struct request_io *io, void *owner);
/* Behind request_begin(): request_run() may come at once, there is no body to wait for. */
bool request_ready(const struct request *q);
/* The client waits for 100 Continue and the body will be read now. */
bool request_owes_continue(const struct request *q);
/* Body bytes have come: decodes into body_data while it fits. *consumed of in
 * were used. H1_MORE: give more; H1_COMPLETE: ready to run (whole body); or H1_REFUSED:
 * q->body_status. When body_data is full the rest streams: it also returns H1_COMPLETE, body_whole
 * false. */
enum h1_outcome request_feed(struct request *q, const char *in, size_t in_len, size_t *consumed);
/* Phases and handler. Module code: the worker brackets it with its hand-off.
 * Leaves the result in q->handler_result; touches nothing of the loop's. */
void request_run(struct request *q);
/* Takes back framed bytes that ins_read() had from the worker and did not need: they come before
 * whatever the worker has. In the request's memory. */
const char *request_unread(struct request *q, size_t *len);
/* Answer with an error page instead, keep-alive off where framing is in doubt. why:
 * words for the log; NULL: what request_begin() or request_feed() found. */
void request_refuse(struct request *q, int status, const char *why);
/* Turns handler_result into a finished answer: error pages, HEAD, 204/304,
 * Content-Length or chunks. close: the worker wants Connection: close. Writes the
 * head into out (at least RESPONSE_HEAD_MIN bytes free) or, where it does not
 * fit, into the pool: *head_data tells. Send these bytes, then the pieces, then
 * pull while q->next. Where the handler has sent the head itself, the bytes are
 * framing, and may be none. q->keep_alive and q->failed are final
 * where q->next is NULL. */
size_t request_answer(struct request *q, bool close, char *out, size_t size,
                      const char **head_data);
/* Pulls the next piece of a streamed body into buf, chunk framing included, at
 * most size (>= PULL_MIN): > 0 bytes; 0 the end (all framing written); -1 break off. Module code.
 */
int64_t request_pull(struct request *q, char *buf, size_t size);
/* The access log lines and log_transaction hooks (module code only where such hooks exist). */
void request_log(struct request *q, apr_time_t now);
/* Where the answer is sent, q->keep_alive and !q->body.done: drops the rest of the body.
 * H1_COMPLETE: the next request may begin; H1_REFUSED: close. */
enum h1_outcome request_discard(struct request *q, const char *in, size_t in_len, size_t *consumed);
/* Back to the free list; its pool is cleared. Loop's thread alone. */
void request_give(struct request *q);

/* ---- A head that is read again (request_again.c) -------------------------- */

/* What request_begin() has found out about a request, and the place that it is for. */
struct request_place {
    const char *id;
    void **per_dir_config;
    const struct route *route;
    const struct route_param *params;
    int param_count;
};

/* The head as text, in as many bytes as request_head_size() says; q's buffer is still there. */
size_t request_head_size(const struct request *q);
void request_head_write(const struct request *q, char *out);
/* A request with that head, begun as by request_begin() but without looking anything up: any
 * thread; the place lives longer than it. place NULL: it is looked up, by the loop's thread. The
 * loop's thread may give it back, else request_free() ends it. NULL: no memory, or no head. */
struct request *request_again(struct http_app *app, const char *head, size_t len,
                              const struct request_source *source, const struct request_io *io,
                              void *owner, const struct request_place *place);
void request_free(struct request *q);

/* In a new worker: its requests' names differ from all others'. */
void request_id_start(void);

/* ---- The lines that request_log() gathered (access_log.h) ---------------- */

/* Once a turn of the loop; now: its clock. Writes what is due. */
void access_log_turn(struct http_app *app, int64_t now);
/* Milliseconds until something is due, -1: nothing waits. */
int access_log_wait(const struct http_app *app, int64_t now);
/* All of it, now. What cannot be written goes on waiting. */
void access_log_flush(struct http_app *app);
/* Another file for the log with this key, which may be an error log, too; fd stays the caller's. */
void access_log_replace(struct http_app *app, const char *key, int fd);
/* A signal handler's: what waits is written once, nothing is said, no memory is touched. */
void access_log_rescue(const struct http_app *app);
/* The worker's end: tries for up to wait ms, then gives the rest up. */
void access_log_end(struct http_app *app, int wait);

#endif
