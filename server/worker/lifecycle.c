/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection in this worker: opened, registered, lent its
 * buffers, closed. */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/check.h"
#include "util/log.h"
#include "worker/socket.h"

#define LOG_PART "worker"

enum { INDEX_BITS = 24, WORKER_BITS = 12, PLACE_BITS = 10 };

/* Unique among the living connections of a server's life: a worker's own count
 * below its index, which of those with this index it is, and its generation. */
static uint64_t make_id(struct worker *w)
{
    uint64_t place = w->start.index | (w->start.incarnation & 3u) << PLACE_BITS;

    return (w->start.generation << (INDEX_BITS + WORKER_BITS)) | (place << INDEX_BITS) |
           (w->next_id++ & ((1u << INDEX_BITS) - 1));
}

static uint16_t set_address(union record_address *into, const struct sockaddr *from, socklen_t len)
{
    if (len == 0 || len > sizeof(*into) || from->sa_family == AF_UNIX) {
        return 0;
    }
    memcpy(into, from, len);
    return (uint16_t)len;
}

static bool is_wildcard(const struct listener *l)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l->addr;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l->addr;

    return l->addr.ss_family == AF_INET
               ? v4->sin_addr.s_addr == htonl(INADDR_ANY)
               : l->addr.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

/* Only behind a wildcard does it take a system call to know it. */
static uint16_t set_local(union record_address *into, const struct listener *l, int fd)
{
    struct sockaddr_storage local = { .ss_family = AF_UNSPEC };
    socklen_t len = sizeof(local);

    if (!is_wildcard(l)) {
        return set_address(into, (const struct sockaddr *)&l->addr, l->addr_len);
    }
    if (getsockname(fd, (struct sockaddr *)&local, &len) < 0) {
        return 0;
    }
    return set_address(into, (struct sockaddr *)&local, len);
}

static struct record *fill_record(struct worker *w, struct conn *c, const struct sockaddr *peer,
                                  socklen_t peer_len)
{
    struct record *r = conn_record(&w->slab, c);
    const struct listener *l = &w->start.listeners->list[c->listener];

    record_change(r);
    r->version = RECORD_VERSION;
    r->size = RECORD_SIZE;
    r->protocol = RECORD_HTTP1;
    r->keepalives = 0;
    r->id = make_id(w);
    r->listener_id = l->id;
    r->idle_since = w->now;
    r->idle_allowed = 0;
    r->head_since = 0;
    r->unread = r->tls = r->socket = 0;
    r->peer_len = set_address(&r->peer, peer, peer_len);
    r->local_len = set_local(&r->local, l, c->fd);
    record_settle(r);
    return r;
}

struct conn *conn_open_plain(struct worker *w, int fd, unsigned listener,
                             const struct sockaddr *peer, socklen_t peer_len)
{
    struct conn *c = conn_take(&w->slab);
    struct record *r;

    if (c == NULL) {
        return NULL;
    }
    c->fd = fd;
    c->listener = (uint16_t)listener;
    c->state = CONN_HEAD;
    c->can_write = true;
    r = fill_record(w, c, peer, peer_len);
    c->hosts = http_hosts(w->http, c->listener, r->local_len > 0 ? &r->local.any : NULL);
    return c;
}

bool conn_wants_tls(const struct worker *w, const struct conn *c)
{
    return w->tls != NULL &&
           tls_wanted(w->tls, c->hosts, w->start.listeners->list[c->listener].https);
}

void conn_give_tls(struct worker *w, struct conn *c, struct tls_conn *tls)
{
    c->tls = tls;
    c->counts_tls = true;
    w->tls_living++;
}

struct conn *conn_open(struct worker *w, int fd, unsigned listener, const struct sockaddr *peer,
                       socklen_t peer_len)
{
    struct conn *c = conn_open_plain(w, fd, listener, peer, peer_len);
    struct tls_conn *tls;

    if (c == NULL || !conn_wants_tls(w, c)) {
        return c;
    }
    tls = tls_open(w->tls, c->hosts);
    if (tls == NULL) {
        conn_give(&w->slab, c);
        return NULL;
    }
    conn_give_tls(w, c, tls);
    return c;
}

/* Output is watched only once a socket has been full: a socket that can be
 * written to would else be reported as soon as it is registered. */
bool conn_register(struct worker *w, struct conn *c)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
    bool output = c->watches_output || !c->can_write;

    if (c->registered && output == c->watches_output) {
        return true;
    }
    ev.events |= output ? (uint32_t)EPOLLOUT : 0;
    ev.data.u64 = conn_tag(&w->slab, c);
    if (epoll_ctl(w->epoll_fd, c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) < 0) {
        log_error("INS01403", "cannot poll a connection: errno %d", errno);
        conn_close(w, c);
        return false;
    }
    c->registered = true;
    c->watches_output = output;
    return true;
}

struct work *conn_work(struct worker *w, struct conn *c)
{
    struct work *work = w->free_work;

    if (c->work != NULL) {
        return c->work;
    }
    if (work != NULL) {
        w->free_work = work->next_free;
    }
    else {
        work = malloc(sizeof(*work));
        if (work == NULL) {
            return NULL;
        }
    }
    memset(work, 0, offsetof(struct work, in_first));
    work->in = work->in_first;
    work->in_size = IN_BYTES;
    c->work = work;
    return work;
}

bool work_reserve(struct work *work, size_t size)
{
    size_t larger = work->in_size;
    char *grown;

    while (larger < size) {
        larger *= 2;
    }
    if (larger == work->in_size) {
        return true;
    }
    grown = malloc(larger);
    if (grown == NULL) {
        return false;
    }
    memcpy(grown, work->in, work->in_end);
    if (work->in != work->in_first) {
        free(work->in);
    }
    work->in = grown;
    work->in_size = larger;
    return true;
}

void conn_release_work(struct worker *w, struct conn *c)
{
    struct work *work = c->work;

    if (work == NULL) {
        return;
    }
    if (work->request != NULL) {
        request_give(work->request);
    }
    if (work->in != work->in_first) {
        free(work->in);
    }
    work->next_free = w->free_work;
    w->free_work = work;
    c->work = NULL;
}

void conn_close(struct worker *w, struct conn *c)
{
    INS_CHECK(c->state != CONN_RUNNING && c->state != CONN_FREE);
    timer_cancel(&w->timers, &c->timer);
    conn_release_work(w, c);
    socket_drop(c);
    if (c->counts_tls) {
        c->counts_tls = false;
        w->tls_living--;
    }
    if (c->tls != NULL) {
        if (tls_handshake_news(c->tls, true) == TLS_NEWS_FAILED) {
            SB_COUNT(w->slot, tls_failed, 1);
        }
        tls_close(c->tls);
        c->tls = NULL;
    }
    /* A descriptor that another process may hold too would stay in our epoll. */
    if (c->shared && c->registered) {
        loop_unwatch(w, c->fd);
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
        c->fd = -1;
    }
    conn_give(&w->slab, c);
    accept_resume(w);
}
