/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an offer of connections: another process's word, perhaps another release's. */
#include <string.h>

#include "worker/conn.h"
#include "worker/handover.h"

bool offer_check(struct offer_walk *walk, const void *message, size_t len, int fd_count)
{
    struct offer_header *h = &walk->header;
    uint64_t strings = 0;
    size_t records;

    *walk = (struct offer_walk){ 0 };
    if (len < sizeof(*h)) {
        return false;
    }
    memcpy(h, message, sizeof(*h));
    records = (size_t)h->count * sizeof(struct record);
    if (h->record_size != sizeof(struct record) || h->count > OFFER_MAX || fd_count < 0 ||
        h->count != (uint32_t)fd_count || len < sizeof(*h) + records) {
        return false;
    }
    walk->records = (const unsigned char *)message + sizeof(*h);
    walk->strings = walk->records + records;
    for (uint32_t i = 0; i < h->count; i++) {
        struct record r;

        memcpy(&r, walk->records + i * sizeof(r), sizeof(r));
        strings += (uint64_t)r.unread + r.tls + r.socket;
    }
    return len == sizeof(*h) + records + strings;
}

bool offer_next(struct offer_walk *walk, struct offered *one)
{
    if (walk->next == walk->header.count) {
        return false;
    }
    memcpy(&one->record, walk->records + walk->next * sizeof(one->record), sizeof(one->record));
    one->unread = walk->strings;
    one->tls = one->unread + one->record.unread;
    one->socket = one->tls + one->record.tls;
    walk->strings = one->socket + one->record.socket;
    walk->next++;
    return true;
}

bool offer_readable(const struct record *r)
{
    return r->version >= RECORD_OLDEST && r->version <= RECORD_VERSION && r->size == RECORD_SIZE &&
           (r->sequence & 1) == 0 &&
           r->protocol == (r->socket > 0 ? RECORD_WEBSOCKET : RECORD_HTTP1) &&
           r->peer_len <= sizeof(r->peer) && r->unread <= OFFER_STRINGS_MAX;
}
