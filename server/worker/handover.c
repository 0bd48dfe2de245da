/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving parked connections away, in two phases: out of epoll, offered, kept
 * until the other side has answered, then closed. Whatever goes wrong in
 * between (the receiver dies, refuses, lacks descriptors), the connection is
 * still ours and goes on here.
 */
#include "worker/handover.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "worker/adopt.h"
#include "worker/socket_move.h"

#define LOG_PART "worker"

/* A message under way. */
struct offer {
    uint64_t number;
    unsigned count;
    struct conn *conns[OFFER_MAX];
};

struct offer_buffer {
    struct offer_header header;
    struct record records[OFFER_MAX];
    char strings[OFFER_STRINGS_MAX];
};

bool handover_possible(const struct worker *w, const struct conn *c)
{
    return w->hand_over && (c->tls == NULL || tls_can_move(c->tls)) && !c->refused;
}

bool handover_pending(const struct worker *w)
{
    for (unsigned i = 0; i < HANDOVER_PEERS; i++) {
        if (w->peers[i].offer_count > 0) {
            return true;
        }
    }
    return false;
}

bool handover_has_receiver(const struct worker *w)
{
    for (unsigned i = 0; i < HANDOVER_PEERS; i++) {
        if (w->peers[i].fd >= 0 && !w->peers[i].gives) {
            return true;
        }
    }
    return false;
}

static size_t unread_bytes(const struct conn *c)
{
    return c->work != NULL ? c->work->in_end - c->work->in_start : 0;
}

/* Lengths of what rides along behind a record. */
struct strings {
    size_t unread, tls, socket;
};

static size_t sum(const struct strings *s)
{
    return s->unread + s->tls + s->socket;
}

/* Between two requests, with nothing owed in either direction but a head that nobody has answered;
 * or a WebSocket between callbacks. */
static bool is_parked(const struct conn *c)
{
    if (c->queued) {
        return false;
    }
    return c->state == CONN_SOCKET ? socket_movable(c)
                                   : c->state == CONN_HEAD && !transport_output_pending(c);
}

/* Under TLS nothing half done either. */
static bool can_offer(const struct worker *w, const struct conn *c, struct strings *s)
{
    *s = (struct strings){ 0 };
    if (!is_parked(c) || !handover_possible(w, c)) {
        return false;
    }
    s->unread = unread_bytes(c);
    if (c->tls != NULL) {
        s->tls = tls_frozen_size(c->tls);
    }
    return (c->tls == NULL || s->tls > 0) && sum(s) <= OFFER_STRINGS_MAX;
}

void handover_park(struct worker *w, struct conn *c)
{
    struct strings s;

    if (!c->parked && can_offer(w, c, &s) && w->parked_count < w->slab.capacity) {
        c->parked = true;
        w->parked[w->parked_count++] = conn_tag(&w->slab, c);
    }
}

/* Back to where it was: the loop reads what came meanwhile. */
static void put_back(struct worker *w, struct conn *c)
{
    if (c->socket != NULL) {
        socket_unseal(c);
    }
    c->state = c->socket != NULL ? CONN_SOCKET : CONN_HEAD;
    c->can_read = c->can_write = true;
    loop_ready(w, c);
}

/* What its module has to do first, it does; then the connection is parked again. */
static bool is_ready(struct worker *w, struct conn *c, struct strings *s)
{
    if (c->state != CONN_SOCKET) {
        return true;
    }
    s->socket = socket_seal(c);
    if (s->socket > 0 && socket_has_frozen(c) && sum(s) <= OFFER_STRINGS_MAX) {
        return true;
    }
    socket_unseal(c);
    if (s->socket > 0 && sum(s) + INS_WS_STATE_MAX <= OFFER_STRINGS_MAX) {
        socket_begin_freeze(w, c);
    }
    return false;
}

static struct conn *next_parked(struct worker *w, struct strings *s)
{
    while (w->parked_count > 0) {
        struct conn *c = conn_from_tag(&w->slab, w->parked[--w->parked_count]);

        if (c != NULL) {
            c->parked = false;
            if (can_offer(w, c, s) && is_ready(w, c, s)) {
                return c;
            }
        }
    }
    return NULL;
}

