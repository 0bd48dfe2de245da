/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the builder remembers of files: one stat() a file and plan, and a
 * reading only where stat() shows a change or is too fresh to be believed.
 * Entries are shared by all modules and live from reload to reload.
 */
#ifndef BUILDER_REMEMBER_H
#define BUILDER_REMEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_hash.h>

#include "builder/fingerprint.h"

struct names;

enum { FILE_MAX_BYTES = 64 << 20 };

enum file_kind {
    FILE_ABSENT,
    FILE_REGULAR,
    FILE_FOLDER,
    FILE_OTHER, /* a device, or unreadable: see error */
};

struct file_stat {
    int64_t size, mtime, ctime; /* times in nanoseconds */
    uint64_t device, inode;
};

struct file {
    char *path; /* absolute */
    enum file_kind kind;
    int error; /* why it cannot be read; 0 */
    struct file_stat stat;
    struct fp hash;      /* of the content; of the names for a folder; zero else */
    char **names;        /* a folder's sources, sorted; NULL-terminated */
    bool known;          /* was looked at once, or came from a stamp */
    bool trusted;        /* stat alone shows the next change */
    uint64_t run;        /* of the last look */
    uint64_t first;      /* the epoch in which it became known */
    uint64_t changed;    /* the epoch in which its content last changed */
    unsigned references; /* stamps that name it */
};

struct memory {
    apr_hash_t *files; /* path -> struct file */
    struct fp_sum *sum;
    uint64_t run;              /* a plan's number: a file is looked at once a run */
    uint64_t epoch;            /* grows whenever some content changed */
    const struct names *names; /* how to reach files, NULL: by their paths */
};

void memory_init(struct memory *memory, apr_pool_t *pool);
void memory_free(struct memory *memory);
/* A new run: every file is due for one look. */
void memory_refresh(struct memory *memory);
/* The entry of a path, made where there is none; not looked at yet. */
struct file *memory_file(struct memory *memory, const char *path);
/* Looks at it, once a run. */
void memory_look(struct memory *memory, struct file *file);
/* Taken from a stamp: believed as long as stat() says the same. */
void memory_learn(struct memory *memory, struct file *file, const struct file_stat *stat,
                  const struct fp *hash);
/* Forgets files that no stamp names and that were not looked at in this run. */
void memory_sweep(struct memory *memory);

#endif
