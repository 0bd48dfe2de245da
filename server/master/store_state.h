/* SPDX-License-Identifier: Apache-2.0 */
/* What the files store*.c and history*.c share: the store as the master
 * remembers it. Small, and bounded by KeepGenerations; texts are on the disk alone. */
#ifndef MASTER_STORE_STATE_H
#define MASTER_STORE_STATE_H

#include "builder/builder.h"
#include "builder/fingerprint.h"
#include "master/store.h"
#include "master/store_file.h"

enum { HISTORY_WORD = 16, HISTORY_WORDS = 240, HISTORY_LIST = 400, STORE_NAME = 80 };

/* What became of a generation, or of a reload that brought none. */
enum fate { FATE_SERVED, FATE_FAILED, FATE_ROLLED_BACK, FATE_CRASHED, FATES };

/* Newest first. */
struct history {
    struct history *next;
    uint64_t number;   /* 0: it failed before it had one */
    uint64_t manifest; /* the generation that first served from it; 0: it failed */
    int64_t when;      /* apr_time_t */
    enum fate fate;
    char what[HISTORY_WORD];                         /* as an outcome's */
    char stage[HISTORY_WORD];                        /* where it failed */
    char words[HISTORY_WORDS];                       /* why it ended or failed */
    char modules[HISTORY_LIST], files[HISTORY_LIST]; /* what changed, joined by ", " */
};

/* A manifest on the disk. Newest first. */
struct kept {
    struct kept *next;
    uint64_t number, before;
    char text[FP_HEX];
    struct build_list *objects; /* one piece of memory */
};

struct pending {
    struct pending *next;
    char name[STORE_NAME];
    size_t length;
    char bytes[];
};

struct store {
    apr_pool_t *pool;
    const char *folder;
    struct fp_sum *sum;
    struct kept *kept;
    struct history *history;
    bool prefers_last;
    bool history_changed;
    struct pending *pending, **pending_end; /* to be written, in order */
    int written;                            /* of these, by the child that runs */
    pid_t writer;                           /* 0 none */
};

void kept_free(struct kept *kept);
struct kept *kept_find(const struct store *store, uint64_t number);

/* ---- store_text.c: manifests as bytes -------------------------------------- */

/* A config's: to bytes, and to what conf_read_stored() takes; NULL where they make no
 * sense. */
struct store_bytes text_pack(const struct conf *conf, apr_pool_t *pool);
struct conf *text_unpack(const char *bytes, size_t length, apr_pool_t *pool);
/* A manifest's but for its text: kept and the modules of the list. */
struct store_bytes kept_pack(const struct kept *kept, const struct build_list *builds,
                             apr_pool_t *pool);
/* builds lives in pool, its modules are named by *names (const char *).
 * False where the bytes make no sense. */
bool kept_unpack(struct kept *kept, struct build_list **builds, apr_array_header_t **names,
                 const char *bytes, size_t length, apr_pool_t *pool);

/* ---- history.c --------------------------------------------------------------- */

struct history *history_add(struct store *store, const char *what);
/* Of a generation; NULL where it is not known any more. */
struct history *history_find(const struct store *store, uint64_t number);
/* Keeps the newest, failed ones and others each. */
void history_trim(struct store *store, int keep);
struct store_bytes history_pack(const struct store *store, apr_pool_t *pool);
/* Into an empty store; what makes no sense ends it. */
void history_unpack(struct store *store, const char *bytes, size_t length);
void history_free(struct store *store);

/* ---- store_write.c --------------------------------------------------------------- */

void store_write(struct store *store, const char *name, const char *body, size_t length,
                 apr_pool_t *pool);
/* Starts the child if there is something to write and none runs. */
void store_flush(struct store *store);
/* The child of a master that was killed is done, or takes too long. */
void store_wait_for_writer(const struct store *store);
/* Waits for the child, writes what is left. */
void store_finish_writing(struct store *store);

#endif