/* ---- Offering ----------------------------------------------------------- */

static void write_record(struct worker *w, struct conn *c, const struct strings *s,
                         struct record *into, char *strings)
{
    struct record *r = conn_record(&w->slab, c);

    record_change(r);
    r->unread = (uint32_t)s->unread;
    r->tls = (uint32_t)s->tls;
    r->socket = (uint32_t)s->socket;
    r->head_since = s->unread > 0 ? c->work->since : 0;
    record_settle(r);
    *into = *r;
    if (s->unread > 0) {
        memcpy(strings, c->work->in + c->work->in_start, s->unread);
    }
    if (s->tls > 0) {
        tls_freeze(c->tls, strings + s->unread);
    }
    if (s->socket > 0) {
        socket_pack(c, strings + s->unread + s->tls);
    }
}

static void take_out(struct worker *w, struct conn *c)
{
    if (c->registered) {
        loop_unwatch(w, c->fd);
        c->registered = false;
    }
    timer_cancel(&w->timers, &c->timer);
    c->state = CONN_OFFERED;
}

/* Fills a message with what is parked; the length of its payload. */
static size_t gather(struct worker *w, struct offer_buffer *buf, struct offer *offer, int *fds)
{
    size_t used = 0, records;
    struct strings s;
    struct conn *c;

    while (offer->count < OFFER_MAX && (c = next_parked(w, &s)) != NULL) {
        size_t len = sum(&s);

        if (used + len > OFFER_STRINGS_MAX) {
            if (c->socket != NULL) {
                socket_unseal(c);
            }
            handover_park(w, c);
            break;
        }
        write_record(w, c, &s, &buf->records[offer->count], buf->strings + used);
        take_out(w, c);
        fds[offer->count] = c->fd;
        offer->conns[offer->count++] = c;
        used += len;
    }
    records = offer->count * sizeof(struct record);
    buf->header = (struct offer_header){ offer->number, offer->count, sizeof(struct record) };
    memmove((char *)buf->records + records, buf->strings, used);
    return sizeof(buf->header) + records + used;
}

/* Secrets of TLS sessions must not stay behind in memory that is written over some day. */
static void wipe_secrets(struct offer_buffer *buf, const struct offer *offer)
{
    for (unsigned i = 0; i < offer->count; i++) {
        if (offer->conns[i]->tls != NULL) {
            tls_wipe(buf, sizeof(*buf));
            return;
        }
    }
}

static void forget_offer(struct peer *p, unsigned index)
{
    free(p->offers[index]);
    p->offers[index] = p->offers[--p->offer_count];
    p->offers[p->offer_count] = NULL;
}

static void give_up_offer(struct worker *w, struct peer *p, unsigned index)
{
    for (unsigned i = 0; i < p->offers[index]->count; i++) {
        put_back(w, p->offers[index]->conns[i]);
    }
    forget_offer(p, index);
}

/* Nobody is left to take them: they go on here, those that were frozen for it too. */
static void unpark_all(struct worker *w)
{
    while (w->parked_count > 0) {
        struct conn *c = conn_from_tag(&w->slab, w->parked[--w->parked_count]);

        if (c != NULL) {
            c->parked = false;
            if (c->state == CONN_SOCKET) {
                loop_ready(w, c);
            }
        }
    }
}

static void close_peer(struct worker *w, struct peer *p)
{
    while (p->offer_count > 0) {
        give_up_offer(w, p, 0);
    }
    loop_unwatch(w, p->fd);
    (void)close(p->fd);
    p->fd = -1;
    if (!handover_has_receiver(w)) {
        unpark_all(w);
    }
}

