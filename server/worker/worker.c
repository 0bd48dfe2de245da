/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's start and end. */
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"
#include "worker/socket.h"

#define LOG_PART "worker"

enum { LAST_LINES_MS = 1000 }; /* at the end, for a reader that is slow */

static int open_descriptors(struct worker *w)
{
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll_fd < 0) {
        return errno;
    }
    w->completion_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->completion_fd < 0) {
        return errno;
    }
    return loop_watch(w, w->completion_fd, EPOLLIN | EPOLLET, SOURCE_COMPLETIONS, 0);
}

static int watch_pairs(struct worker *w)
{
    int rv = 0;

    if (w->start.master_fd >= 0) {
        rv = loop_watch(w, w->start.master_fd, EPOLLIN, SOURCE_MASTER, 0);
    }
    if (rv == 0 && w->start.generation_fd >= 0) {
        rv = loop_watch(w, w->start.generation_fd, EPOLLIN, SOURCE_GENERATION, 0);
    }
    return rv;
}

static void on_stop_signal(int number)
{
    int error = errno;
    uint64_t one = 1;

    (void)number;
    if (write(worker_self->signal_fd, &one, sizeof(one)) < 0) {
        _exit(EXIT_FAILURE);
    }
    errno = error;
}

/* The loop ends in order, child_exit included. Not a signalfd: what a handler
 * starts would inherit the blocked signal. SIGINT is the terminal's, with -X. */
static int watch_signals(struct worker *w)
{
    struct sigaction action = { .sa_handler = on_stop_signal, .sa_flags = SA_RESTART };
    sigset_t set;
    int rv;

    w->signal_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->signal_fd < 0) {
        return errno;
    }
    rv = loop_watch(w, w->signal_fd, EPOLLIN, SOURCE_SIGNALS, 0);
    if (rv == 0 && (sigaction(SIGTERM, &action, NULL) < 0 ||
                    (w->start.master_fd < 0 && sigaction(SIGINT, &action, NULL) < 0))) {
        rv = errno;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return rv;
}

static int make_tables(struct worker *w)
{
    uint32_t capacity = (uint32_t)w->start.connections_max;
    int rv = conn_slab_create(&w->slab, capacity);

    if (rv != 0) {
        return rv;
    }
    w->parked = mmap(NULL, sizeof(*w->parked) * capacity, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w->parked == MAP_FAILED) {
        return errno;
    }
    for (unsigned i = 0; i < HANDOVER_PEERS; i++) {
        w->peers[i].fd = -1;
    }
    return 0;
}

static int prepare(struct worker *w)
{
    struct timespec t;
    int rv = open_descriptors(w);

    if (rv == 0) {
        rv = make_tables(w);
    }
    if (rv == 0) {
        rv = watch_pairs(w);
    }
    if (rv == 0) {
        rv = watch_signals(w);
    }
    if (rv == 0) {
        rv = handoff_start(&w->handoff, w->start.threads_max, http_route_count(w->http), w->slot,
                           loop_run, http_conn_job, w);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    w->now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    return rv;
}

static void say_ready(struct worker *w)
{
    struct ipc_empty empty = { 0 };

    if (w->start.generation_fd >= 0) {
        (void)ipc_send(w->start.generation_fd, w->start.generation, IPC_WORKER_READY, &empty,
                       sizeof(empty), NULL, 0);
    }
    if (w->start.master_fd < 0) {
        accept_start(w);
    }
}

void worker_end(struct worker *w)
{
    socket_farewell(w);
    access_log_end(w->http, LAST_LINES_MS);
    /* A handler that is cut off at the deadline still uses what exit would free. */
    if (w->running == 0 && w->start.child_exit != NULL) {
        w->start.child_exit(w->start.ctx);
    }
    _exit(w->exit_status);
}

int worker_run(const struct worker_start *start)
{
    struct worker *w = calloc(1, sizeof(*w));
    int rv;

    if (w == NULL) {
        return EXIT_FAILURE;
    }
    worker_self = w;
    w->start = *start;
    w->http = start->http;
    w->http->generation = start->generation;
    w->http->worker = start->index;
    request_id_start();
    w->tls = start->tls;
    w->slot = start->slot;
    sink_count_losses(&w->slot->log_lost);
    rv = prepare(w);
    if (rv != 0) {
        log_error("INS01416", "cannot start: errno %d", rv);
        return EXIT_FAILURE;
    }
    watch_start(w);
    tls_worker_init(w->tls);
    if (start->child_init != NULL) {
        start->child_init(start->ctx);
    }
    crash_keep_lines();
    say_ready(w);
    loop_run(w);
    handoff_first_thread_lost(&w->handoff);
    return EXIT_SUCCESS;
}
