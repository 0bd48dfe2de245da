/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the builder process tells the master, one record a module, in a memfd.
 * The writer ran compilers on anybody's source, so the reader believes nothing:
 * not lengths, not indexes, not paths.
 */
#ifndef BUILDER_RESULT_H
#define BUILDER_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_pools.h>

enum result_outcome {
    RESULT_BUILT,
    RESULT_FAILED, /* detail: the compiler's exit status; files: a folder that was copied, or "" */
    RESULT_TIMEOUT,
    RESULT_CHANGING,   /* the sources changed under every attempt */
    RESULT_UNREADABLE, /* the build user cannot read the file named in files; detail: errno */
    RESULT_BROKEN,     /* the builder itself could not go on; detail: errno */
    RESULT_OUTCOMES
};

enum {
    RESULT_MAX_OUTPUT = 1 << 20, /* what a module's compilers may say */
    RESULT_MAX_FILES = 8 << 20,
    RESULT_MAX_TOTAL = 256 << 20
};

struct result {
    int32_t index; /* in the list */
    int32_t outcome;
    int32_t detail;
    const char *output; /* NUL-terminated behind its length */
    uint32_t output_len;
    const char *files; /* lines: HASH PATH */
    uint32_t files_len;
};

/* In one write; 0 or errno. */
int result_write(int fd, const struct result *result);
/* The record at *offset, which moves on; false at the end or at nonsense. */
bool result_read(int fd, int64_t *offset, int count, struct result *result, apr_pool_t *pool);

#endif
