/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection in a worker: a small private struct and a record in the shared
 * slab at the same index. While it is idle that is all there is; a struct work (buffers and
 * the request) is lent to it from its first byte to its last.
 *
 * Owner: the loop, except while state is CONN_RUNNING: then the thread that
 * runs the handler owns all of it but noted and epoll.
 */
#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"
#include "tls/tls.h"
#include "worker/handoff.h"
#include "worker/record.h"
#include "worker/timers.h"

struct conn;
struct ins_ws;
struct worker;

enum conn_state {
    CONN_FREE,
    CONN_HEAD,    /* idle, or a head is arriving */
    CONN_BODY,    /* a body is being gathered */
    CONN_WAITING, /* module code is to run: work->call */
    CONN_RUNNING, /* a handler has it */
    CONN_ANSWER,  /* the handler is done: its answer is put together */
    CONN_STREAM,  /* the answer is pulled from the module */
    CONN_LOG,     /* the answer is complete: log lines and hooks */
    CONN_SENT,    /* what is left of it goes out; then the next request, or the end */
    CONN_DISCARD, /* what is left of a body that nobody read */
    CONN_SOCKET,  /* a WebSocket between its callbacks */
    CONN_LINGER,  /* answered and shut down; reading until the client is done */
    CONN_OFFERED, /* out of epoll, waiting for another worker's answer */
    CONN_STATES
};

enum { IN_BYTES = 16 * 1024, IN_SLACK = 4096, OUT_BYTES = 32 * 1024 };

/* Module code that is to run for a connection, and the state in which it goes on then. */
struct module_call {
    void (*run)(struct conn *c); /* on whatever thread has the connection */
    unsigned route;              /* UINT_MAX none */
    uint8_t resume;
};

struct work {
    struct work *next_free;
    struct request *request;
    char *in; /* in_first, or a larger one from malloc() */
    size_t in_size, in_start, in_end;
    size_t body_at; /* where a body's bytes may lie: behind the head, which stays */
    size_t out_start, out_end;
    struct body_piece *piece; /* of the answer, the next to send */
    size_t piece_sent;
    struct body_piece head_piece; /* a head too large for out */
    int64_t since;                /* ms: the request's first byte */
    int64_t heard;                /* ms: its latest bytes */
    int64_t body_since;           /* ms: when its body began to be read */
    uint64_t body_bytes;
    int64_t pulled; /* what the module's next() returned */
    bool has_pulled;
    bool close_after; /* this answer is the connection's last */
    bool linger;      /* and the client may still be sending */
    struct module_call call;
    char in_first[IN_BYTES];
    char out[OUT_BYTES];
};

struct conn {
    struct job job;    /* first: a struct job is a struct conn */
    struct conn *next; /* ready queue, waiting queue, completions: one at a time */
    struct timer timer;
    struct work *work;
    struct tls_conn *tls;
    const struct host_table *hosts;
    struct ins_ws *socket; /* it has become a WebSocket: worker/socket.h */
    int fd;
    uint32_t generation; /* of the slot: tells a stale event from a live one */
    uint16_t listener;   /* index in the worker's set */
    uint8_t state;
    uint8_t noted;       /* events that came while a handler owned it */
    bool registered;     /* in epoll */
    bool watches_output; /* with EPOLLOUT */
    bool queued;         /* in the ready queue */
    bool can_read, can_write, hung_up;
    bool shared;     /* its descriptor was sent somewhere: EPOLL_CTL_DEL before close */
    bool refused;    /* a successor did not take it: stays here, closed after its next answer */
    bool counts_tls; /* among the worker's connections that speak TLS */
    bool parked;     /* on the list of those to be offered */
};

struct conn_slab {
    struct conn *list;      /* private, zero pages until used */
    struct record *records; /* shared memory, a slot each */
    uint32_t capacity, used, living;
    uint32_t free_first; /* index + 1 of the last one freed, 0 none */
    uint32_t *free_next; /* likewise, for each */
};

/* Maps the slab; 0 or errno. */
int conn_slab_create(struct conn_slab *slab, uint32_t capacity);
/* NULL when all are in use. Zeroed but for generation; living is counted. */
struct conn *conn_take(struct conn_slab *slab);
void conn_give(struct conn_slab *slab, struct conn *c);
static inline uint32_t conn_index(const struct conn_slab *slab, const struct conn *c)
{
    return (uint32_t)(c - slab->list);
}
static inline struct record *conn_record(const struct conn_slab *slab, const struct conn *c)
{
    return &slab->records[conn_index(slab, c)];
}
/* Makes the input buffer at least size bytes; what is in it stays. False: no memory. */
bool work_reserve(struct work *work, size_t size);

/* For epoll: index and generation in one word. Never 0. */
uint64_t conn_tag(const struct conn_slab *slab, const struct conn *c);
/* NULL where the tag is stale. */
struct conn *conn_from_tag(const struct conn_slab *slab, uint64_t tag);

/* Brackets every change of a record: an odd sequence is not adoptable. */
void record_change(struct record *r);
void record_settle(struct record *r);

#endif
