/* SPDX-License-Identifier: Apache-2.0 */
/* A file's bytes, however many calls they take. */
#include "util/read_whole.h"

#include <errno.h>
#include <unistd.h>

ssize_t read_whole(int fd, char *into, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = read(fd, into + done, length - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}
