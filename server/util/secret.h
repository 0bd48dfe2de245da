/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for keys: whole pages that no core dump holds, wiped before they go. Inherited by
 * fork as all memory is. */
#ifndef UTIL_SECRET_H
#define UTIL_SECRET_H

#include <stddef.h>

/* Zeroed; NULL with errno. */
void *secret_alloc(size_t size);
/* secret may be NULL. */
void secret_free(void *secret, size_t size);

/* A file's bytes in such memory; data NULL: none. */
struct secret {
    unsigned char *data;
    size_t len, size; /* what is used, what was allocated */
};

enum { SECRET_FILE_MAX = 4 << 20 };

/* A regular file, whole. 0 or errno (EISDIR, EINVAL: no regular file, EFBIG), with nothing kept
 * then. Never waits for a FIFO. */
int secret_read(struct secret *out, const char *path);
/* A copy of len bytes. 0 or errno. */
int secret_copy(struct secret *out, const void *data, size_t len);
void secret_drop(struct secret *secret);

#endif
