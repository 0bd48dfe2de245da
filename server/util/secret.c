/* SPDX-License-Identifier: Apache-2.0 */
#include "util/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void *secret_alloc(size_t size)
{
    void *secret = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (secret == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(secret, size, MADV_DONTDUMP);
    return secret;
}

void secret_free(void *secret, size_t size)
{
    if (secret) {
        explicit_bzero(secret, size);
        (void)munmap(secret, size);
    }
}

static int make_room(struct secret *out, size_t size)
{
    *out = (struct secret){ .size = size > 0 ? size : 1 };
    out->data = secret_alloc(out->size);
    return out->data ? 0 : errno;
}

static int file_problem(const struct stat *st)
{
    if (S_ISDIR(st->st_mode)) {
        return EISDIR;
    }
    if (!S_ISREG(st->st_mode)) {
        return EINVAL;
    }
    return st->st_size > SECRET_FILE_MAX ? EFBIG : 0;
}

/* What is there by now, at most what was there when it was measured. */
static int fill(struct secret *out, int fd)
{
    while (out->len < out->size) {
        ssize_t n = read(fd, out->data + out->len, out->size - out->len);

        if (n == 0) {
            break;
        }
        if (n > 0) {
            out->len += (size_t)n;
        }
        else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

int secret_read(struct secret *out, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int error;

    *out = (struct secret){ 0 };
    if (fd < 0) {
        return errno;
    }
    error = fstat(fd, &st) != 0 ? errno : file_problem(&st);
    if (error == 0) {
        error = make_room(out, (size_t)st.st_size);
    }
    if (error == 0) {
        error = fill(out, fd);
    }
    (void)close(fd);
    if (error != 0) {
        secret_drop(out);
    }
    return error;
}

int secret_copy(struct secret *out, const void *data, size_t len)
{
    int error = make_room(out, len);

    if (error == 0 && len > 0) {
        memcpy(out->data, data, len);
        out->len = len;
    }
    return error;
}

void secret_drop(struct secret *secret)
{
    secret_free(secret->data, secret->size);
    *secret = (struct secret){ 0 };
}
