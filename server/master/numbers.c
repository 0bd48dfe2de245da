/* SPDX-License-Identifier: Apache-2.0 */
/* The number of the last generation, on disk. Replaced by rename: whoever
 * reads it, and after whatever death, finds a whole number. */
#include "master/numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"

#define LOG_PART "master"

static uint64_t beyond_all(void)
{
    struct timespec now;

    /* More reloads than microseconds nobody has had. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t numbers_read(const char *path)
{
    char text[32] = "", *end = text;
    unsigned long long number = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0 && errno == ENOENT) {
        return 0;
    }
    n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n > 0 && text[0] >= '0' && text[0] <= '9') {
        errno = 0;
        number = strtoull(text, &end, 10);
    }
    if (end == text || *end != '\n' || errno == ERANGE || number >= UINT64_MAX / 2) {
        log_warning("INS01106", "%s holds no number; generations are counted from the time of day",
                    path);
        return beyond_all();
    }
    return number;
}

int numbers_write(const char *path, uint64_t number)
{
    char temporary[PATH_MAX], text[32];
    int len, fd, error = 0;

    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
        return ENAMETOOLONG;
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return errno;
    }
    len = snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
    if (write(fd, text, (size_t)len) != len) {
        error = errno != 0 ? errno : ENOSPC;
    }
    (void)close(fd);
    if (error == 0 && rename(temporary, path) != 0) {
        error = errno;
    }
    return error;
}
