/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaping. As subreaper, or as pid 1, the master inherits every orphan of the
 * tree, so most of what it reaps may be nobody it knows. A death is looked at
 * before it is reaped: until then its process group's number cannot be taken
 * by anyone else, so that killing the rest of the group is safe.
 */
#include "master/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "master/generations.h"
#include "master/log_commands.h"
#include "master/reload.h"
#include "master/upgrade.h"
#include "master/store.h"

const char *child_words(int status, char buf[CHILD_WORDS])
{
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));

        (void)snprintf(buf, CHILD_WORDS, "was killed by SIG%s%s", name ? name : "?",
                       WCOREDUMP(status) ? " (core dumped)" : "");
    }
    else {
        (void)snprintf(buf, CHILD_WORDS, "exited with status %d", WEXITSTATUS(status));
    }
    return buf;
}

static struct generation *find(struct master *m, pid_t pid)
{
    struct generation *gen;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->alive && gen->pid == pid) {
            return gen;
        }
    }
    return NULL;
}

static bool leaves_living_workers(const struct generation *gen)
{
    return gen->life == GEN_SERVING || gen->life == GEN_DRAINING;
}

static void reap(struct master *m, pid_t pid)
{
    struct generation *gen = find(m, pid);
    int status = 0;

    if (gen != NULL && !leaves_living_workers(gen)) {
        generation_kill(gen);
    }
    if (reload_builder_exited(m, pid)) {
        return; /* reaped by builder_finish() */
    }
    if (waitpid(pid, &status, 0) != pid) {
        return;
    }
    if (store_writer_exited(m, pid, status)) {
        reload_worker_moved(m);
    }
    else if (!log_command_exited(m, pid, status) && !upgrade_check_exited(m, pid, status) &&
             gen != NULL) {
        generation_exited(m, gen, status);
    }
}

void children_reap(struct master *m)
{
    for (;;) {
        siginfo_t info;

        memset(&info, 0, sizeof(info));
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
            if (errno == EINTR) {
                continue;
            }
            return;
        }
        if (info.si_pid == 0) {
            return;
        }
        reap(m, info.si_pid);
    }
}
