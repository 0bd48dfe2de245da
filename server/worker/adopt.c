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
#include "worker/socket_move.h"

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

/* The head's bytes continue in our buffer as if we had read them. */
static bool restore_unread(struct worker *w, struct conn *c, const struct record *r,
                           const unsigned char *unread)
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

/* Its listener must speak what the connection speaks, and its server be there as before. */
static bool restore_tls(struct worker *w, struct conn *c, const struct offered *one)
{
    struct tls_conn *tls;

    if ((one->record.tls > 0) != conn_wants_tls(w, c)) {
        return false;
    }
    if (one->record.tls == 0) {
        return true;
    }
    tls = tls_thaw(c->hosts, one->tls, one->record.tls);
    if (tls == NULL) {
        return false;
    }
    conn_give_tls(w, c, tls);
    return true;
}

static void restore_record(struct worker *w, struct conn *c, const struct record *r)
{
    struct record *own = conn_record(&w->slab, c);

    record_change(own);
    own->id = r->id;
    own->keepalives = r->keepalives;
    own->idle_since = r->idle_since;
    own->idle_allowed = r->idle_allowed;
    own->protocol = r->protocol;
    record_settle(own);
}

static bool adopt(struct worker *w, const struct offered *one, int fd)
{
    const struct record *r = &one->record;
    int listener = find_listener(w, r->listener_id);
    struct conn *c;

    if (listener < 0 || !offer_readable(r) || w->slab.living >= w->slab.capacity) {
        return false;
    }
    c = conn_open_plain(w, fd, (unsigned)listener, r->peer_len > 0 ? &r->peer.any : NULL,
                        r->peer_len);
    if (c == NULL) {
        return false;
    }
    restore_record(w, c, r);
    if (!restore_tls(w, c, one) || (r->unread > 0 && !restore_unread(w, c, r, one->unread)) ||
        (r->socket > 0 && !socket_unpack(w, c, one->socket, r->socket))) {
        c->fd = -1; /* still the sender's */
        conn_close(w, c);
        return false;
    }
    c->can_read = true;
    loop_ready(w, c);
    return true;
}

static uint64_t adopt_all(struct worker *w, const struct ipc_message *m, struct offer_walk *walk)
{
    struct offered one;
    uint64_t taken = 0;

    for (uint32_t i = 0; offer_next(walk, &one); i++) {
        if (adopt(w, &one, m->fds[i])) {
            taken |= (uint64_t)1 << i;
            SB_COUNT(w->slot, adopted, 1);
        }
    }
    return taken;
}

void adopt_offer(struct worker *w, int answer_to, struct ipc_message *m, bool complete)
{
    struct offer_walk walk;
    struct offer_answer answer = { 0 };
    apr_status_t rv;

    if (offer_check(&walk, m->payload, m->header.length, m->fd_count) && complete) {
        answer.taken = adopt_all(w, m, &walk);
    }
    answer.number = walk.header.number;
    tls_wipe(m->payload, m->header.length); /* it may have held secrets */
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
