/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_READ_WHOLE_H
#define UTIL_READ_WHOLE_H

#include <sys/types.h>

/* Reads length bytes, from where fd stands; less where the file ends before, which it may have
 * shrunk to meanwhile. -1 with errno. Any thread. */
ssize_t read_whole(int fd, char *into, size_t length);

#endif
