/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: one event loop and a few threads. Knows the app it serves and the
 * two pairs it was given; nothing of master or generation. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_pools.h>

#include "instar.h"
#include "scoreboard/scoreboard.h"
#include "util/listener.h"

struct http_app;
struct tls_app;

struct worker_start {
    uint64_t generation;
    uint32_t index, workers;
    uint32_t incarnation; /* the how many-th with this index */
    int generation_fd;    /* -1 in -X */
    int master_fd;        /* -1 in -X: then it accepts at once, and stops on SIGINT and SIGTERM */
    const struct listener_set *listeners;
    struct http_app *http;
    struct tls_app *tls; /* or NULL */
    struct sb_worker *slot;
    int threads_max;                               /* ThreadsPerWorker */
    int connections_max;                           /* MaxConnections */
    int64_t memory_limit;                          /* WorkerMemoryLimit, 0 none */
    int accepts_max;                               /* MaxConnectionsPerWorker, 0 none */
    int64_t handler_timeout, handler_kill_timeout; /* ms, 0 off */
    void (*child_init)(void *ctx);                 /* runs the modules' hooks, before READY */
    void (*child_exit)(void *ctx);                 /* when drained or stopped, no handler running */
    void *ctx;
};

/* Serves until drained, told to stop, or orphaned of its master, then ends the
 * process by _exit(), on whatever thread has the loop. Returns only where it
 * could not start: the exit status. */
int worker_run(const struct worker_start *start);

#endif
