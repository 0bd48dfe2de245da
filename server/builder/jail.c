/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder's jail: landlock for the file system, TCP and signals, seccomp for
 * sockets and everything that a compiler has no business with, rlimits for
 * the rest. Every part is used where the kernel permits it; a kernel without
 * one still builds, and the log says once what is missing.
 */
#include "builder/jail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

/* Newer than the headers that we may be built with. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

/* As the kernel's, of ABI 6; older kernels take a prefix of it. */
struct ruleset {
    uint64_t fs, net, scoped;
};

enum { FILE_BYTES_MAX = 512 << 20, OPEN_FILES_MAX = 1024, MORE_PROCESSES = 512 };

static int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
                        LANDLOCK_CREATE_RULESET_VERSION);
}

const char *jail_missing(void)
{
    bool landlock = landlock_abi() > 0, seccomp = seccomp_possible();

    if (landlock && seccomp) {
        return NULL;
    }
    if (landlock) {
        return "seccomp (compilers can open sockets)";
    }
    return seccomp ? "landlock (compilers can write where their user can)"
                   : "landlock and seccomp (compilers can write where their user can, and open "
                     "sockets)";
}

static uint64_t writing_rights(int abi)
{
    uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                      LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                      LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                      LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

    if (abi >= 2) {
        rights |= LANDLOCK_ACCESS_FS_REFER;
    }
    if (abi >= 3) {
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    return rights;
}

static void allow(int ruleset, int fd, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };

    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* Reading stays free: the build user reads what it may read. */
static void landlock_enter(int work_fd)
{
    int abi = landlock_abi();
    struct ruleset set = { 0 };
    size_t size = sizeof(set);
    uint64_t files;
    int ruleset, null;

    if (abi <= 0) {
        return;
    }
    set.fs = writing_rights(abi);
    set.net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
    set.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
    if (abi < 4) {
        size = sizeof(set.fs);
    }
    else if (abi < 6) {
        size = sizeof(set.fs) + sizeof(set.net);
    }
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
    if (ruleset < 0) {
        return;
    }
    files = set.fs & (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE);
    allow(ruleset, work_fd, files | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE);
    null = open("/dev/null", O_PATH | O_CLOEXEC);
    if (null >= 0) {
        allow(ruleset, null, files);
        close(null);
    }
    (void)syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

void jail_enter(int work_fd)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        landlock_enter(work_fd);
    }
}

/* RLIMIT_NPROC counts all processes of a user, wherever they come from: a
 * fixed number would fail beside a busy user, so it is relative to what
 * the machine runs now. */
int64_t jail_processes(void)
{
    char text[128];
    const char *slash;
    int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    int64_t total;

    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    /* "0.10 0.05 0.01 RUNNING/ALL LAST" */
    slash = strchr(text, '/');
    total = slash ? strtoll(slash + 1, NULL, 10) : 0;
    return total > 0 ? total + MORE_PROCESSES : 0;
}

/* Never above what we have: raising is not ours to do. */
static void limit(__rlimit_resource_t what, int64_t value)
{
    struct rlimit now;

    if (value <= 0 || getrlimit(what, &now) != 0) {
        return;
    }
    if (now.rlim_max == RLIM_INFINITY || (rlim_t)value < now.rlim_max) {
        now.rlim_max = (rlim_t)value;
    }
    now.rlim_cur = now.rlim_max;
    (void)setrlimit(what, &now);
}

void jail_close(const struct jail_limits *limits)
{
    struct rlimit no_core = { 0, 0 };

    limit(RLIMIT_AS, limits->memory);
    limit(RLIMIT_CPU, limits->seconds);
    limit(RLIMIT_NPROC, limits->processes);
    limit(RLIMIT_FSIZE, FILE_BYTES_MAX);
    limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)seccomp_install();
}