static void offer_some(struct worker *w, struct peer *p)
{
    static struct offer_buffer buf; /* the loop's, as all here */
    int fds[OFFER_MAX];
    struct offer *offer = calloc(1, sizeof(*offer));
    size_t len;
    apr_status_t rv;

    if (offer == NULL) {
        return;
    }
    offer->number = ++w->next_offer;
    len = gather(w, &buf, offer, fds);
    if (offer->count == 0) {
        free(offer);
        return;
    }
    p->offers[p->offer_count++] = offer;
    rv = ipc_send(p->fd, w->start.generation, IPC_CONN_OFFER, &buf, len, fds, (int)offer->count);
    wipe_secrets(&buf, offer);
    if (rv == APR_SUCCESS) {
        for (unsigned i = 0; i < offer->count; i++) {
            offer->conns[i]->shared = true;
        }
        return;
    }
    give_up_offer(w, p, p->offer_count - 1);
    if (APR_STATUS_IS_EAGAIN(rv)) {
        p->blocked = true;
    }
    else {
        log_warning("INS01409", "generation %llu worker %u takes no more connections",
                    (unsigned long long)p->generation, p->index);
        close_peer(w, p);
    }
}

static struct peer *next_receiver(struct worker *w)
{
    for (unsigned i = 0; i < HANDOVER_PEERS; i++) {
        struct peer *p = &w->peers[w->next_peer++ % HANDOVER_PEERS];

        if (p->fd >= 0 && !p->gives && !p->blocked && p->offer_count < OFFER_WINDOW) {
            return p;
        }
    }
    return NULL;
}

void handover_pump(struct worker *w)
{
    while (w->parked_count > 0) {
        struct peer *p = next_receiver(w);

        if (p == NULL) {
            return;
        }
        offer_some(w, p);
    }
}

/* ---- Answers ------------------------------------------------------------ */

static void settle(struct worker *w, struct offer *offer, uint64_t taken)
{
    for (unsigned i = 0; i < offer->count; i++) {
        struct conn *c = offer->conns[i];

        if ((taken >> i & 1) != 0) {
            SB_COUNT(w->slot, handed_over, 1);
            conn_close(w, c);
        }
        else {
            c->refused = true;
            put_back(w, c);
        }
    }
}

static void answer_came(struct worker *w, struct peer *p, const struct ipc_message *m)
{
    struct offer_answer answer;

    if (m->header.length != sizeof(answer)) {
        return;
    }
    memcpy(&answer, m->payload, sizeof(answer));
    for (unsigned i = 0; i < p->offer_count; i++) {
        if (p->offers[i]->number == answer.number) {
            settle(w, p->offers[i], answer.taken);
            forget_offer(p, i);
            return;
        }
    }
}

/* ---- Peers -------------------------------------------------------------- */

void handover_add_peer(struct worker *w, int fd, bool gives, uint64_t generation, uint32_t index)
{
    for (unsigned i = 0; i < HANDOVER_PEERS; i++) {
        struct peer *p = &w->peers[i];

        if (p->fd < 0) {
            *p =
                (struct peer){ .fd = fd, .gives = gives, .generation = generation, .index = index };
            if (loop_watch(w, fd, EPOLLIN | EPOLLOUT | EPOLLET, SOURCE_PEER, i) == 0) {
                return;
            }
            p->fd = -1;
            break;
        }
    }
    log_warning("INS01410", "no room for another worker's pair: %u are open", HANDOVER_PEERS);
    (void)close(fd);
}

void handover_event(struct worker *w, unsigned index, uint32_t events)
{
    struct peer *p = &w->peers[index < HANDOVER_PEERS ? index : 0];
    apr_status_t rv;

    if ((events & EPOLLOUT) != 0) {
        p->blocked = false;
    }
    while (p->fd >= 0) {
        rv = ipc_recv(p->fd, &w->message);
        if (APR_STATUS_IS_EAGAIN(rv)) {
            return;
        }
        if (APR_STATUS_IS_EOF(rv)) {
            close_peer(w, p);
            return;
        }
        if (rv != APR_SUCCESS && rv != APR_ENOSPC) {
            continue;
        }
        if (p->gives && w->message.header.type == IPC_CONN_OFFER) {
            adopt_offer(w, p->fd, &w->message, rv == APR_SUCCESS);
        }
        else if (!p->gives && w->message.header.type == IPC_CONN_TAKEN && rv == APR_SUCCESS) {
            answer_came(w, p, &w->message);
        }
        else {
            for (int i = 0; i < w->message.fd_count; i++) {
                (void)close(w->message.fds[i]);
            }
        }
    }
}
