/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers that run for too long. Each thread that runs module code notes what it has and since
 * when; the loop, which no handler can hold up, looks at the notes now and then. Nothing
 * is done for a request but two stores.
 *
 * Why the notes may be read: a connection that a handler has is given up by the loop alone, after
 * the handler has handed it back. So while the note says the same on both sides of a look,
 * the connection and its request stand as the loop gave them away.
 *
 * A stack is taken by a signal to the thread: its handler walks the frames into a static buffer,
 * the words are made by the loop. The same signal can freeze a thread for the worker's last
 * answer. A system call may fail with EINTR for it.
 */
#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "util/log.h"
#include "worker/http_machine.h"
#include "worker/socket.h"
#include "worker/stack.h"

#define LOG_PART "worker"

enum {
    LOOK_MS = 1000, /* at most between two looks */
    LOOK_MIN_MS = 20,
    SAMPLE_LOOK_MS = 5,
    SAMPLE_MS = 1000, /* a thread that has not taken the signal by then will not */
    FREEZE_MS = 100,
    LAST_LINES_MS = 1000,
    SIGNAL_AT = 5, /* above SIGRTMIN */
    LINE_BYTES = 400
};

/* A thread that runs module code. Never freed: threads are kept. */
struct runner {
    struct runner *next;
    pid_t tid;
    _Atomic int64_t since; /* ms; 0: it runs none now */
    _Atomic(struct conn *) conn;
    int64_t told; /* the loop's: of what was logged, its since */
};

static _Thread_local struct runner *self;

/* ---- The signal --------------------------------------------------------- */

enum sample_state { SAMPLE_NONE, SAMPLE_WANTED, SAMPLE_TAKING, SAMPLE_TAKEN, FREEZE, FROZEN };

/* One at a time, the loop's question to one thread. */
static struct {
    _Atomic int state;
    _Atomic pid_t tid;
    void *frames[STACK_FRAMES];
    int count;
} sample;

static void on_sample(int number)
{
    int error = errno, wanted = SAMPLE_WANTED, freeze = FREEZE;

    (void)number;
    if (atomic_load(&sample.tid) == (pid_t)syscall(SYS_gettid)) {
        if (atomic_compare_exchange_strong(&sample.state, &wanted, SAMPLE_TAKING)) {
            sample.count = backtrace(sample.frames, STACK_FRAMES);
            atomic_store(&sample.state, SAMPLE_TAKEN);
        }
        else if (atomic_compare_exchange_strong(&sample.state, &freeze, FROZEN)) {
            for (;;) {
                (void)pause();
            }
        }
    }
    errno = error;
}

/* False where a module has taken the signal for itself. */
static bool ask_thread(const struct runner *r, enum sample_state question)
{
    int number = SIGRTMIN + SIGNAL_AT;
    struct sigaction now;

    if (sigaction(number, NULL, &now) < 0 || now.sa_handler != on_sample) {
        return false;
    }
    atomic_store(&sample.tid, r->tid);
    atomic_store(&sample.state, question);
    return syscall(SYS_tgkill, getpid(), r->tid, number) == 0;
}

/* ---- Notes -------------------------------------------------------------- */

static int64_t sooner(int64_t a, int64_t b)
{
    return b == 0 || (a > 0 && a < b) ? a : b;
}

/* When a handler is worth a line; 0: never. */
static int64_t late_after(const struct worker *w)
{
    return sooner(w->start.handler_timeout, w->start.handler_kill_timeout);
}

void watch_start(struct worker *w)
{
    struct sigaction action = { .sa_handler = on_sample, .sa_flags = SA_RESTART };
    void *frames[2];

    w->watch.due = w->start.memory_limit > 0 ? w->now : INT64_MAX;
    if (late_after(w) > 0) {
        w->watch.due = w->now;
        (void)backtrace(frames, 2); /* loads what it needs: not to happen in the signal handler */
        (void)sigaction(SIGRTMIN + SIGNAL_AT, &action, NULL);
    }
}

static void add_runner(struct worker *w)
{
    struct runner *head = atomic_load_explicit(&w->watch.runners, memory_order_relaxed);

    self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return;
    }
    self->tid = (pid_t)syscall(SYS_gettid);
    do {
        self->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&w->watch.runners, &head, self,
                                                    memory_order_release, memory_order_relaxed));
}

void watch_enter(struct worker *w, struct conn *c, int64_t now)
{
    if (self == NULL) {
        add_runner(w);
    }
    if (self != NULL) {
        atomic_store_explicit(&self->conn, c, memory_order_relaxed);
        atomic_store_explicit(&self->since, now, memory_order_release);
    }
}

