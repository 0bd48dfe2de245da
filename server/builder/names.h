/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders that the build user may not be able to reach by their paths (a
 * checkout below a 0700 home): they are opened before the privileges go, and
 * the compiler is given /proc/self/fd/N/... instead. Whoever reads a message or
 * a list of dependencies sees real paths again. A folder that is itself closed to the
 * build user is copied (copies.h): its descriptor is then the copy's.
 */
#ifndef BUILDER_NAMES_H
#define BUILDER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>
#include <apr_tables.h>

struct name {
    const char *real; /* absolute, no slash at its end */
    size_t real_len;
    int fd;       /* O_PATH, CLOEXEC */
    char via[40]; /* "/proc/self/fd/7" */
    size_t via_len;
    bool direct;      /* the path itself works: set by names_try() */
    const char *copy; /* the path of the copy that it leads to; NULL */
    int error;        /* why there is no copy, where there should be one; 0 */
};

struct names {
    apr_array_header_t *list; /* struct name */
};

void names_init(struct names *names, apr_pool_t *pool);
/* Opens a folder, once; its descriptor is closed by a cleanup of the pool given
 * to names_init(). One that cannot be opened is left out. Returns the
 * descriptor or -1. */
int names_add(struct names *names, const char *folder);
int names_fd(const struct names *names, const char *folder);
/* After the drop: which folders can be reached by their paths? */
void names_try(struct names *names);
/* The folder among them that path is in; NULL. */
const struct name *names_find(const struct names *names, const char *path);
/* How to reach path now: itself, or a name in buf. */
const char *names_reach(const struct names *names, const char *path, char *buf, size_t size);
/* text with every /proc/self/fd/N of ours replaced by the real folder. */
const char *names_real(const struct names *names, const char *text, size_t len, size_t *out_len,
                       apr_pool_t *pool);

#endif
