/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records between the builder process and the master; see result.h.
 */
#include "builder/result.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD_MAGIC = 0x52454344 };

struct record {
    uint32_t magic;
    int32_t index, outcome, detail;
    uint32_t output_len, files_len;
};

int result_write(int fd, const struct result *result)
{
    struct record record = { .magic = RECORD_MAGIC,
                             .index = result->index,
                             .outcome = result->outcome,
                             .detail = result->detail,
                             .output_len = result->output_len,
                             .files_len = result->files_len };
    struct iovec parts[3] = {
        { .iov_base = &record, .iov_len = sizeof(record) },
        { .iov_base = (void *)(uintptr_t)result->output, .iov_len = result->output_len },
        { .iov_base = (void *)(uintptr_t)result->files, .iov_len = result->files_len },
    };
    ssize_t all = (ssize_t)(sizeof(record) + result->output_len + result->files_len);
    ssize_t n = writev(fd, parts, 3);

    if (n < 0) {
        return errno;
    }
    return n == all ? 0 : EIO;
}

static bool read_at(int fd, int64_t *offset, void *to, size_t len)
{
    char *at = to;

    while (len > 0) {
        ssize_t n = pread(fd, at, len, *offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
        *offset += n;
    }
    return true;
}

static bool read_text(int fd, int64_t *offset, const char **text, size_t len, apr_pool_t *pool)
{
    char *copy = apr_palloc(pool, len + 1);

    copy[len] = '\0';
    *text = copy;
    return read_at(fd, offset, copy, len);
}

bool result_read(int fd, int64_t *offset, int count, struct result *result, apr_pool_t *pool)
{
    struct record record;

    if (*offset > RESULT_MAX_TOTAL || !read_at(fd, offset, &record, sizeof(record)) ||
        record.magic != RECORD_MAGIC || record.index < 0 || record.index >= count ||
        record.outcome < 0 || record.outcome >= RESULT_OUTCOMES ||
        record.output_len > RESULT_MAX_OUTPUT || record.files_len > RESULT_MAX_FILES) {
        return false;
    }
    result->index = record.index;
    result->outcome = record.outcome;
    result->detail = record.detail;
    result->output_len = record.output_len;
    result->files_len = record.files_len;
    return read_text(fd, offset, &result->output, record.output_len, pool) &&
           read_text(fd, offset, &result->files, record.files_len, pool);
}
