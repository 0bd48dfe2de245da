/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds are kept under the key of their content. Nothing is ever written in
 * place: a mapped object that is written over is a crash in every worker.
 */
#include "builder/objects.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The folder may be one that others write to: what they put there is not believed. */
bool object_is_ours(const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) &&
           (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool same(const struct file_stat *last, const struct stat *st)
{
    return last->inode == st->st_ino && last->size == st->st_size &&
           last->ctime == nanoseconds(st->st_ctim);
}

/* Builds are not synced to disk, so a machine that lost power may have left a
 * short one: the section table, which the linker puts last, must be inside. */
static bool elf_is_whole(int dir_fd, const char *name, int64_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    Elf64_Ehdr header;
    ssize_t n;

    if (fd < 0) {
        return false;
    }
    n = pread(fd, &header, sizeof(header), 0);
    close(fd);
    if (n < (ssize_t)sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        return false;
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64) {
        return true;
    }
    return header.e_shoff <= (uint64_t)size &&
           (uint64_t)header.e_shnum * header.e_shentsize <= (uint64_t)size - header.e_shoff;
}

bool object_sound(int dir_fd, const char *key, struct file_stat *last)
{
    char name[FP_HEX + 4];
    struct stat st;

    snprintf(name, sizeof(name), "%s.so", key);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !object_is_ours(&st)) {
        memset(last, 0, sizeof(*last));
        return false;
    }
    if (same(last, &st)) {
        return true;
    }
    if (!elf_is_whole(dir_fd, name, st.st_size)) {
        return false;
    }
    last->inode = st.st_ino;
    last->size = st.st_size;
    last->ctime = nanoseconds(st.st_ctim);
    return true;
}

static int copy_bytes(int from, int to)
{
    char buf[64 * 1024];
    int64_t total = 0;
    ssize_t n;

    while ((n = pread(from, buf, sizeof(buf), total)) != 0) {
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(to, buf + done, (size_t)(n - done));

            if (written < 0) {
                return errno;
            }
            done += written;
        }
        total += n;
        if (total > OBJECT_MAX_BYTES) {
            return EFBIG;
        }
    }
    return total > 0 ? 0 : ENODATA;
}

int object_adopt(int dir_fd, int fd, const char *key, struct fp_sum *sum, const struct fp *want,
                 const char **what)
{
    char name[FP_HEX + 4], temporary[FP_HEX + 32];
    struct fp got;
    int copy, error;

    snprintf(name, sizeof(name), "%s.so", key);
    snprintf(temporary, sizeof(temporary), "new.%ld.%s", (long)getpid(), name);
    *what = "create";
    (void)unlinkat(dir_fd, temporary, 0);
    copy = openat(dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (copy < 0) {
        return errno;
    }
    /* The umask must not hide a build from the user that loads it. */
    error = fchmod(copy, 0644) != 0 ? errno : 0;
    if (!error) {
        *what = "copy";
        error = copy_bytes(fd, copy);
    }
    if (!error && want) {
        *what = "check";
        error = lseek(copy, 0, SEEK_SET) < 0 ? errno : fp_of_fd(sum, copy, OBJECT_MAX_BYTES, &got);
        if (!error && !fp_equal(&got, want)) {
            error = ESTALE;
        }
    }
    close(copy);
    if (!error) {
        *what = "rename";
        error = renameat(dir_fd, temporary, dir_fd, name) != 0 ? errno : 0;
    }
    if (error) {
        (void)unlinkat(dir_fd, temporary, 0);
    }
    return error;
}
