/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the generations: a short list, kept on the disk as a whole. */
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "master/pack.h"
#include "master/store_state.h"
#include "util/check.h"

struct history *history_add(struct store *store, const char *what)
{
    struct history *entry = calloc(1, sizeof(*entry));

    INS_CHECK(entry != NULL);
    entry->when = apr_time_now();
    apr_cpystrn(entry->what, what, sizeof(entry->what));
    entry->next = store->history;
    store->history = entry;
    store->history_changed = true;
    return entry;
}

struct history *history_find(const struct store *store, uint64_t number)
{
    struct history *entry;

    for (entry = store->history; entry != NULL; entry = entry->next) {
        if (entry->number == number && entry->manifest != 0) {
            return entry;
        }
    }
    return NULL;
}

void history_trim(struct store *store, int keep)
{
    struct history **at = &store->history;
    int failed = 0, served = 0;

    while (*at != NULL) {
        struct history *entry = *at;
        int *count = entry->fate == FATE_FAILED ? &failed : &served;

        if (++*count > keep) {
            *at = entry->next;
            free(entry);
        }
        else {
            at = &entry->next;
        }
    }
}

void history_free(struct store *store)
{
    history_trim(store, 0);
}

/* ---- On the disk ------------------------------------------------------------- */

struct store_bytes history_pack(const struct store *store, apr_pool_t *pool)
{
    const struct history *entry;
    struct pack pack;
    uint64_t count = 0;

    pack_start(&pack, 0, pool);
    for (entry = store->history; entry != NULL; entry = entry->next) {
        count++;
    }
    pack_number(&pack, store->prefers_last);
    pack_number(&pack, count);
    for (entry = store->history; entry != NULL; entry = entry->next) {
        pack_number(&pack, entry->number);
        pack_number(&pack, entry->manifest);
        pack_number(&pack, (uint64_t)entry->when);
        pack_number(&pack, (uint64_t)entry->fate);
        pack_string(&pack, entry->what);
        pack_string(&pack, entry->stage);
        pack_string(&pack, entry->words);
        pack_string(&pack, entry->modules);
        pack_string(&pack, entry->files);
    }
    return (struct store_bytes){ pack.bytes, pack.length };
}

static bool unpack_entry(struct unpack *from, struct history *entry)
{
    uint64_t fate;

    entry->number = unpack_number(from);
    entry->manifest = unpack_number(from);
    entry->when = (int64_t)unpack_number(from);
    fate = unpack_number(from);
    entry->fate = (enum fate)(fate < FATES ? fate : FATE_FAILED);
    unpack_into(from, entry->what, sizeof(entry->what));
    unpack_into(from, entry->stage, sizeof(entry->stage));
    unpack_into(from, entry->words, sizeof(entry->words));
    unpack_into(from, entry->modules, sizeof(entry->modules));
    unpack_into(from, entry->files, sizeof(entry->files));
    return !from->bad;
}

void history_unpack(struct store *store, const char *bytes, size_t length)
{
    struct unpack from = { .at = bytes, .left = length };
    struct history **end = &store->history;
    int count;

    store->prefers_last = unpack_number(&from) != 0;
    count = unpack_count(&from);
    for (int i = 0; i < count && !from.bad; i++) {
        struct history *entry = calloc(1, sizeof(*entry));

        INS_CHECK(entry != NULL);
        if (!unpack_entry(&from, entry)) {
            free(entry);
            return;
        }
        *end = entry;
        end = &entry->next;
    }
}