void watch_leave(void)
{
    if (self != NULL) {
        atomic_store_explicit(&self->since, 0, memory_order_release);
    }
}

static struct runner *first_runner(const struct worker *w)
{
    return atomic_load_explicit(&w->watch.runners, memory_order_acquire);
}

/* What it has, if it has had it since then. */
static struct conn *conn_of(struct runner *r, int64_t since)
{
    struct conn *c = atomic_load_explicit(&r->conn, memory_order_acquire);

    return atomic_load_explicit(&r->since, memory_order_acquire) == since ? c : NULL;
}

/* ---- The lines ---------------------------------------------------------- */

static void describe(const struct route *route, char *out, size_t size)
{
    const char *file;
    unsigned line = http_route_line(route, &file);

    if (route == NULL) {
        (void)snprintf(out, size, "a hook, for a request without a route,");
        return;
    }
    (void)snprintf(out, size, "%s of %s (Route %s %s, %s:%u)", route->handler_name,
                   route->module->name, route->method, route->pattern, file, line);
}

/* Of a WebSocket: what its opening request was. */
static const struct route *route_of(const struct conn *c)
{
    return c->socket != NULL ? c->socket->place.route : c->work->request->match.route;
}

static const char *request_line(const struct conn *c, char *out, size_t size)
{
    const struct ins_ws *ws = c->socket;
    size_t len;

    if (ws == NULL) {
        (void)apr_cpystrn(out, c->work->request->head.request_line, size);
        return out;
    }
    for (len = 0; len < ws->head_len && ws->head_text[len] != '\r'; len++) {
    }
    (void)snprintf(out, size, "%.*s", (int)len, ws->head_text);
    return out;
}

static void log_late(struct worker *w, const struct conn *c, int64_t took)
{
    char peer[PEER_TEXT], what[LINE_BYTES], line[LINE_BYTES];

    describe(route_of(c), what, sizeof(what));
    log_line("INS02355", LOG_PART, INS_WARNING, http_conn_peer(w, c, peer, sizeof(peer)),
             "worker %" PRIu64 ".%u: %s has run for %" PRId64 ".%" PRId64 " s: \"%s\"",
             w->start.generation, w->start.index, what, took / 1000, took % 1000 / 100,
             request_line(c, line, sizeof(line)));
}

static void log_stack(struct worker *w, const struct runner *r)
{
    char text[STACK_TEXT];

    /* without the signal handler's own frame */
    stack_text(w->http, sample.frames + 1, sample.count - 1, text, sizeof(text));
    log_warning("INS02356", "the stack of thread %d: %s", (int)r->tid, text);
}

/* ---- Looking ------------------------------------------------------------ */

static void begin_sample(struct worker *w, struct runner *r, int64_t since)
{
    const struct conn *c = conn_of(r, since);

    if (c == NULL) {
        return;
    }
    r->told = since;
    SB_COUNT(w->slot, handlers_late, 1);
    log_late(w, c, w->now - since);
    if (ask_thread(r, SAMPLE_WANTED)) {
        w->watch.sampled = r;
        w->watch.sampled_since = since;
        w->watch.sampled_at = w->now;
    }
}

static void end_sample(struct worker *w)
{
    struct runner *r = w->watch.sampled;
    int wanted = SAMPLE_WANTED;

    if (atomic_load(&sample.state) == SAMPLE_TAKEN) {
        /* else it is the stack of what came behind it */
        if (conn_of(r, w->watch.sampled_since) != NULL) {
            log_stack(w, r);
        }
    }
    else if (w->now - w->watch.sampled_at < SAMPLE_MS ||
             !atomic_compare_exchange_strong(&sample.state, &wanted, SAMPLE_NONE)) {
        return;
    }
    else {
        log_warning("INS02361", "thread %d takes no signal, its stack is not known", (int)r->tid);
    }
    atomic_store(&sample.state, SAMPLE_NONE);
    w->watch.sampled = NULL;
}

static bool hangs(const struct worker *w, int64_t since)
{
    int64_t limit = w->start.handler_kill_timeout;

    return limit > 0 && since > 0 && w->now - since >= limit;
}

