/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiler and all that it starts form one process group, led by a small guard
 * process. The guard is there for one case: the builder process itself dies
 * (killed, out of memory). Then the guard is told by the kernel and takes the group
 * with it, which a compiler's own children would survive.
 */
#include "builder/step.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_RUN = 127 };

static void say(const char *words)
{
    (void)!write(2, words, strlen(words));
}

__attribute__((noreturn)) static void fail(const char *what, const char *name)
{
    const char *why = strerror(errno);

    say("builder: error: ");
    say(what);
    say(" ");
    say(name);
    say(": ");
    say(why);
    say("\n");
    _exit(CANNOT_RUN);
}

__attribute__((noreturn)) static void compiler_run(const struct step_command *command, int out)
{
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(out, 1) < 0 || dup2(out, 2) < 0 || null < 0 || dup2(null, 0) < 0) {
        _exit(CANNOT_RUN);
    }
    if (command->folder_fd >= 0 ? fchdir(command->folder_fd) != 0 : chdir(command->folder) != 0) {
        fail("cannot enter", command->folder);
    }
    for (int i = 0; i < command->fd_count; i++) {
        (void)fcntl(command->fds[i], F_SETFD, 0);
    }
    jail_close(command->limits);
    execve(command->argv[0], command->argv, command->envp);
    fail("cannot run", command->argv[0]);
}

/* Waits for the compiler, or for the builder's death. */
__attribute__((noreturn)) static void guard_run(pid_t compiler, const sigset_t *signals)
{
    int status, sig;

    for (;;) {
        sig = sigwaitinfo(signals, NULL);
        if (sig == SIGTERM) {
            (void)kill(0, SIGKILL);
        }
        while (sig == SIGCHLD) {
            pid_t pid = waitpid(-1, &status, WNOHANG);

            if (pid <= 0) {
                break;
            }
            if (pid == compiler) {
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
            }
        }
    }
}

__attribute__((noreturn)) static void guard(const struct step_command *command, int out,
                                            pid_t builder)
{
    sigset_t signals;
    pid_t compiler;

    (void)setpgid(0, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &signals, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != builder) {
        _exit(CANNOT_RUN);
    }
    compiler = fork();
    if (compiler == 0) {
        compiler_run(command, out);
    }
    if (compiler < 0) {
        _exit(CANNOT_RUN);
    }
    close(out);
    guard_run(compiler, &signals);
}

int step_start(const struct step_command *command, struct step_process *process)
{
    pid_t builder = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return errno;
    }
    /* Only our end: a compiler does not expect EAGAIN. */
    (void)fcntl(ends[1], F_SETFL, 0);
    process->pid = fork();
    if (process->pid == 0) {
        guard(command, ends[1], builder);
    }
    close(ends[1]);
    if (process->pid < 0) {
        int error = errno;

        close(ends[0]);
        return error;
    }
    /* Both sides do it: whoever is first, the group is there when it is needed. */
    (void)setpgid(process->pid, process->pid);
    process->out = ends[0];
    process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->pidfd < 0) {
        int error = errno;

        (void)step_end(process);
        step_close(process);
        return error;
    }
    return 0;
}

int step_end(struct step_process *process)
{
    siginfo_t info = { 0 };
    int status = 0;

    /* The guard is not reaped before the signal, so that the group's number is
     * still ours; what the compiler left behind goes here. */
    if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT | WNOHANG) != 0 ||
        info.si_pid == 0) {
        (void)kill(-process->pid, SIGKILL);
        (void)waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT);
    }
    (void)kill(-process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR) {
    }
    process->pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void step_close(struct step_process *process)
{
    close(process->out);
    if (process->pidfd >= 0) {
        close(process->pidfd);
    }
    process->out = process->pidfd = -1;
}
