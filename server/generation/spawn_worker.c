/* SPDX-License-Identifier: Apache-2.0 */
/* Forking a worker from the warm image. It keeps its ends of two pairs and what
 * loading left open (listeners, logs, whatever modules opened in set-up); not the
 * generation's pair with the master, nor any sibling's. */
#include "generation/minding.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/conf.h"
#include "ipc/ipc.h"
#include "util/role.h"
#include "worker/worker.h"

enum { KEPT_MAX = 1000, SEND_WAIT_MS = 2000 };

void worker_keep_descriptors(struct minding *m)
{
    m->kept = apr_palloc(m->app->pool, sizeof(int) * KEPT_MAX);
    m->kept_count = 0;
    for (int fd = STDERR_FILENO + 1; fd < KEPT_MAX; fd++) {
        if (fd != m->launch->master_fd && fd != m->launch->build_dir && fcntl(fd, F_GETFD) >= 0) {
            m->kept[m->kept_count++] = fd;
        }
    }
}

bool minding_tell_master(struct minding *m, int type, const void *payload, size_t length, int fd)
{
    struct pollfd p = { .fd = m->launch->master_fd, .events = POLLOUT };
    int64_t until = minding_now() + SEND_WAIT_MS;
    apr_status_t rv;

    do {
        rv = ipc_send(m->launch->master_fd, m->launch->number, (enum ipc_type)type, payload, length,
                      &fd, fd >= 0 ? 1 : 0);
    } while (rv == APR_EAGAIN && minding_now() < until && poll(&p, 1, 100) >= 0);
    return rv == APR_SUCCESS;
}

/* Which module's hook it is, for the words about a crash while starting. */
static void say_hook(const struct app *app, const char *hook, const ins_module *module)
{
    const struct launch *launch = app->launch;
    struct sb_generation *slot =
        launch->board ? sb_generation_find(launch->board, launch->number) : NULL;

    if (slot && atomic_load(&slot->state) <= SB_STARTING) {
        sb_doing(slot, "running %s of %s", hook, module->name);
    }
}

void worker_child_init(void *ctx)
{
    const struct app *app = ctx;

    for (int i = 0; i < app->module_count; i++) {
        if (app->modules[i]->child_init) {
            say_hook(app, "child_init", app->modules[i]);
            app->modules[i]->child_init(app->pool, app->servers);
        }
    }
}

void worker_child_exit(void *ctx)
{
    const struct app *app = ctx;

    for (int i = 0; i < app->module_count; i++) {
        if (app->modules[i]->child_exit) {
            app->modules[i]->child_exit(app->pool, app->servers);
        }
    }
}

/* A signal sent to every process by the server's name is the master's business. */
static void set_signals(void)
{
    static const int ignored[] = { SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGQUIT, SIGXFSZ };

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
}

static void run(struct minding *m, const struct ward *w, int generation_fd, int master_fd)
{
    const struct conf_process *process = &m->launch->conf->process;
    struct worker_start start = { .generation = m->launch->number,
                                  .index = w->index,
                                  .incarnation = w->incarnation,
                                  .workers = (uint32_t)m->count,
                                  .generation_fd = generation_fd,
                                  .master_fd = master_fd,
                                  .listeners = m->launch->listeners,
                                  .http = m->app->http,
                                  .tls = m->app->tls,
                                  .slot = w->slot,
                                  .threads_max = process->threads_per_worker,
                                  .connections_max = process->max_connections,
                                  .memory_limit = process->worker_memory_limit,
                                  .accepts_max = process->worker_connections,
                                  .handler_timeout = process->handler_timeout,
                                  .handler_kill_timeout = process->handler_kill_timeout,
                                  .child_init = worker_child_init,
                                  .child_exit = worker_child_exit,
                                  .ctx = m->app };

    set_signals();
    atomic_store(&w->slot->pid, getpid());
    _exit(worker_run(&start));
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            (void)close(pair[i]);
            pair[i] = -1;
        }
    }
}

static pid_t fork_worker(struct minding *m, struct ward *w, const int ours[2], const int masters[2])
{
    char name[64];
    int keep[KEPT_MAX + 2];
    pid_t pid;

    memcpy(keep, m->kept, sizeof(int) * (size_t)m->kept_count);
    keep[m->kept_count] = ours[1];
    keep[m->kept_count + 1] = masters[1];
    (void)snprintf(name, sizeof(name), "instar: worker %" PRIu64 ".%" PRIu32, m->launch->number,
                   w->index);
    pid = fork_role(name, keep, m->kept_count + 2, false);
    if (pid == 0) {
        run(m, w, ours[1], masters[1]);
    }
    return pid;
}

/* The master learns of it before it can say anything to the master. */
static int introduce(struct minding *m, struct ward *w, int *masters_end)
{
    struct ipc_worker_up up = { .index = w->index, .pid = w->pid };

    if (!minding_tell_master(m, IPC_GEN_WORKER_UP, &up, sizeof(up), *masters_end)) {
        (void)kill(w->pid, SIGKILL);
        (void)waitpid(w->pid, NULL, 0);
        return EIO;
    }
    return 0;
}

int worker_spawn(struct minding *m, struct ward *w)
{
    int ours[2] = { -1, -1 }, masters[2] = { -1, -1 };
    int rv = EAGAIN;

    w->slot = sb_worker_take(m->launch->board, m->launch->number, w->index);
    if (!w->slot) {
        return ENOSPC;
    }
    rv = ipc_pair(ours);
    if (rv == 0) {
        rv = ipc_pair(masters);
    }
    if (rv == 0) {
        w->ready = false;
        w->spent = IPC_SPENT_NOT;
        w->incarnation++;
        w->started = minding_now();
        w->pid = fork_worker(m, w, ours, masters);
        rv = w->pid < 0 ? errno : introduce(m, w, &masters[0]);
    }
    if (rv == 0) {
        atomic_store(&w->slot->pid, w->pid);
        w->fd = ours[0];
        ours[0] = -1;
    }
    else {
        w->pid = 0;
        sb_worker_free(m->launch->board, w->slot);
        w->slot = NULL;
    }
    close_pair(ours);
    close_pair(masters);
    return rv;
}
