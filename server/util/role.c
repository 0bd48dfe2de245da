/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the server: how they are forked, named and made unprivileged. A
 * descriptor that slips into a child keeps a pair open that should tell of a
 * death, so the child closes everything it was not given before it does anything else. */
#include "util/role.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

enum { KEEP_MAX = 1024 };

/* argv's strings and, behind them, environ's: one piece of memory that ps reads. */
static struct {
    char *start;
    size_t size;
} title;

static char *title_end(int argc, char **argv)
{
    char *end = argv[0] + strlen(argv[0]) + 1;

    for (int i = 1; i < argc; i++) {
        if (argv[i] == end) {
            end += strlen(argv[i]) + 1;
        }
    }
    for (char **e = environ; e && *e; e++) {
        if (*e == end) {
            end += strlen(*e) + 1;
        }
    }
    return end;
}

/* Entries become copies; where memory is short the names stay as they are. */
static bool copy_strings(char **list, int count)
{
    for (int i = 0; i < count; i++) {
        char *copy = strdup(list[i]);

        if (!copy) {
            return false;
        }
        list[i] = copy;
    }
    return true;
}

void role_init(int argc, char **argv)
{
    char *start, *end;
    int env_count = 0;

    if (argc < 1) {
        return;
    }
    start = argv[0];
    end = title_end(argc, argv);
    while (environ && environ[env_count]) {
        env_count++;
    }
    if (copy_strings(argv, argc) && copy_strings(environ, env_count)) {
        title.start = start;
        title.size = (size_t)(end - start);
    }
}

void role_set_name(const char *name)
{
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
    if (title.size > 1) {
        memset(title.start, 0, title.size);
        memcpy(title.start, name, strnlen(name, title.size - 1));
    }
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static void close_between(unsigned first, unsigned last)
{
    struct rlimit limit;

    if (first > last || close_range(first, last, 0) == 0) {
        return;
    }
    /* a kernel or a sandbox without close_range() */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && last >= limit.rlim_cur) {
        last = (unsigned)limit.rlim_cur - 1;
    }
    for (unsigned fd = first; fd <= last; fd++) {
        (void)close((int)fd);
    }
}

static void close_others(int *kept, int count)
{
    unsigned next = STDERR_FILENO + 1;

    qsort(kept, (size_t)count, sizeof(*kept), compare_ints);
    for (int i = 0; i < count; i++) {
        if (kept[i] >= (int)next) {
            close_between(next, (unsigned)kept[i] - 1);
            next = (unsigned)kept[i] + 1;
        }
    }
    close_between(next, ~0u);
}

static void reset_signals(void)
{
    struct sigaction by_default = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++) {
        (void)sigaction(sig, &by_default, NULL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t fork_role(const char *name, const int *keep, int count, bool own_group)
{
    int kept[KEEP_MAX], error;
    sigset_t all, before;
    pid_t pid;

    if (count > KEEP_MAX) {
        errno = EMFILE;
        return -1;
    }
    /* the parent's handlers must never run in the child */
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        if (own_group) {
            (void)setpgid(0, 0);
        }
        if (count > 0) {
            memcpy(kept, keep, (size_t)count * sizeof(*keep));
        }
        close_others(kept, count);
        role_set_name(name);
        reset_signals();
        return 0;
    }
    error = errno;
    if (pid > 0 && own_group) {
        /* whoever comes first: a kill of the group must not miss the child */
        (void)setpgid(pid, pid);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

static bool cores_wanted(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur > 0;
}

int role_set_groups(gid_t gid, const char *user)
{
    return (user ? initgroups(user, gid) : setgroups(1, &gid)) != 0 ? errno : 0;
}

int role_drop_privileges(uid_t uid, gid_t gid, const char *user)
{
    if (geteuid() == 0) {
        int error = role_set_groups(gid, user);

        if (error) {
            return error;
        }
        if (setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
            return errno;
        }
        if (uid != 0 && setuid(0) == 0) {
            return EPERM;
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return errno;
    }
    if (cores_wanted()) {
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
    return 0;
}