static void look_at(struct worker *w, struct runner *r)
{
    int64_t since = atomic_load_explicit(&r->since, memory_order_acquire);
    int64_t limit = late_after(w);

    if (since == 0) {
        return;
    }
    if (limit > 0 && w->now - since >= limit && r->told != since && w->watch.sampled == NULL) {
        begin_sample(w, r, since);
    }
    if (hangs(w, since)) {
        (void)spent_tell(w, IPC_SPENT_HANDLER);
    }
}

static int64_t look_every(const struct worker *w)
{
    int64_t every = late_after(w) > 0 ? late_after(w) / 4 : LOOK_MS;

    if (w->watch.sampled != NULL) {
        return SAMPLE_LOOK_MS;
    }
    every = every > LOOK_MS ? LOOK_MS : every;
    return every < LOOK_MIN_MS ? LOOK_MIN_MS : every;
}

void watch_turn(struct worker *w)
{
    if (w->now < w->watch.due) {
        return;
    }
    if (w->watch.sampled != NULL) {
        end_sample(w);
    }
    for (struct runner *r = first_runner(w); r != NULL; r = r->next) {
        look_at(w, r);
    }
    spent_look(w);
    w->watch.requests = atomic_load_explicit(&w->slot->requests, memory_order_relaxed);
    w->watch.due = w->now + look_every(w);
}

/* A worker that rests is left to rest: nothing begins without an event. */
int watch_wait(const struct worker *w)
{
    bool awake =
        w->running > 0 || w->watch.sampled != NULL ||
        atomic_load_explicit(&w->slot->requests, memory_order_relaxed) != w->watch.requests;

    if (!awake || w->watch.due == INT64_MAX) {
        return -1;
    }
    return w->watch.due > w->now ? (int)(w->watch.due - w->now) : 0;
}

/* ---- The end with those that hang --------------------------------------- */

/* Once the stack of each has been logged, too. */
bool watch_only_hanging(struct worker *w)
{
    uint32_t count = 0;

    if (w->start.handler_kill_timeout == 0 || w->running == 0 || w->running != w->slab.living ||
        w->watch.sampled != NULL) {
        return false;
    }
    for (struct runner *r = first_runner(w); r != NULL; r = r->next) {
        int64_t since = atomic_load_explicit(&r->since, memory_order_acquire);

        count += hangs(w, since) && r->told == since;
    }
    return count == w->slab.living;
}

static bool freeze(const struct runner *r)
{
    const struct timespec tick = { .tv_nsec = 1000000 };

    if (!ask_thread(r, FREEZE)) {
        return false;
    }
    for (int i = 0; i < FREEZE_MS && atomic_load(&sample.state) != FROZEN; i++) {
        (void)nanosleep(&tick, NULL);
    }
    return atomic_load(&sample.state) == FROZEN;
}

/* Not under TLS, whose thread may have been frozen in the middle of a record, nor in a
 * WebSocket, where it would be no frame. */
static void answer(const struct conn *c)
{
    static const char words[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                                "Connection: close\r\n\r\n";
    const struct work *work = c->work;
    size_t earlier = work->out_end - work->out_start;

    if (c->tls != NULL || c->socket != NULL || work->request->head_sent || work->piece != NULL) {
        return;
    }
    if (earlier == 0 || send(c->fd, work->out + work->out_start, earlier,
                             MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)earlier) {
        (void)send(c->fd, words, sizeof(words) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void log_killed(struct worker *w, const struct conn *c)
{
    char peer[PEER_TEXT], line[LINE_BYTES];

    SB_COUNT(w->slot, handlers_killed, 1);
    log_line("INS02362", LOG_PART, INS_ERR, http_conn_peer(w, c, peer, sizeof(peer)),
             "HandlerKillTimeout: the worker ends with its request \"%s\"",
             request_line(c, line, sizeof(line)));
}

/* A frozen thread may hold any lock, malloc's too: once there is one nothing is called but
 * send(). */
void watch_end_hanging(struct worker *w)
{
    for (struct runner *r = first_runner(w); r != NULL; r = r->next) {
        int64_t since = atomic_load_explicit(&r->since, memory_order_acquire);
        const struct conn *c = hangs(w, since) ? conn_of(r, since) : NULL;

        if (c != NULL) {
            log_killed(w, c);
        }
    }
    access_log_end(w->http, LAST_LINES_MS);
    for (struct runner *r = first_runner(w); r != NULL; r = r->next) {
        int64_t since = atomic_load_explicit(&r->since, memory_order_acquire);

        if (hangs(w, since) && freeze(r)) {
            const struct conn *c = conn_of(r, since);

            if (c != NULL) {
                answer(c);
            }
        }
    }
    _exit(w->exit_status);
}
