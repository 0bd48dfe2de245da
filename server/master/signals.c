/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals. The kernel sends some of them on behalf of a terminal: a window that
 * changes its size must not stop a server, and one that is closed must not
 * reload it. si_code tells those apart.
 */
#include "master/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "master/children.h"
#include "master/reload.h"
#include "master/stop.h"
#include "master/upgrade.h"
#include "util/log.h"

#define LOG_PART "master"

typedef void (*signal_fn)(struct master *m, const struct signalfd_siginfo *info);

static void on_child(struct master *m, const struct signalfd_siginfo *info)
{
    (void)info;
    children_reap(m);
}

static void on_reload(struct master *m, const struct signalfd_siginfo *info)
{
    if (info->ssi_signo == SIGHUP && info->ssi_code == SI_KERNEL) {
        if (m->options->foreground) {
            stop_now(m);
        }
        return;
    }
    reload_request(m, false, NULL);
}

static void on_graceful_stop(struct master *m, const struct signalfd_siginfo *info)
{
    if (info->ssi_signo != SIGWINCH || info->ssi_code != SI_KERNEL) {
        stop_gracefully(m);
    }
}

static void on_stop(struct master *m, const struct signalfd_siginfo *info)
{
    (void)info;
    stop_now(m);
}

static void on_upgrade(struct master *m, const struct signalfd_siginfo *info)
{
    (void)info;
    upgrade_request(m, NULL);
}

static const struct {
    int signal;
    signal_fn act;
} actions[] = {
    { SIGCHLD, on_child },         { SIGHUP, on_reload },
    { SIGUSR1, on_reload },        { SIGWINCH, on_graceful_stop },
    { SIGQUIT, on_graceful_stop }, { SIGTERM, on_stop },
    { SIGINT, on_stop },           { SIGUSR2, on_upgrade },
};
enum { ACTIONS = sizeof(actions) / sizeof(actions[0]) };

static void readable(struct master *m, void *ctx, uint32_t events)
{
    struct signalfd_siginfo info;

    (void)ctx;
    (void)events;
    if (read(m->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return;
    }
    for (int i = 0; i < ACTIONS; i++) {
        if (actions[i].signal == (int)info.ssi_signo) {
            actions[i].act(m, &info);
        }
    }
}

void signals_block(void)
{
    sigset_t all;

    /* SIGPIPE and the terminal's job control with the rest: nothing that
     * anybody sends may end the master by accident. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
}

void signals_unblock(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int signals_open(struct master *m)
{
    sigset_t wanted;
    int fd, error;

    (void)sigemptyset(&wanted);
    for (int i = 0; i < ACTIONS; i++) {
        (void)sigaddset(&wanted, actions[i].signal);
    }
    fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return errno;
    }
    error = source_add(&m->loop, &m->signals, fd, EPOLLIN, readable, NULL);
    if (error != 0) {
        (void)close(fd);
    }
    return error;
}
