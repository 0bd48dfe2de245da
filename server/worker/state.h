/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's whole state, and what its files offer each other. Everything in
 * struct worker belongs to the loop, whichever thread runs it, except what is
 * marked; module code never sees it.
 */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "ipc/ipc.h"
#include "worker/conn.h"
#include "worker/handoff.h"
#include "worker/timers.h"
#include "worker/worker.h"

enum {
    EVENTS_PER_TURN = 256,
    HANDOVER_PEERS = 256,
    OFFER_WINDOW = 4, /* messages to one peer that it has not answered */
    RAW_BYTES = 64 * 1024,
    PEER_TEXT = 64,
    ENDED_MAX = 16
};

/* Queue of connections, linked by conn.next. */
struct conn_queue {
    struct conn *first, *last;
};

/* What epoll reports on, beside connections: told apart by the tag's upper
 * half, which no living connection's index reaches. */
enum source {
    SOURCE_CONN,
    SOURCE_LISTENER,
    SOURCE_COMPLETIONS,
    SOURCE_MASTER,
    SOURCE_GENERATION,
    SOURCE_PEER,
    SOURCE_SIGNALS
};

/* A pair to another worker, of another generation or of this one. */
struct peer {
    int fd;       /* -1: unused */
    bool gives;   /* it offers to us; else we offer to it */
    bool blocked; /* its queue is full: wait for EPOLLOUT */
    uint64_t generation;
    uint32_t index;
    struct offer *offers[OFFER_WINDOW]; /* messages without their answer */
    unsigned offer_count;
};

struct runner; /* watch.c */

/* What is watched: see watch.h and spent.h. The loop's, but for runners. */
struct watch {
    _Atomic(struct runner *) runners; /* a thread each; any thread pushes */
    int64_t due;                      /* ms: the next look */
    uint64_t requests;                /* answered at the last look */
    struct runner *sampled;           /* whose stack was asked for; NULL none */
    int64_t sampled_since, sampled_at;
    int64_t memory_due;
    uint64_t accepted; /* connections, in this worker's life */
    uint32_t asked;    /* enum ipc_spent_reason that the generation was told */
};

struct worker {
    struct worker_start start;
    struct http_app *http;
    struct tls_app *tls;
    struct worker_renewal *renewal; /* of certificates, under way; or NULL */
    struct sb_worker *slot;

    /* the loop */
    int epoll_fd, completion_fd, signal_fd;
    struct epoll_event events[EVENTS_PER_TURN];
    int64_t now;             /* CLOCK_MONOTONIC ms, once a turn */
    apr_time_t wall;         /* realtime us, once a turn */
    int64_t clock_offset;    /* of wall from the monotonic clock, us */
    int64_t clock_offset_at; /* ms: when it was looked at last; 0 never */
    /* When those requests began that this turn has ended: timed together at its end. */
    apr_time_t ended[ENDED_MAX];
    unsigned ended_count;
    struct conn_queue ready, waiting;
    struct timers timers;
    _Atomic(struct conn *) completions; /* any thread pushes */
    _Atomic(struct ins_ws *) woken;     /* likewise: WebSockets with something to send */
    struct handoff handoff;
    bool stop;
    int exit_status;

    /* connections */
    struct conn_slab slab;
    struct work *free_work;
    uint64_t next_id;
    uint32_t running;    /* connections that a handler has */
    uint32_t tls_living; /* connections that speak TLS */
    char raw[RAW_BYTES]; /* wire bytes before TLS, and what is thrown away */

    /* accepting */
    bool accepting; /* told to */
    bool listening; /* listeners are in epoll */
    bool pause_logged;
    int64_t paused_at;
    struct timer accept_timer;

    struct watch watch;

    /* draining */
    bool draining, hand_over;
    bool owes_word;      /* IDLE_MOVED to the master */
    int64_t deadline;    /* ms; 0 none */
    int64_t empty_since; /* ms; 0: there were connections when it was looked at last */
    uint64_t *parked;    /* tags of connections to be offered; slab.capacity of them at most */
    uint32_t parked_count;
    struct peer peers[HANDOVER_PEERS];
    unsigned next_peer;
    uint64_t next_offer;
    struct ipc_message message; /* the one being received */
};

/* The process's only one; request_io callbacks and spare threads find it here. */
extern struct worker *worker_self;

/* ---- loop.c ------------------------------------------------------------ */

/* Serves until the loop is lost or the worker stops. */
void loop_run(void *worker);
/* Puts a connection where the loop will step it. */
void loop_ready(struct worker *w, struct conn *c);
/* Any thread: the handler of c has returned, the loop goes on with it. */
void loop_complete(struct worker *w, struct conn *c);
/* Any thread: there are completions, or woken sockets. */
void loop_wake(struct worker *w);
/* A request that began then is over: counted when it is known how long it took. */
void loop_request_ended(struct worker *w, apr_time_t began);
int loop_watch(struct worker *w, int fd, uint32_t events, enum source source, unsigned index);
void loop_unwatch(struct worker *w, int fd);
void queue_push(struct conn_queue *q, struct conn *c);
struct conn *queue_pop(struct conn_queue *q);

/* ---- accept.c ---------------------------------------------------------- */

void accept_start(struct worker *w);
void accept_stop(struct worker *w);
void accept_event(struct worker *w, unsigned listener);
/* Takes one round from every listener: a sibling died with its wake-up. */
void accept_poke(struct worker *w);
/* A descriptor or slot came free: try again if paused. */
void accept_resume(struct worker *w);
/* Takes what waits on a listener that nobody will poll again. */
void accept_rest(struct worker *w, const struct listener *l);
void accept_timeout(struct worker *w);

