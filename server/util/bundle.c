/* SPDX-License-Identifier: Apache-2.0 */
#include "util/bundle.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAGIC = 0x494e5342 }; /* "INSB" */

struct head {
    uint32_t magic, count;
};

/* Before each file's path and bytes. */
struct entry {
    int32_t error;
    uint32_t path_len, len;
};

/* ---- Making --------------------------------------------------------------- */

static int put(int fd, const void *data, size_t len)
{
    const char *bytes = data;

    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int put_file(int fd, const char *path, size_t *total)
{
    struct secret bytes;
    struct entry entry = { .error = secret_read(&bytes, path),
                           .path_len = (uint32_t)strlen(path),
                           .len = (uint32_t)bytes.len };
    int error = 0;

    *total += sizeof(entry) + entry.path_len + entry.len;
    if (*total > BUNDLE_MAX) {
        error = EFBIG;
    }
    if (error == 0) {
        error = put(fd, &entry, sizeof(entry));
    }
    if (error == 0) {
        error = put(fd, path, entry.path_len);
    }
    if (error == 0) {
        error = put(fd, bytes.data, bytes.len);
    }
    secret_drop(&bytes);
    return error;
}

int bundle_make(int *fd, const char *const *paths, int count)
{
    struct head head = { .magic = MAGIC, .count = (uint32_t)count };
    size_t total = sizeof(head);
    int error;

    *fd = memfd_create("instar-files", MFD_CLOEXEC);
    if (*fd < 0) {
        return errno;
    }
    error = put(*fd, &head, sizeof(head));
    for (int i = 0; i < count && error == 0; i++) {
        error = put_file(*fd, paths[i], &total);
    }
    if (error != 0) {
        bundle_wipe(*fd);
        *fd = -1;
    }
    return error;
}

void bundle_wipe(int fd)
{
    static const char noughts[4096];
    struct stat st;

    if (fstat(fd, &st) == 0 && lseek(fd, 0, SEEK_SET) == 0) {
        for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(noughts)) {
            off_t left = st.st_size - at;

            if (put(fd, noughts, left < (off_t)sizeof(noughts) ? (size_t)left : sizeof(noughts))) {
                break;
            }
        }
    }
    (void)close(fd);
}

/* ---- Reading ---------------------------------------------------------------- */

/* Where to go on; false at the end, or where the lengths do not fit. */
static bool next(const struct bundle *b, size_t *at, struct entry *entry, const char **path,
                 const unsigned char **data)
{
    size_t left = b->all.len - *at;

    if (left < sizeof(*entry)) {
        return false;
    }
    memcpy(entry, b->all.data + *at, sizeof(*entry));
    left -= sizeof(*entry);
    if (entry->path_len > left || entry->len > left - entry->path_len) {
        return false;
    }
    *path = (const char *)b->all.data + *at + sizeof(*entry);
    *data = (const unsigned char *)*path + entry->path_len;
    *at += sizeof(*entry) + entry->path_len + entry->len;
    return true;
}

static int take_in(struct bundle *b, int fd, size_t size)
{
    b->all.size = size;
    b->all.data = secret_alloc(size);
    if (!b->all.data) {
        return errno;
    }
    while (b->all.len < size) {
        ssize_t n = pread(fd, b->all.data + b->all.len, size - b->all.len, (off_t)b->all.len);

        if (n == 0) {
            return EINVAL;
        }
        if (n > 0) {
            b->all.len += (size_t)n;
        }
        else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static bool is_wellformed(const struct bundle *b)
{
    struct head head;
    struct entry entry;
    size_t at = sizeof(head);
    const char *path;
    const unsigned char *data;

    memcpy(&head, b->all.data, sizeof(head));
    if (head.magic != MAGIC) {
        return false;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        if (!next(b, &at, &entry, &path, &data)) {
            return false;
        }
    }
    return at == b->all.len;
}

int bundle_read(struct bundle *bundle, int fd)
{
    struct stat st;
    int error;

    *bundle = (struct bundle){ 0 };
    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (st.st_size < (off_t)sizeof(struct head) || st.st_size > BUNDLE_MAX) {
        return EINVAL;
    }
    error = take_in(bundle, fd, (size_t)st.st_size);
    if (error == 0 && !is_wellformed(bundle)) {
        error = EINVAL;
    }
    if (error != 0) {
        bundle_free(bundle);
    }
    return error;
}

void bundle_free(struct bundle *bundle)
{
    secret_drop(&bundle->all);
}

int bundle_find(const struct bundle *bundle, const char *path, struct secret *out)
{
    struct entry entry;
    size_t at = sizeof(struct head), len = strlen(path);
    const char *name;
    const unsigned char *data;

    *out = (struct secret){ 0 };
    while (next(bundle, &at, &entry, &name, &data)) {
        if (entry.path_len == len && memcmp(name, path, len) == 0) {
            return entry.error != 0 ? entry.error : secret_copy(out, data, entry.len);
        }
    }
    return ENOENT;
}
