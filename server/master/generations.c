/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations: forked from a manifest, heard over their pair, buried when
 * process and workers are gone. What a generation says is gossip: nothing in a
 * message can do more than harm the generation itself.
 */
#include "master/generations.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "ipc/ipc.h"
#include "master/board.h"
#include "master/certs.h"
#include "master/children.h"
#include "master/log_commands.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/probation.h"
#include "master/reload.h"
#include "master/reopen.h"
#include "master/successor.h"
#include "scoreboard/scoreboard.h"
#include "util/check.h"
#include "util/diag.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "master"

enum { MESSAGES_A_TURN = 64, KEEP_MAX = 1024, APP_TO_TEXT = 16 };

/* One for all: the master is single-threaded, and 100 KB is much for a stack. */
static struct ipc_message incoming;

static const enum sb_gen_state board_state[] = {
    [GEN_STARTING] = SB_STARTING, [GEN_PROBING] = SB_PROBING,   [GEN_SERVING] = SB_SERVING,
    [GEN_DRAINING] = SB_DRAINING, [GEN_STOPPING] = SB_DRAINING, [GEN_FAILED] = SB_FAILED
};
static const char *const life_names[] = {
    [GEN_STARTING] = "starting", [GEN_PROBING] = "probing",   [GEN_SERVING] = "serving",
    [GEN_DRAINING] = "draining", [GEN_STOPPING] = "stopping", [GEN_FAILED] = "failed"
};

const char *gen_life_name(enum gen_life life)
{
    return life_names[life];
}

void generation_set_life(struct master *m, struct generation *gen, enum gen_life life)
{
    (void)m;
    gen->life = life;
    gen->since = loop_now_ms();
    if (gen->slot != NULL) {
        sb_generation_set(gen->slot, board_state[life]);
    }
}

uint32_t generation_connections(const struct master *m, const struct generation *gen)
{
    return m->board ? sb_connections(m->board, gen->number) : 0;
}

int generations_draining(const struct master *m)
{
    const struct generation *gen;
    int count = 0;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        count += gen->life == GEN_DRAINING;
    }
    return count;
}

static int kept_descriptors(const struct manifest *manifest, int pair_fd, int *keep)
{
    int count = 0;

    keep[count++] = pair_fd;
    keep[count++] = manifest->build_dir;
    keep[count++] = log_fd();
    for (int i = 0; i < manifest->logs->count && count < KEEP_MAX; i++) {
        keep[count++] = manifest->logs->list[i].fd;
    }
    for (int i = 0; i < manifest->listeners.count && count < KEEP_MAX; i++) {
        keep[count++] = manifest->listeners.list[i].fd;
    }
    return count;
}

__attribute__((noreturn)) static void be_generation(struct master *m, struct launch *launch)
{
    memory_expect(m->last_text * APP_TO_TEXT);
    m->ops->run(launch);
    _exit(EXIT_FAILURE);
}

static void heard(struct master *m, void *ctx, uint32_t events)
{
    (void)events;
    generation_hear(m, ctx);
}

static struct generation *remember(struct master *m, struct manifest *manifest, uint64_t number)
{
    struct generation *gen = calloc(1, sizeof(*gen));

    if (gen == NULL) {
        return NULL;
    }
    gen->number = number;
    gen->manifest = manifest_keep(manifest);
    gen->logs = log_hold_take(m, manifest->logs);
    gen->source.fd = -1;
    gen->slot = m->board ? sb_generation_take(m->board, number) : NULL;
    gen->next = m->generations;
    m->generations = gen;
    generation_set_life(m, gen, GEN_STARTING);
    return gen;
}

struct generation *generation_adopt(struct master *m, uint64_t number, pid_t pid, int fd,
                                    bool alive)
{
    struct generation *gen = calloc(1, sizeof(*gen));

    INS_CHECK(gen != NULL);
    gen->number = number;
    gen->pid = pid;
    gen->alive = alive;
    gen->source.fd = -1;
    gen->slot = sb_generation_find(m->board, number);
    gen->next = m->generations;
    m->generations = gen;
    if (fd >= 0 && source_add(&m->loop, &gen->source, fd, EPOLLIN, heard, gen) != 0) {
        (void)close(fd);
        gen->source.fd = -1;
    }
    return gen;
}

static void role_words(char *out, size_t size, uint64_t number)
{
    if (number == CHECK_NUMBER) {
        (void)snprintf(out, size, "instar: configtest");
    }
    else {
        (void)snprintf(out, size, "instar: generation %llu", (unsigned long long)number);
    }
}

