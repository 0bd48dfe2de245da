/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking parked connections over. A record is another process's word: its
 * version, size, listener and lengths are checked before anything is believed,
 * and what does not fit is refused, which costs the connection nothing.
 */
#include "worker/adopt.h"

#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "worker/handover.h"

#define LOG_PART "worker"

static int find_listener(const struct worker *w, uint64_t id)
{
    for (int i = 0; i < w->start.listeners->count; i++) {
        if (w->start.listeners->list[i].id == id) {
            return i;
        }
    }
    return -1;
}

static bool acceptable(const struct worker *w, const struct record *r)
{
    return r->version == RECORD_VERSION && r->size == RECORD_SIZE && (r->sequence & 1) == 0 &&
           r->protocol == RECORD_HTTP1 && r->peer_len <= sizeof(r->peer) &&
           r->unread + IN_SLACK < IN_BYTES + OFFER_UNREAD_MAX && w->slab.living < w->slab.capacity;
}

/* The head's bytes continue in our buffer as if we had read them. */
static bool restore_unread(struct worker *w, struct conn *c, const struct record *r,
                           const char *unread)
{
    struct work *work = conn_work(w, c);

    if (work == NULL || !work_reserve(work, r->unread + IN_SLACK)) {
        return false;
    }
    memcpy(work->in, unread, r->unread);
    work->in_end = r->unread;
    work->request = request_take(w->http);
    work->since = r->head_since;
    work->heard = w->now;
    return work->request != NULL;
}

static bool adopt(struct worker *w, const struct record *r, const char *unread, int fd)
{
    int listener = find_listener(w, r->listener_id);
    struct conn *c;
    struct record *own;

    if (listener < 0 || !acceptable(w, r)) {
        return false;
    }
    c = conn_open(w, fd, (unsigned)listener, r->peer_len > 0 ? &r->peer.any : NULL, r->peer_len);
    if (c == NULL) {
        return false;
    }
    own = conn_record(&w->slab, c);
    record_change(own);
    own->id = r->id;
    own->keepalives = r->keepalives;
    own->idle_since = r->idle_since;
    own->idle_allowed = r->idle_allowed;
    record_settle(own);
    if (c->tls != NULL || (r->unread > 0 && !restore_unread(w, c, r, unread))) {
        c->fd = -1; /* still the sender's */
        conn_close(w, c);
        return false;
    }
    c->can_read = true;
    loop_ready(w, c);
    return true;
}

/* False where lengths do not add up. */
static bool check_lengths(const struct ipc_message *m, const struct offer_header *h)
{
    size_t records = (size_t)h->count * sizeof(struct record);
    uint64_t unread = 0;

    if (h->record_size != sizeof(struct record) || h->count > OFFER_MAX ||
        h->count != (uint32_t)m->fd_count || m->header.length < sizeof(*h) + records) {
        return false;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        struct record r;

        memcpy(&r, m->payload + sizeof(*h) + i * sizeof(r), sizeof(r));
        unread += r.unread;
    }
    return m->header.length == sizeof(*h) + records + unread;
}

static uint64_t adopt_all(struct worker *w, const struct ipc_message *m,
                          const struct offer_header *h)
{
    const char *records = (const char *)m->payload + sizeof(*h);
    const char *unread = records + h->count * sizeof(struct record);
    uint64_t taken = 0;

    for (uint32_t i = 0; i < h->count; i++) {
        struct record r;

        memcpy(&r, records + i * sizeof(r), sizeof(r));
        if (adopt(w, &r, unread, m->fds[i])) {
            taken |= (uint64_t)1 << i;
            SB_COUNT(w->slot, adopted, 1);
        }
        unread += r.unread;
    }
    return taken;
}

void adopt_offer(struct worker *w, int answer_to, const struct ipc_message *m, bool complete)
{
    struct offer_header h = { 0 };
    struct offer_answer answer = { 0 };
    apr_status_t rv;

    if (m->header.length >= sizeof(h)) {
        memcpy(&h, m->payload, sizeof(h));
    }
    answer.number = h.number;
    if (complete && check_lengths(m, &h)) {
        answer.taken = adopt_all(w, m, &h);
    }
    for (int i = 0; i < m->fd_count; i++) {
        if ((answer.taken >> i & 1) == 0) {
            (void)close(m->fds[i]);
        }
    }
    /* The sender's window is far smaller than the queue: it cannot be full. */
    rv = ipc_send(answer_to, w->start.generation, IPC_CONN_TAKEN, &answer, sizeof(answer), NULL, 0);
    if (rv != APR_SUCCESS) {
        log_warning("INS01411", "the worker that offered connections is gone");
    }
}
