/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that cross between processes: the master, which may read them, writes their bytes into
 * a memfd; a process that may not looks them up there by path. What could not be
 * read crosses as its errno. Made for certificates and private keys: no copy stays
 * in memory that could be dumped.
 */
#ifndef UTIL_BUNDLE_H
#define UTIL_BUNDLE_H

#include <stddef.h>

#include "util/secret.h"

enum { BUNDLE_MAX = 64 << 20 };

struct bundle {
    struct secret all;
};

/* Reads count files and makes a memfd of them (CLOEXEC). 0 or errno; EFBIG where they are more
 * than BUNDLE_MAX in all. */
int bundle_make(int *fd, const char *const *paths, int count);
/* Overwrites a memfd that nobody needs any more, and closes it. */
void bundle_wipe(int fd);

/* Takes it in. 0 or errno; EINVAL where it is none: no length in it is trusted. fd stays the
 * caller's. */
int bundle_read(struct bundle *bundle, int fd);
void bundle_free(struct bundle *bundle);
/* A copy of the file's bytes. 0, or the errno of the one who tried to read it; ENOENT also where
 * it is not in the bundle. */
int bundle_find(const struct bundle *bundle, const char *path, struct secret *out);

#endif