/* ---- transport.c: bytes in and out, plain or TLS ------------------------ */

enum io { IO_DONE, IO_AGAIN, IO_EOF, IO_ERROR };

/* Non-blocking read into buf; *got bytes on IO_DONE. */
enum io transport_read(struct conn *c, char *buf, size_t size, size_t *got, char *raw,
                       size_t raw_size);
/* Non-blocking: everything in out, then the answer's pieces. */
enum io transport_flush(struct conn *c);
/* Only what TLS owes (handshake, alerts). */
enum io transport_flush_tls(struct conn *c);
bool transport_output_pending(const struct conn *c);
/* Blocking variants for a handler's thread, bounded by timeout ms. */
enum io transport_read_wait(struct conn *c, char *buf, size_t size, size_t *got, int64_t timeout);
enum io transport_send_wait(struct conn *c, const struct iovec *iov, int count, int64_t timeout);

/* ---- probe.c: takes over fd ------------------------------------------------- */

void probe_adopt(struct worker *w, int fd);

/* ---- lifecycle.c -------------------------------------------------------- */

/* Takes over fd; NULL where there is no slot (fd stays the caller's). */
struct conn *conn_open_plain(struct worker *w, int fd, unsigned listener,
                             const struct sockaddr *peer, socklen_t peer_len);
/* The same, with TLS where the listener speaks it. */
struct conn *conn_open(struct worker *w, int fd, unsigned listener, const struct sockaddr *peer,
                       socklen_t peer_len);
/* Does its listener, or the default server behind it, speak TLS? */
bool conn_wants_tls(const struct worker *w, const struct conn *c);
/* Makes c one that speaks TLS; it owns tls from now on. */
void conn_give_tls(struct worker *w, struct conn *c, struct tls_conn *tls);
void conn_close(struct worker *w, struct conn *c);
/* Into epoll, once. False: closed. */
bool conn_register(struct worker *w, struct conn *c);
/* Lends buffers; NULL where memory is out. */
struct work *conn_work(struct worker *w, struct conn *c);
void conn_release_work(struct worker *w, struct conn *c);

/* ---- http_conn.c -------------------------------------------------------- */

enum step { STEP_NEXT, STEP_WAIT, STEP_LOST, STEP_CLOSED };

/* Goes on with a connection until it must wait, is gone, or the loop is lost. */
enum step http_conn_run(struct worker *w, struct conn *c);
void http_conn_timeout(struct worker *w, struct conn *c);
/* "192.0.2.7:1234", as requests log it. */
const char *http_conn_peer(const struct worker *w, const struct conn *c, char *out, size_t size);
/* On a spare thread. */
void http_conn_job(void *worker, struct job *job);

/* ---- handover.c --------------------------------------------------------- */

/* Draining: is this connection parked now? Then it will be offered. */
void handover_park(struct worker *w, struct conn *c);
void handover_add_peer(struct worker *w, int fd, bool gives, uint64_t generation, uint32_t index);
void handover_event(struct worker *w, unsigned peer, uint32_t events);
/* Offers what is queued, as far as windows allow; once a turn. */
void handover_pump(struct worker *w);
/* Can this connection go on in another worker? */
bool handover_possible(const struct worker *w, const struct conn *c);
bool handover_pending(const struct worker *w);
/* Is there a worker to offer anything to? */
bool handover_has_receiver(const struct worker *w);

/* ---- control.c ---------------------------------------------------------- */

void control_event(struct worker *w, enum source source);
void control_signal(struct worker *w);
/* Is a draining worker empty, or its time up? */
void control_check_drained(struct worker *w);

/* ---- certs.c ------------------------------------------------------------ */

/* Takes fd over; the generation is answered when all is in place. */
void worker_take_certs(struct worker *w, const struct ipc_certs *order, int fd);
/* Once a turn while there is a renewal. */
void certs_turn(struct worker *w);

/* ---- crash.c ------------------------------------------------------------ */

/* A worker that crashes writes the access log lines that it has gathered, then dies of its
 * signal as it would have. */
void crash_keep_lines(void);

/* ---- watch.c: handlers that run for too long ------------------------------ */

/* In a new worker. */
void watch_start(struct worker *w);
/* Around module code, on the thread that runs it; now: ms. */
void watch_enter(struct worker *w, struct conn *c, int64_t now);
void watch_leave(void);
/* Once a turn. */
void watch_turn(struct worker *w);
/* Milliseconds until there is something to look at, -1: nothing. */
int watch_wait(const struct worker *w);
/* All connections that are left have handlers past HandlerKillTimeout. */
bool watch_only_hanging(struct worker *w);
/* The end of the process; those who have not been sent anything are sent a 503. */
void watch_end_hanging(struct worker *w) __attribute__((noreturn));

/* ---- spent.c: limits on the worker itself --------------------------------- */

/* A connection was accepted. */
void spent_accepted(struct worker *w);
/* Tells the generation, once, that this worker is to be replaced: true when it does. */
bool spent_tell(struct worker *w, uint32_t reason);
/* Now and then: is it over WorkerMemoryLimit? */
void spent_look(struct worker *w);

/* ---- worker.c ----------------------------------------------------------- */

/* The end of the process, on whatever thread has the loop. */
void worker_end(struct worker *w) __attribute__((noreturn));

#endif
