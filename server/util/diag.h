/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics: what is wrong, where, and at which stage of a reload. They are
 * collected by config, builder and generation, cross from a child to the
 * master as bytes, and end as text and JSON for the person who asked.
 */
#ifndef UTIL_DIAG_H
#define UTIL_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>

enum diag_stage { DIAG_CONFIG, DIAG_BUILD, DIAG_LOAD, DIAG_START, DIAG_PROBE, DIAG_STAGES };
enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag {
    struct diag *next;
    enum diag_stage stage;
    enum diag_severity severity;
    const char *file;    /* NULL where unknown */
    unsigned line;       /* 1 is the first; 0: unknown */
    unsigned column;     /* bytes from 1; 0: unknown */
    const char *message; /* one line, no file:line in it */
    const char *excerpt; /* the line itself and a caret under it, or NULL */
};

/* In order of report. Everything lives in pool. Beyond DIAGS_KEPT entries they
 * are only counted. */
enum { DIAGS_KEPT = 1000 };
struct diags {
    apr_pool_t *pool;
    struct diag *first, *last;
    unsigned errors, warnings;
    const char *output; /* the compiler's own words, unchanged, colours too; NULL */
};

struct diags *diags_create(apr_pool_t *pool);
__attribute__((format(printf, 7, 8))) void diags_add(struct diags *d, enum diag_stage stage,
                                                     enum diag_severity severity, const char *file,
                                                     unsigned line, unsigned column,
                                                     const char *format, ...);
/* For the caret: excerpt of the last added entry. text is the line's bytes. */
void diags_excerpt(struct diags *d, const char *text, size_t len, unsigned column);
/* A ready excerpt, from a file or another process: copied, made harmless. */
void diag_set_excerpt(struct diag *entry, const char *excerpt, apr_pool_t *pool);
void diags_append(struct diags *to, const struct diags *from);
/* "config", "build", "load", "start", "probe" */
const char *diag_stage_name(enum diag_stage stage);
/* The earliest stage that has an error. */
enum diag_stage diags_stage(const struct diags *d);

/* As text for a person: file:line:column: error: words, excerpt; the compiler's
 * output in place of build entries. colour false strips escape sequences. */
const char *diags_text(const struct diags *d, bool colour, apr_pool_t *pool);

/* Across processes: written to a descriptor (a memfd), read back by a receiver
 * that trusts no length in it. Both return 0 or an errno value; at most
 * DIAGS_MAX_BYTES are written (the rest is cut, and says so). */
enum { DIAGS_MAX_BYTES = 4 << 20 };
int diags_write(const struct diags *d, int fd);
int diags_read(struct diags *into, int fd);

#endif
