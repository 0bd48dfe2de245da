/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps in memory: sets of files and the keys they give. See stamp.h; the
 * files are in stamp_file.c.
 */
#include "builder/stamp.h"

#include <stdlib.h>
#include <string.h>

#include "builder/stamp_file.h"
#include "util/check.h"

/* A stamp unused for so many plans is read from disk again, should it come back. */
enum { SWEEP_AFTER = 4 };

void stamps_init(struct stamps *stamps, apr_pool_t *pool)
{
    stamps->by_id = apr_hash_make(pool);
}

static void set_free(struct stamp_set *set)
{
    for (int i = 0; i < set->count; i++) {
        set->files[i]->references--;
    }
    free(set->files);
    free(set);
}

static void stamp_free(struct stamp *stamp)
{
    while (stamp->sets) {
        struct stamp_set *set = stamp->sets;

        stamp->sets = set->next;
        set_free(set);
    }
    free(stamp);
}

/* Out of the table first: the key that the table compares is part of the stamp. */
void stamps_free(struct stamps *stamps)
{
    for (apr_hash_index_t *i = apr_hash_first(NULL, stamps->by_id); i; i = apr_hash_next(i)) {
        struct stamp *stamp = apr_hash_this_val(i);

        apr_hash_set(stamps->by_id, stamp->id.bytes, FP_SIZE, NULL);
        stamp_free(stamp);
    }
}

static struct stamp *stamp_make(struct stamps *stamps, const struct memory *memory,
                                const struct fp *id)
{
    struct stamp *stamp = calloc(1, sizeof(*stamp));

    INS_CHECK(stamp);
    stamp->id = *id;
    stamp->run = memory->run;
    fp_to_hex(id, stamp->hex);
    apr_hash_set(stamps->by_id, stamp->id.bytes, FP_SIZE, stamp);
    return stamp;
}

static struct stamp_set *set_make(struct file *const *files, int count)
{
    struct stamp_set *set = calloc(1, sizeof(*set));

    INS_CHECK(set);
    set->files = malloc((size_t)count * sizeof(*files) + 1);
    INS_CHECK(set->files);
    memcpy(set->files, files, (size_t)count * sizeof(*files));
    set->count = count;
    for (int i = 0; i < count; i++) {
        files[i]->references++;
    }
    return set;
}

static void append_set(void *to, struct file *const *files, int count)
{
    struct stamp *stamp = to;
    struct stamp_set **end = &stamp->sets;
    int sets = 0;

    for (; *end; end = &(*end)->next) {
        sets++;
    }
    if (sets < STAMP_SETS) {
        *end = set_make(files, count);
    }
}

struct stamp *stamp_find(struct stamps *stamps, struct memory *memory, int dir_fd,
                         const struct fp *id)
{
    struct stamp *stamp = apr_hash_get(stamps->by_id, id->bytes, FP_SIZE);

    if (!stamp) {
        stamp = stamp_make(stamps, memory, id);
    }
    if (!stamp->sets) {
        stamp_file_read(dir_fd, stamp->hex, memory, append_set, stamp);
    }
    stamp->run = memory->run;
    return stamp->sets ? stamp : NULL;
}

const char *stamp_key(const struct stamp *stamp, struct stamp_set *set, struct memory *memory)
{
    bool fresh = set->keyed != 0;
    struct fp key;

    for (int i = 0; i < set->count; i++) {
        memory_look(memory, set->files[i]);
        fresh = fresh && set->files[i]->changed <= set->keyed;
    }
    if (fresh) {
        return set->key;
    }
    fp_start(memory->sum);
    fp_add(memory->sum, stamp->id.bytes, FP_SIZE);
    for (int i = 0; i < set->count; i++) {
        fp_add_text(memory->sum, set->files[i]->path);
        fp_add_number(memory->sum, set->files[i]->kind);
        fp_add(memory->sum, set->files[i]->hash.bytes, FP_SIZE);
    }
    fp_end(memory->sum, &key);
    fp_to_hex(&key, set->key);
    set->keyed = memory->epoch;
    memset(&set->object, 0, sizeof(set->object));
    return set->key;
}

static bool same_files(const struct stamp_set *set, struct file *const *files, int count)
{
    return set->count == count && memcmp(set->files, files, (size_t)count * sizeof(*files)) == 0;
}

static void drop_oldest(struct stamp *stamp)
{
    struct stamp_set **at = &stamp->sets;

    for (int kept = 0; *at && kept < STAMP_SETS; kept++) {
        at = &(*at)->next;
    }
    if (*at) {
        set_free(*at);
        *at = NULL;
    }
}

struct stamp_set *stamp_add(struct stamps *stamps, struct memory *memory, const struct fp *id,
                            struct file *const *files, int count, struct stamp **stamp)
{
    struct stamp *owner = apr_hash_get(stamps->by_id, id->bytes, FP_SIZE);
    struct stamp_set **at, *set;

    if (!owner) {
        owner = stamp_make(stamps, memory, id);
    }
    *stamp = owner;
    for (at = &owner->sets; *at && !same_files(*at, files, count); at = &(*at)->next) {
    }
    set = *at;
    if (set) {
        *at = set->next;
    }
    else {
        set = set_make(files, count);
    }
    set->next = owner->sets;
    owner->sets = set;
    drop_oldest(owner);
    return set;
}

int stamp_save(const struct stamp *stamp, int dir_fd)
{
    return stamp_file_write(dir_fd, stamp);
}

void stamps_sweep(struct stamps *stamps, const struct memory *memory)
{
    for (apr_hash_index_t *i = apr_hash_first(NULL, stamps->by_id); i; i = apr_hash_next(i)) {
        struct stamp *stamp = apr_hash_this_val(i);

        if (stamp->run + SWEEP_AFTER < memory->run) {
            apr_hash_set(stamps->by_id, stamp->id.bytes, FP_SIZE, NULL);
            stamp_free(stamp);
        }
    }
}