static pid_t fork_generation(struct master *m, struct generation *gen, struct launch *launch)
{
    int keep[KEEP_MAX + 1], count;
    char name[64];
    int pair[2];
    pid_t pid;

    if (ipc_pair(pair) != APR_SUCCESS) {
        return -1;
    }
    launch->master_fd = pair[1];
    count = kept_descriptors(gen->manifest, pair[1], keep);
    if (launch->query != NULL) {
        keep[count++] = launch->query->output;
    }
    role_words(name, sizeof(name), gen->number);
    pid = fork_role(name, keep, count, true);
    if (pid == 0) {
        be_generation(m, launch);
    }
    (void)close(pair[1]);
    if (pid < 0 || source_add(&m->loop, &gen->source, pair[0], EPOLLIN, heard, gen) != 0) {
        (void)close(pair[0]);
        gen->source.fd = -1;
    }
    return pid;
}

struct generation *generation_start(struct master *m, struct manifest *manifest, struct diags *scan,
                                    uint64_t number, enum launch_dump dump, bool check_only)
{
    struct generation *gen = remember(m, manifest, number);
    struct launch launch = { .number = number,
                             .dump = dump,
                             .query = m->job != NULL ? m->job->query : NULL,
                             .conf = manifest->conf,
                             .scan = scan,
                             .check_only = check_only,
                             .listeners = &manifest->listeners,
                             .builds = manifest->builds,
                             .logs = manifest->logs,
                             .board = m->board,
                             .tickets = m->tickets.view,
                             .staples = m->staples,
                             .build_dir = manifest->build_dir };
    int error;

    if (gen == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    gen->pid = fork_generation(m, gen, &launch);
    if (gen->pid < 0) {
        error = errno;
        generation_forget(m, gen);
        errno = error;
        return NULL;
    }
    gen->alive = true;
    if (gen->slot != NULL) {
        atomic_store(&gen->slot->pid, gen->pid);
    }
    return gen;
}

void generation_send(struct generation *gen, enum ipc_type type, const void *payload, size_t length)
{
    if (gen->source.fd >= 0) {
        (void)ipc_send(gen->source.fd, gen->number, type, payload, length, NULL, 0);
    }
}

void generation_kill(struct generation *gen)
{
    /* The group outlives its leader while a worker lives, and its number is
     * not given out again before that. */
    if (gen->pid > 0 && (gen->alive || gen->workers != NULL)) {
        (void)kill(-gen->pid, SIGKILL);
    }
}

/* ---- What it says ------------------------------------------------------ */

static void on_worker_up(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    struct ipc_worker_up up;

    memcpy(&up, msg->payload, sizeof(up));
    worker_add(m, gen, up.index, up.pid, msg->fds[0]);
    msg->fd_count = 0;
}

static void on_worker_down(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    struct ipc_worker_down down;
    struct worker_pair *w;
    char words[CHILD_WORDS], who[64];

    memcpy(&down, msg->payload, sizeof(down));
    log_info("INS01102", "worker %llu.%u (pid %d) %s", (unsigned long long)gen->number, down.index,
             (int)down.pid, child_words(down.status, words));
    (void)snprintf(who, sizeof(who), "worker %llu.%u", (unsigned long long)gen->number, down.index);
    down.handler[sizeof(down.handler) - 1] = '\0';
    if (!down.expected) {
        board_worker_down(m, gen, down.status);
        probation_death(m, gen, who, down.status, down.handler);
    }
    for (w = gen->workers; w != NULL; w = w->next) {
        if (w->index == down.index && w->pid == down.pid) {
            worker_remove(m, w);
            return;
        }
    }
}

static void on_worker_leaving(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    struct ipc_leaving leaving;
    struct worker_pair *w;

    memcpy(&leaving, msg->payload, sizeof(leaving));
    for (w = gen->workers; w != NULL; w = w->next) {
        if (w->index == leaving.index && w->pid == leaving.pid && !w->leaving) {
            w->leaving = true;
            board_worker_replaced(m, leaving.reason);
            return;
        }
    }
}

static void on_ready(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    (void)msg;
    if (gen->life == GEN_STARTING && !gen->ready) {
        gen->ready = true;
        reload_generation_ready(m, gen);
    }
}

static void on_failed(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    if (gen->life == GEN_STARTING || gen->life == GEN_PROBING) {
        reload_generation_failed(m, gen, msg->fds[0]);
    }
}

static void on_certs_done(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    struct ipc_certs_done done;

    memcpy(&done, msg->payload, sizeof(done));
    certs_done(m, gen, &done, msg->fds[0]);
}

typedef void (*message_fn)(struct master *m, struct generation *gen, struct ipc_message *msg);

static void on_logs_reopened(struct master *m, struct generation *gen, struct ipc_message *msg)
{
    struct ipc_switch done;

    memcpy(&done, msg->payload, sizeof(done));
    gen->reopened = done.number;
    reopen_check(m);
}

static const message_fn on_message[IPC_TYPES] = { [IPC_GEN_LOGS_REOPENED] = on_logs_reopened,
                                                  [IPC_GEN_WORKER_UP] = on_worker_up,
                                                  [IPC_GEN_WORKER_DOWN] = on_worker_down,
                                                  [IPC_GEN_WORKER_LEAVING] = on_worker_leaving,
                                                  [IPC_GEN_READY] = on_ready,
                                                  [IPC_GEN_FAILED] = on_failed,
                                                  [IPC_GEN_CERTS_DONE] = on_certs_done };

static void hang_up(struct master *m, struct generation *gen)
{
    source_close(&m->loop, &gen->source);
    /* Nothing can be asked of it any more. If it lives, it must not go on
     * unseen: its death, once reaped, is what starts the next step. */
    if (gen->alive) {
        (void)kill(gen->pid, SIGKILL);
    }
}

void generation_hear(struct master *m, struct generation *gen)
{
    for (int i = 0; i < MESSAGES_A_TURN && gen->source.fd >= 0; i++) {
        apr_status_t rv = ipc_recv(gen->source.fd, &incoming);

        if (rv == APR_EAGAIN) {
            return;
        }
        if (rv == APR_SUCCESS && on_message[incoming.header.type] != NULL) {
            on_message[incoming.header.type](m, gen, &incoming);
        }
        for (int k = 0; k < incoming.fd_count; k++) {
            (void)close(incoming.fds[k]);
        }
        incoming.fd_count = 0;
        if (rv != APR_SUCCESS && rv != APR_EGENERAL && rv != APR_ENOSPC) {
            hang_up(m, gen);
            return;
        }
    }
}

/* ---- Its end ----------------------------------------------------------- */

void generation_exited(struct master *m, struct generation *gen, int status)
{
    /* What it said last may still be unread. */
    generation_hear(m, gen);
    gen->alive = false;
    source_close(&m->loop, &gen->source);
    certs_generation_gone(m, gen);
    switch (gen->life) {
    case GEN_STARTING:
    case GEN_PROBING:
        reload_generation_exited(m, gen, status);
        return; /* buried there */
    case GEN_SERVING:
        probation_death(m, gen, "its process", status, "");
        successor_wanted(m, gen, status);
        break;
    default:
        break;
    }
    generation_bury(m, gen);
}

void generation_bury(struct master *m, struct generation *gen)
{
    if (gen->alive || gen->workers != NULL || gen == m->serving) {
        return;
    }
    if (gen->life == GEN_DRAINING) {
        log_notice("INS01103", "generation %llu has drained", (unsigned long long)gen->number);
    }
    generation_forget(m, gen);
}

void generation_release_manifest(struct master *m, struct generation *gen)
{
    if (gen->manifest->builds != NULL) {
        gen->objects = manifest_objects(gen->manifest->builds);
    }
    manifest_drop(m, gen->manifest);
    gen->manifest = NULL;
}

/* Those who were killed a moment ago may not be gone yet. */
static void free_worker_slots(struct master *m, uint64_t number)
{
    for (int i = 0; m->board != NULL && i < SB_WORKERS; i++) {
        if (atomic_load(&m->board->workers[i].generation) == number) {
            sb_worker_abandon(m->board, &m->board->workers[i]);
        }
    }
}

void generation_forget(struct master *m, struct generation *gen)
{
    struct generation **at;

    generation_kill(gen);
    while (gen->workers != NULL) {
        struct worker_pair *w = gen->workers;

        gen->workers = w->next;
        source_close(&m->loop, &w->source);
        free(w);
    }
    for (at = &m->generations; *at != NULL; at = &(*at)->next) {
        if (*at == gen) {
            *at = gen->next;
            break;
        }
    }
    if (m->serving == gen) {
        m->serving = NULL;
    }
    timer_clear(&m->loop, &gen->kill_timer);
    source_close(&m->loop, &gen->source);
    free_worker_slots(m, gen->number);
    if (gen->slot != NULL) {
        sb_generation_set(gen->slot, gen->number == CHECK_NUMBER ? SB_FREE
                                     : gen->life == GEN_FAILED   ? SB_FAILED
                                                                 : SB_EXITED);
    }
    manifest_drop(m, gen->manifest);
    log_hold_drop(m, gen->logs);
    free(gen->objects);
    free(gen);
    reload_generation_gone(m);
}
