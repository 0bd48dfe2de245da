/* SPDX-License-Identifier: Apache-2.0 */
/* Forked roles: what they keep, and what they cannot get back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/role.h"

static int exit_status(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_child_keeps_what_was_named(void **state)
{
    int fds[4], keep[4];
    pid_t pid;

    (void)state;
    for (int i = 0; i < 4; i++) {
        fds[i] = open("/dev/null", O_RDONLY);
        assert_true(fds[i] > 2);
    }
    keep[0] = fds[3];
    keep[1] = -1;
    keep[2] = fds[1];
    keep[3] = fds[1];
    pid = fork_role("instar: test", keep, 4, true);
    if (pid == 0) {
        bool right = is_open(0) && !is_open(fds[0]) && is_open(fds[1]) && !is_open(fds[2]) &&
                     is_open(fds[3]) && !is_open(fds[3] + 1) && getpgrp() == getpid();

        _exit(right ? 0 : 1);
    }
    assert_int_equal(exit_status(pid), 0);
    for (int i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
}

static void never(int sig)
{
    (void)sig;
    _exit(99);
}

static void a_childs_signals_are_its_own(void **state)
{
    sigset_t before, blocked;
    pid_t pid;

    (void)state;
    (void)signal(SIGUSR1, never);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    pid = fork_role("instar: test", NULL, 0, false);
    if (pid == 0) {
        struct sigaction now;
        sigset_t mask;

        (void)sigprocmask(SIG_SETMASK, NULL, &mask);
        (void)sigaction(SIGUSR1, NULL, &now);
        _exit(sigismember(&mask, SIGUSR1) || now.sa_handler != SIG_DFL || getpgrp() == getpid());
    }
    assert_int_equal(exit_status(pid), 0);
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    assert_true(sigismember(&blocked, SIGUSR1));
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGUSR1, SIG_DFL);
}

static void a_childs_name_is_seen(void **state)
{
    pid_t pid = fork_role("instar: worker 7.0", NULL, 0, false);

    (void)state;
    if (pid == 0) {
        char line[256] = "", comm[32] = "";
        int fd = open("/proc/self/cmdline", O_RDONLY);

        (void)prctl(PR_GET_NAME, comm, 0, 0, 0);
        _exit(fd < 0 || read(fd, line, sizeof(line) - 1) < 0 ||
              strncmp(line, "instar: worker 7.0", sizeof("instar: worker 7.0")) != 0 ||
              strncmp(comm, "instar: worker", 14) != 0);
    }
    assert_int_equal(exit_status(pid), 0);
}

static void root_is_given_up_for_good(void **state)
{
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    pid = fork_role("instar: test", NULL, 0, false);
    if (pid == 0) {
        gid_t group;
        bool right = role_drop_privileges(65534, 65533, NULL) == 0 && getuid() == 65534 &&
                     geteuid() == 65534 && getgid() == 65533 && getgroups(1, &group) == 1 &&
                     group == 65533 && setuid(0) != 0 && setgid(0) != 0 &&
                     prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;

        _exit(right ? 0 : 1);
    }
    assert_int_equal(exit_status(pid), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_keeps_what_was_named),
        cmocka_unit_test(a_childs_signals_are_its_own),
        cmocka_unit_test(a_childs_name_is_seen),
        cmocka_unit_test(root_is_given_up_for_good),
    };

    role_init(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
