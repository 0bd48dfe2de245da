/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of the store: a line "instar-store VERSION LENGTH SHA-256", and the
 * bytes that it speaks of. Written under another name and renamed; whatever was
 * cut off, torn or changed is found out by length or sum, and never believed.
 */
#ifndef MASTER_STORE_FILE_H
#define MASTER_STORE_FILE_H

#include <stddef.h>

#include <apr_pools.h>

#include "builder/fingerprint.h"

enum { STORE_VERSION = 1, STORE_FILE_MAX = 256 << 20 };

struct store_bytes {
    const char *at;
    size_t length;
};

/* What the file will hold: head and body. */
struct store_bytes store_seal(struct fp_sum *sum, const char *body, size_t length,
                              apr_pool_t *pool);
/* Write, fsync, rename; the folder's fsync is the caller's, once for several. 0 or errno. */
int store_file_write(int folder_fd, const char *name, const char *bytes, size_t length);
/* The body of such bytes, whose length becomes the body's; NULL: words say what is wrong. */
const char *store_unseal(struct fp_sum *sum, const char *bytes, size_t *length, const char **words);
/* The same of a file. NULL: words say what is wrong ("is not there", "is damaged"...). */
const char *store_file_read(int folder_fd, const char *name, struct fp_sum *sum, size_t *length,
                            const char **words, apr_pool_t *pool);

#endif
