/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler's identity: path, size, time of change, and its own --version
 * (a wrapper stays the same file when the compiler behind it changes). Asking
 * for the version is the one time the master waits for a child here: once for
 * each compiler, a millisecond, bounded, and jailed as every compile is.
 */
#include "builder/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/jail.h"
#include "config/conf.h"
#include "util/check.h"
#include "util/role.h"

enum { VERSION_MAX = 4096, VERSION_TIMEOUT_MS = 3000 };

const char *compiler_search_path(void)
{
    const char *path = getenv("PATH");

    return path && *path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static bool is_program(const char *path, struct stat *st)
{
    return stat(path, st) == 0 && S_ISREG(st->st_mode) && access(path, X_OK) == 0;
}

/* As execvp() would find it. Empty and relative entries of PATH are left out. */
static bool find_program(const char *name, char *path, size_t size, struct stat *st)
{
    const char *entry = compiler_search_path();

    if (strchr(name, '/')) {
        return (size_t)snprintf(path, size, "%s", name) < size && is_program(path, st);
    }
    while (*entry) {
        size_t len = strcspn(entry, ":");

        if (*entry == '/' &&
            (size_t)snprintf(path, size, "%.*s/%s", (int)len, entry, name) < size &&
            is_program(path, st)) {
            return true;
        }
        entry += len + (entry[len] == ':');
    }
    return false;
}

__attribute__((noreturn)) static void version_child(const char *path, int out,
                                                    const struct conf_process *process)
{
    char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t) "--version", NULL };
    char search[PATH_MAX];
    char *const envp[] = { search, (char *)(uintptr_t) "LC_ALL=C", NULL };
    int null = open("/dev/null", O_RDWR);
    struct jail_limits limits = { .memory = process->build_memory_limit,
                                  .seconds = VERSION_TIMEOUT_MS / 1000,
                                  .processes = jail_processes() };

    snprintf(search, sizeof(search), "PATH=%s", compiler_search_path());
    if (role_drop_privileges(process->build_user, process->build_group, process->build_user_name) !=
            0 ||
        null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0) {
        _exit(126);
    }
    jail_enter(-1);
    jail_close(&limits);
    execve(path, argv, envp);
    _exit(127);
}

static int64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Everything until the end, the limit or the deadline. */
static bool read_version(int fd, char *text, size_t *len)
{
    int64_t deadline = milliseconds() + VERSION_TIMEOUT_MS;

    *len = 0;
    while (*len < VERSION_MAX) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - milliseconds();
        ssize_t n;

        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR)) {
            return false;
        }
        if (p.revents == 0) {
            continue;
        }
        n = read(fd, text + *len, VERSION_MAX - *len);
        if (n <= 0) {
            return n == 0;
        }
        *len += (size_t)n;
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *ask_version(const char *path, const struct conf_process *process, char *text,
                               size_t *len)
{
    int ends[2];
    int status = 0;
    bool answered;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return strerror(errno);
    }
    pid = fork_role("instar: compiler --version", &ends[1], 1, true);
    if (pid == 0) {
        version_child(path, ends[1], process);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return strerror(errno);
    }
    answered = read_version(ends[0], text, len);
    close(ends[0]);
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!answered) {
        return "it does not answer --version";
    }
    return *len > 0 ? NULL : "its --version says nothing";
}

static void forget(struct compiler *compiler)
{
    free(compiler->name);
    free(compiler->path);
    free(compiler->why);
    memset(compiler, 0, sizeof(*compiler));
}

void compilers_free(struct compilers *compilers)
{
    for (int i = 0; i < COMPILERS; i++) {
        forget(&compilers->list[i]);
    }
}

static struct compiler *slot_for(struct compilers *compilers, const char *name)
{
    struct compiler *slot;

    for (int i = 0; i < COMPILERS; i++) {
        slot = &compilers->list[i];
        if (slot->name && strcmp(slot->name, name) == 0) {
            return slot;
        }
    }
    slot = &compilers->list[compilers->next];
    compilers->next = (compilers->next + 1) % COMPILERS;
    forget(slot);
    slot->name = strdup(name);
    INS_CHECK(slot->name);
    return slot;
}

static bool unchanged(const struct compiler *slot, const char *path, const struct stat *st)
{
    return slot->path && !slot->why && strcmp(slot->path, path) == 0 &&
           slot->stat.size == st->st_size && slot->stat.inode == st->st_ino &&
           slot->stat.device == st->st_dev &&
           slot->stat.mtime == (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec &&
           slot->stat.ctime == (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static void learn(struct compiler *slot, const char *path, const struct stat *st)
{
    free(slot->path);
    free(slot->why);
    slot->why = NULL;
    slot->path = strdup(path);
    INS_CHECK(slot->path);
    slot->stat.size = st->st_size;
    slot->stat.inode = st->st_ino;
    slot->stat.device = st->st_dev;
    slot->stat.mtime = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    slot->stat.ctime = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static void refuse(struct compiler *slot, const char *why)
{
    char *copy = strdup(why);

    INS_CHECK(copy);
    free(slot->why);
    slot->why = copy;
}

const struct compiler *compiler_identify(struct compilers *compilers, const char *name,
                                         const struct conf_process *process, struct fp_sum *sum)
{
    struct compiler *slot = slot_for(compilers, name);
    char path[PATH_MAX], version[VERSION_MAX];
    const char *why;
    struct stat st;
    size_t len = 0;

    if (!find_program(name, path, sizeof(path), &st)) {
        refuse(slot, "there is no such program");
        return slot;
    }
    if (unchanged(slot, path, &st)) {
        return slot;
    }
    learn(slot, path, &st);
    why = ask_version(path, process, version, &len);
    if (why) {
        refuse(slot, why);
        return slot;
    }
    fp_start(sum);
    fp_add_text(sum, path);
    fp_add_number(sum, slot->stat.size);
    fp_add_number(sum, slot->stat.mtime);
    fp_add(sum, version, len);
    fp_end(sum, &slot->identity);
    return slot;
}

const char *compiler_cxx(const char *name, apr_pool_t *pool)
{
    static const struct {
        const char *c, *cxx;
    } pairs[] = { { "gcc", "g++" }, { "clang", "clang++" }, { "cc", "c++" } };
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;

    if (strstr(base, "++")) {
        return name;
    }
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        const char *at = strstr(base, pairs[i].c);

        if (at) {
            return apr_pstrcat(pool, apr_pstrmemdup(pool, name, (size_t)(at - name)), pairs[i].cxx,
                               at + strlen(pairs[i].c), NULL);
        }
    }
    return NULL;
}
