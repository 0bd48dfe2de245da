/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's own line to each worker. It is there for what must work without
 * the generation process: the switch, which is too quick for a go-between, and
 * the drain of workers whose generation process has died.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "master/drain.h"
#include "master/generations.h"
#include "master/reload.h"
#include "master/reopen.h"
#include "master/switch.h"
#include "util/log.h"

#define LOG_PART "master"

enum { MESSAGES_A_TURN = 64 };

static struct ipc_message incoming;

void worker_send(struct worker_pair *w, enum ipc_type type, const void *payload, size_t length,
                 const int *fd)
{
    apr_status_t rv =
        ipc_send(w->source.fd, w->gen->number, type, payload, length, fd, fd != NULL ? 1 : 0);

    if (rv != APR_SUCCESS && rv != APR_EOF) {
        log_warning("INS01104", "worker %llu.%u (pid %d) does not take %s",
                    (unsigned long long)w->gen->number, w->index, (int)w->pid, ipc_type_name(type));
    }
}

static void listen_to(struct master *m, struct worker_pair *w)
{
    struct ipc_switch stopped;

    switch ((enum ipc_type)incoming.header.type) {
    case IPC_ACCEPT_STOPPED:
        memcpy(&stopped, incoming.payload, sizeof(stopped));
        switch_worker_stopped(m, w, stopped.number);
        return;
    case IPC_LOGS_REOPENED:
        memcpy(&stopped, incoming.payload, sizeof(stopped));
        w->reopened = stopped.number;
        reopen_check(m);
        return;
    case IPC_IDLE_MOVED:
        w->moving = false;
        reload_worker_moved(m);
        return;
    default:
        return;
    }
}

static void heard(struct master *m, void *ctx, uint32_t events)
{
    struct worker_pair *w = ctx;

    (void)events;
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        apr_status_t rv = ipc_recv(w->source.fd, &incoming);

        for (int k = 0; k < incoming.fd_count; k++) {
            (void)close(incoming.fds[k]);
        }
        incoming.fd_count = 0;
        if (rv == APR_EAGAIN) {
            return;
        }
        if (rv == APR_SUCCESS) {
            listen_to(m, w);
        }
        else if (rv != APR_EGENERAL && rv != APR_ENOSPC) {
            worker_remove(m, w);
            return;
        }
    }
}

static struct worker_pair *remember(struct master *m, struct generation *gen, uint32_t index,
                                    pid_t pid, int fd)
{
    struct worker_pair *w = NULL;

    if (gen->worker_count < WORKERS_MAX) {
        w = calloc(1, sizeof(*w));
    }
    if (w == NULL || source_add(&m->loop, &w->source, fd, EPOLLIN, heard, w) != 0) {
        (void)close(fd);
        free(w);
        return NULL;
    }
    w->gen = gen;
    w->index = index;
    w->pid = pid;
    w->next = gen->workers;
    gen->workers = w;
    gen->worker_count++;
    return w;
}

void worker_add(struct master *m, struct generation *gen, uint32_t index, pid_t pid, int fd)
{
    struct worker_pair *w = remember(m, gen, index, pid, fd);

    if (w == NULL) {
        return;
    }
    if (gen->life == GEN_SERVING) {
        switch_worker_joined(m, w);
        drain_worker_joined(m, w);
    }
    else if (gen->life == GEN_DRAINING) {
        drain_worker_late(gen, w);
    }
}

void worker_adopt(struct master *m, struct generation *gen, uint32_t index, pid_t pid, int fd,
                  bool moving, bool leaving, uint64_t reopened)
{
    struct worker_pair *w = remember(m, gen, index, pid, fd);

    if (w != NULL) {
        w->moving = moving;
        w->leaving = leaving;
        w->reopened = reopened;
    }
}

void worker_remove(struct master *m, struct worker_pair *w)
{
    struct generation *gen = w->gen;
    struct worker_pair **at;
    bool asked = w->asked;

    for (at = &gen->workers; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            gen->worker_count--;
            break;
        }
    }
    source_close(&m->loop, &w->source);
    free(w);
    generation_bury(m, gen);
    if (asked) {
        switch_worker_lost(m);
    }
    reload_worker_moved(m);
}
