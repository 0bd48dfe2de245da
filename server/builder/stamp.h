/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps: which headers went into a build. A stamp is named by everything that
 * is known before the compiler runs (sources, flags, compiler); for that it
 * keeps the sets of files that compilers reported, the latest first. Set and
 * present contents give the key. Stamps live in memory between reloads, and as
 * ID.stamp in BuildDirectory between servers.
 */
#ifndef BUILDER_STAMP_H
#define BUILDER_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_hash.h>

#include "builder/fingerprint.h"
#include "builder/remember.h"

enum { STAMP_SETS = 8, STAMP_MAX_FILES = 20000 };

/* The files behind one build: what it read, and names that were looked up in
 * vain (absent files: should one appear, it shadows what was used). */
struct stamp_set {
    struct stamp_set *next;
    int count;
    struct file **files;
    uint64_t keyed; /* memory's epoch when key was computed; 0: never */
    char key[FP_HEX];
    struct file_stat object; /* of KEY.so, when it was last found sound */
};

struct stamp {
    struct fp id;
    char hex[FP_HEX];
    struct stamp_set *sets;
    uint64_t run; /* when it was last used */
};

struct stamps {
    apr_hash_t *by_id; /* struct fp -> struct stamp */
};

void stamps_init(struct stamps *stamps, apr_pool_t *pool);
void stamps_free(struct stamps *stamps);
/* From memory or BuildDirectory; NULL where there is none. */
struct stamp *stamp_find(struct stamps *stamps, struct memory *memory, int dir_fd,
                         const struct fp *id);
/* The key that the set's files give now; their looks are taken. */
const char *stamp_key(const struct stamp *stamp, struct stamp_set *set, struct memory *memory);
/* Puts a set first, made where it is new. files are copied. */
struct stamp_set *stamp_add(struct stamps *stamps, struct memory *memory, const struct fp *id,
                            struct file *const *files, int count, struct stamp **stamp);
/* Writes the file anew. 0 or errno. */
int stamp_save(const struct stamp *stamp, int dir_fd);
/* Forgets the stamps that were not used for some runs. */
void stamps_sweep(struct stamps *stamps, const struct memory *memory);

#endif
