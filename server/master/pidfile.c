/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pid file. A record lock, not flock(): it belongs to the process, so that
 * a child which was forked a moment before the master died does not keep it.
 * It also goes with the first close() of the file in this process, so nothing
 * here opens the file a second time.
 */
#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/check.h"

struct pid_file {
    int fd;
    pid_t owner;
    char path[PATH_MAX];
};

static bool lock(int fd)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return fcntl(fd, F_SETLK, &whole) == 0;
}

/* Anybody may read the file and so hold a read lock on it; that is no server. */
static pid_t writer(int fd)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_GETLK, &whole) != 0 || whole.l_type != F_WRLCK) {
        return 0;
    }
    return whole.l_pid;
}

static pid_t written_pid(int fd)
{
    char text[32] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0) {
        return 0;
    }
    return (pid_t)strtol(text, NULL, 10);
}

static bool is_same_file(int fd, const char *path)
{
    struct stat ours, theirs;

    return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
           ours.st_ino == theirs.st_ino;
}

/* 0, EEXIST, EAGAIN (try again) or another errno; *fd is open on 0 alone. */
static int try_claim(const char *path, int *fd, pid_t *other, bool *stale)
{
    struct stat st;
    int error = 0;

    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (*fd < 0) {
        return errno;
    }
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        error = EINVAL;
    }
    else if (!lock(*fd)) {
        *other = writer(*fd);
        error = EEXIST;
        if (*other == 0) {
            (void)unlink(path);
            error = EAGAIN;
        }
    }
    else if (!is_same_file(*fd, path)) {
        error = EAGAIN; /* its last owner removed it under our hands */
    }
    else {
        *stale = st.st_size > 0;
    }
    if (error != 0) {
        (void)close(*fd);
    }
    return error;
}

static int write_pid(int fd, pid_t pid)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%d\n", (int)pid);

    /* Never empty in between: someone may read it at any time. */
    if (pwrite(fd, text, (size_t)len, 0) != len || ftruncate(fd, len) != 0) {
        return errno != 0 ? errno : ENOSPC;
    }
    return 0;
}

struct pid_file *pidfile_claim(const char *path, int *error, pid_t *other, bool *stale)
{
    struct pid_file *p = calloc(1, sizeof(*p));
    int tries = 0;

    *stale = false;
    *other = 0;
    if (p == NULL || snprintf(p->path, sizeof(p->path), "%s", path) >= (int)sizeof(p->path)) {
        free(p);
        *error = p == NULL ? ENOMEM : ENAMETOOLONG;
        return NULL;
    }
    do {
        *error = try_claim(path, &p->fd, other, stale);
    } while (*error == EAGAIN && tries++ < 10);
    if (*error == 0) {
        p->owner = getpid();
        *error = write_pid(p->fd, p->owner);
        if (*error == 0) {
            return p;
        }
        (void)close(p->fd);
    }
    free(p);
    return NULL;
}

static int control_path(const char *path, char *out, size_t size)
{
    return snprintf(out, size, "%s.control", path) >= (int)size ? ENAMETOOLONG : 0;
}

void pidfile_release(struct pid_file *p)
{
    char beside[PATH_MAX];

    if (p == NULL) {
        return;
    }
    if (p->owner == getpid() && is_same_file(p->fd, p->path)) {
        if (control_path(p->path, beside, sizeof(beside)) == 0) {
            (void)unlink(beside);
        }
        if (unlink(p->path) != 0) {
            (void)!ftruncate(p->fd, 0); /* -X as an unprivileged user */
        }
    }
    (void)close(p->fd);
    free(p);
}

const char *pidfile_path(const struct pid_file *p)
{
    return p->path;
}

int pidfile_fd(const struct pid_file *p)
{
    return p->fd;
}

struct pid_file *pidfile_adopt(const char *path, int fd)
{
    struct pid_file *p = calloc(1, sizeof(*p));

    INS_CHECK(p != NULL);
    p->fd = fd;
    p->owner = getpid();
    (void)snprintf(p->path, sizeof(p->path), "%s", path);
    return p;
}

int pidfile_note_control(const struct pid_file *p, const char *socket)
{
    char beside[PATH_MAX];
    int error = control_path(p->path, beside, sizeof(beside));
    ssize_t len = (ssize_t)strlen(socket);
    int fd;

    if (error != 0) {
        return error;
    }
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return errno;
    }
    error = write(fd, socket, (size_t)len) == len ? 0 : EIO;
    (void)close(fd);
    return error;
}

pid_t pidfile_holder(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    pid_t pid = 0;

    if (fd >= 0) {
        pid = writer(fd);
        /* -1: a lock of another pid namespace, or of a description. */
        pid = pid < 0 ? written_pid(fd) : pid;
        (void)close(fd);
    }
    return pid;
}

bool pidfile_control(const char *path, char *out, size_t size)
{
    char beside[PATH_MAX];
    ssize_t n = -1;
    int fd;

    if (control_path(path, beside, sizeof(beside)) != 0) {
        return false;
    }
    fd = open(beside, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        n = read(fd, out, size - 1);
        (void)close(fd);
    }
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}
