/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a file of the store whole: written aside, renamed, sealed by a sum. */
#include "master/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "util/read_whole.h"

static const char magic[] = "instar-store ";

static const char *sum_of(struct fp_sum *sum, const char *body, size_t length, char hex[FP_HEX])
{
    struct fp fp;

    fp_start(sum);
    fp_add(sum, body, length);
    fp_end(sum, &fp);
    fp_to_hex(&fp, hex);
    return hex;
}

struct store_bytes store_seal(struct fp_sum *sum, const char *body, size_t length, apr_pool_t *pool)
{
    char hex[FP_HEX];
    const char *head = apr_psprintf(pool, "%s%d %lu %s\n", magic, STORE_VERSION,
                                    (unsigned long)length, sum_of(sum, body, length, hex));
    size_t head_length = strlen(head);
    char *whole = apr_palloc(pool, head_length + length);

    memcpy(whole, head, head_length);
    memcpy(whole + head_length, body, length);
    return (struct store_bytes){ whole, head_length + length };
}

/* ---- Writing ------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : ENOSPC;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

int store_file_write(int folder_fd, const char *name, const char *bytes, size_t length)
{
    char temporary[NAME_MAX + 1];
    int fd, error;

    if (snprintf(temporary, sizeof(temporary), "%s.new", name) >= (int)sizeof(temporary)) {
        return ENAMETOOLONG;
    }
    fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    error = write_all(fd, bytes, length);
    if (error == 0 && fsync(fd) != 0) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error == 0 && renameat(folder_fd, temporary, folder_fd, name) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlinkat(folder_fd, temporary, 0);
    }
    return error;
}

/* ---- Reading ------------------------------------------------------------- */

static const char *load(int fd, size_t *length, const char **words, apr_pool_t *pool)
{
    struct stat st;
    ssize_t n;
    char *bytes;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > STORE_FILE_MAX) {
        *words = "is no file of the store";
        return NULL;
    }
    bytes = apr_palloc(pool, (size_t)st.st_size + 1);
    n = read_whole(fd, bytes, (size_t)st.st_size);
    if (n < 0) {
        *words = apr_psprintf(pool, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    bytes[n] = '\0';
    *length = (size_t)n;
    return bytes;
}

/* Head and body must agree to the byte. */
const char *store_unseal(struct fp_sum *sum, const char *bytes, size_t *length, const char **words)
{
    char hex[FP_HEX], *end;
    const char *body;
    unsigned long body_length;

    *words = "is no file of the store";
    if (strncmp(bytes, magic, sizeof(magic) - 1) != 0) {
        return NULL;
    }
    *words = "has a format that this server does not know";
    if (strtol(bytes + sizeof(magic) - 1, &end, 10) != STORE_VERSION) {
        return NULL;
    }
    *words = "is damaged";
    body_length = strtoul(end, &end, 10);
    body = end + FP_HEX + 1; /* behind a space, the sum and the line's end */
    if (*end != ' ' || strlen(end) <= FP_HEX || end[FP_HEX] != '\n' ||
        body_length != *length - (size_t)(body - bytes)) {
        return NULL;
    }
    *length = body_length;
    return strncmp(end + 1, sum_of(sum, body, body_length, hex), FP_HEX - 1) == 0 ? body : NULL;
}

const char *store_file_read(int folder_fd, const char *name, struct fp_sum *sum, size_t *length,
                            const char **words, apr_pool_t *pool)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *bytes;

    if (fd < 0) {
        *words = errno == ENOENT ? "is not there"
                                 : apr_psprintf(pool, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    bytes = load(fd, length, words, pool);
    (void)close(fd);
    return bytes != NULL ? store_unseal(sum, bytes, length, words) : NULL;
}
