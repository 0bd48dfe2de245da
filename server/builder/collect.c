/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BuildDirectory is kept small: what no generation and no rollback names goes,
 * and so does what builders left that were killed. A minute's grace lets a
 * configtest beside the server finish with what it has just built.
 */
#include "builder/collect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "builder/state.h"

enum { GRACE_SECONDS = 60, DEPTH_MAX = 8 };

static DIR *open_folder(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (fd >= 0 && !dir) {
        close(fd);
    }
    return dir;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void remove_tree(int dir_fd, const char *name, int depth)
{
    DIR *dir = depth < DEPTH_MAX ? open_folder(dir_fd, name) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (is_dots(entry->d_name)) {
            continue;
        }
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0 && (errno == EISDIR || errno == EPERM)) {
            remove_tree(dirfd(dir), entry->d_name, depth + 1);
        }
    }
    if (dir) {
        closedir(dir);
    }
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void work_remove(int dir_fd, const char *name)
{
    remove_tree(dir_fd, name, 0);
}

/* What is to stay. */
struct keep {
    apr_hash_t *names; /* "KEY.so", "ID.stamp" */
    const struct build_run *run;
    time_t now;
};

static bool is_old(int dir_fd, const char *name, time_t now)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (st.st_mtime + GRACE_SECONDS < now || st.st_mtime > now + GRACE_SECONDS);
}

static bool has_ending(const char *name, const char *ending)
{
    size_t len = strlen(name), n = strlen(ending);

    return len > n && strcmp(name + len - n, ending) == 0;
}

/* "PREFIX.PID.rest": is that process gone? Ours is judged by age. */
static bool owner_is_gone(const char *name, size_t prefix)
{
    long pid = strtol(name + prefix, NULL, 10);

    return pid <= 0 || pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

static void consider(const struct keep *keep, int dir_fd, const char *name)
{
    if (strncmp(name, "work.", 5) == 0) {
        bool current = keep->run && strcmp(keep->run->work_name, name) == 0;

        if (!current && owner_is_gone(name, 5)) {
            work_remove(dir_fd, name);
        }
    }
    else if (strncmp(name, "new.", 4) == 0) {
        if (owner_is_gone(name, 4)) {
            (void)unlinkat(dir_fd, name, 0);
        }
    }
    else if ((has_ending(name, ".so") || has_ending(name, ".stamp")) &&
             !apr_hash_get(keep->names, name, APR_HASH_KEY_STRING) &&
             is_old(dir_fd, name, keep->now)) {
        (void)unlinkat(dir_fd, name, 0);
    }
}

static void keep_build(struct keep *keep, const struct build *build, apr_pool_t *pool)
{
    if (build->object) {
        apr_hash_set(keep->names, build->object, APR_HASH_KEY_STRING, "");
    }
    if (build->stamp[0]) {
        apr_hash_set(keep->names, apr_pstrcat(pool, build->stamp, ".stamp", NULL),
                     APR_HASH_KEY_STRING, "");
    }
}

void builder_collect(struct builder *b, int dir_fd, struct build_list *const lists[], int count)
{
    struct keep keep = { .run = b->run, .now = time(NULL) };
    struct dirent *entry;
    apr_pool_t *pool;
    DIR *dir;

    apr_pool_create(&pool, b->pool);
    keep.names = apr_hash_make(pool);
    for (int l = 0; l < count; l++) {
        for (int i = 0; lists[l] && i < lists[l]->count; i++) {
            keep_build(&keep, &lists[l]->list[i], pool);
        }
    }
    dir = open_folder(dir_fd, ".");
    while (dir && (entry = readdir(dir))) {
        if (!is_dots(entry->d_name)) {
            consider(&keep, dir_fd, entry->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    apr_pool_destroy(pool);
}
