/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in and out of a connection, plain or through TLS. The non-blocking
 * half is the loop's; the waiting half is for a handler's thread, which owns
 * the connection while it runs. One read and one write a turn: a short read
 * means that the socket is empty, and the edge-triggered event tells when it is not.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "worker/state.h"

enum { IOV_MAX_PIECES = 64, TLS_QUEUE_BYTES = 64 * 1024, TLS_RECORD_BYTES = 16 * 1024 };

/* ---- Plain sockets ------------------------------------------------------ */

/* Nobody cancels our threads, so the system calls are made without the C
 * library's cancellation points: four locked instructions less a request. */
static ssize_t sys_recv(int fd, void *buf, size_t size)
{
    return syscall(SYS_recvfrom, fd, buf, size, 0, NULL, NULL);
}

static ssize_t sys_send(int fd, const struct iovec *iov, int count)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov,
                              .msg_iovlen = (size_t)count };

    if (count == 1) {
        return syscall(SYS_sendto, fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL, NULL, 0);
    }
    return syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL);
}

static enum io socket_read(struct conn *c, char *buf, size_t size, size_t *got)
{
    ssize_t n;

    if (!c->can_read) {
        return IO_AGAIN;
    }
    do {
        n = sys_recv(c->fd, buf, size);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        /* Shorter than asked: empty, unless the end is already announced. */
        c->can_read = (size_t)n == size || c->hung_up;
        *got = (size_t)n;
        return IO_DONE;
    }
    if (n == 0) {
        return IO_EOF;
    }
    if (errno == EAGAIN) {
        c->can_read = false;
        return IO_AGAIN;
    }
    return IO_ERROR;
}

static enum io socket_write(struct conn *c, struct iovec *iov, int count, size_t *sent)
{
    ssize_t n;

    *sent = 0;
    if (!c->can_write) {
        return IO_AGAIN;
    }
    do {
        n = sys_send(c->fd, iov, count);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *sent = (size_t)n;
        return IO_DONE;
    }
    if (errno == EAGAIN) {
        c->can_write = false;
        return IO_AGAIN;
    }
    return IO_ERROR;
}

/* ---- TLS ---------------------------------------------------------------- */

static enum io tls_decrypt(struct conn *c, char *buf, size_t size, size_t *got)
{
    int n = tls_read(c->tls, buf, size);

    if (n > 0) {
        *got = (size_t)n;
        return IO_DONE;
    }
    switch (n) {
    case TLS_WANT_INPUT:
        return IO_AGAIN;
    case TLS_EOF:
        return IO_EOF;
    default:
        return IO_ERROR;
    }
}

static enum io tls_receive(struct conn *c, char *buf, size_t size, size_t *got, char *raw,
                           size_t raw_size)
{
    for (;;) {
        enum io io = tls_decrypt(c, buf, size, got);
        size_t n = 0;

        if (io != IO_AGAIN) {
            return io;
        }
        io = socket_read(c, raw, raw_size, &n);
        if (io != IO_DONE) {
            return io;
        }
        if (tls_feed(c->tls, raw, n) == TLS_FAILED) {
            return IO_ERROR;
        }
    }
}

enum io transport_read(struct conn *c, char *buf, size_t size, size_t *got, char *raw,
                       size_t raw_size)
{
    *got = 0;
    return c->tls != NULL ? tls_receive(c, buf, size, got, raw, raw_size)
                          : socket_read(c, buf, size, got);
}

enum io transport_flush_tls(struct conn *c)
{
    size_t len;
    const char *data;

    while (c->tls != NULL && (data = tls_output(c->tls, &len), len > 0)) {
        struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
        size_t sent;
        enum io io = socket_write(c, &iov, 1, &sent);

        if (io != IO_DONE) {
            return io;
        }
        tls_consume(c->tls, sent);
    }
    return IO_DONE;
}

/* ---- The answer: out buffer, then pieces -------------------------------- */

static int gather(const struct work *work, struct iovec *iov)
{
    const struct body_piece *piece = work->piece;
    size_t skip = work->piece_sent;
    int count = 0;

    if (work->out_end > work->out_start) {
        iov[count].iov_base = (void *)(uintptr_t)(work->out + work->out_start);
        iov[count++].iov_len = work->out_end - work->out_start;
    }
    for (; piece != NULL && count < IOV_MAX_PIECES; piece = piece->next, skip = 0) {
        if (piece->len > skip) {
            iov[count].iov_base = piece->data + skip;
            iov[count++].iov_len = piece->len - skip;
        }
    }
    return count;
}

static void advance(struct work *work, size_t sent)
{
    size_t buffered = work->out_end - work->out_start;
    size_t part = sent < buffered ? sent : buffered;

    work->out_start += part;
    sent -= part;
    if (work->out_start == work->out_end) {
        work->out_start = work->out_end = 0;
    }
    while (work->piece != NULL) {
        size_t left = work->piece->len - work->piece_sent;

        if (sent < left) {
            work->piece_sent += sent;
            return;
        }
        sent -= left;
        work->piece = work->piece->next;
        work->piece_sent = 0;
    }
}

static enum io flush_plain(struct conn *c)
{
    struct iovec iov[IOV_MAX_PIECES];
    int count;

    while ((count = gather(c->work, iov)) > 0) {
        size_t wanted = 0, sent;
        enum io io = socket_write(c, iov, count, &sent);

        if (io != IO_DONE) {
            return io;
        }
        for (int i = 0; i < count; i++) {
            wanted += iov[i].iov_len;
        }
        advance(c->work, sent);
        if (sent < wanted) {
            c->can_write = false; /* full: the event will tell */
        }
    }
    return IO_DONE;
}

/* Encrypts a bounded amount ahead of the socket. */
static enum io flush_encrypted(struct conn *c)
{
    for (;;) {
        struct iovec iov[IOV_MAX_PIECES];
        enum io io = transport_flush_tls(c);
        size_t queued = 0;
        int count;

        if (io != IO_DONE) {
            return io;
        }
        if (c->work == NULL || (count = gather(c->work, iov)) == 0) {
            return IO_DONE;
        }
        for (int i = 0; i < count && queued < TLS_QUEUE_BYTES; i++) {
            size_t len = iov[i].iov_len < TLS_RECORD_BYTES ? iov[i].iov_len : TLS_RECORD_BYTES;

            if (tls_write(c->tls, iov[i].iov_base, len) != TLS_OK) {
                return IO_ERROR;
            }
            queued += len;
            advance(c->work, len);
            if (len < iov[i].iov_len) {
                break;
            }
        }
    }
}

enum io transport_flush(struct conn *c)
{
    if (c->tls != NULL) {
        return flush_encrypted(c);
    }
    return c->work != NULL ? flush_plain(c) : IO_DONE;
}

bool transport_output_pending(const struct conn *c)
{
    size_t len = 0;

    if (c->tls != NULL) {
        (void)tls_output(c->tls, &len);
    }
    return len > 0 ||
           (c->work != NULL && (c->work->out_end > c->work->out_start || c->work->piece != NULL));
}

/* ---- Waiting, on a handler's thread ------------------------------------- */

static int64_t clock_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* IO_AGAIN when the time is up. */
static enum io wait_for(const struct conn *c, short events, int64_t until)
{
    struct pollfd p = { .fd = c->fd, .events = events };

    for (;;) {
        int64_t left = until - clock_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;

        if (n > 0) {
            return IO_DONE;
        }
        if (n == 0) {
            return IO_AGAIN;
        }
        if (errno != EINTR) {
            return IO_ERROR;
        }
    }
}

enum io transport_read_wait(struct conn *c, char *buf, size_t size, size_t *got, int64_t timeout)
{
    char raw[TLS_RECORD_BYTES];
    int64_t until = clock_ms() + timeout;

    for (;;) {
        enum io io;

        c->can_read = true;
        io = transport_read(c, buf, size, got, raw, sizeof(raw));
        if (io != IO_AGAIN) {
            return io;
        }
        io = wait_for(c, POLLIN, until);
        if (io != IO_DONE) {
            return io;
        }
    }
}

static enum io flush_wait(struct conn *c, int64_t timeout)
{
    for (;;) {
        enum io io;

        c->can_write = true;
        io = transport_flush(c);
        if (io != IO_AGAIN) {
            return io;
        }
        io = wait_for(c, POLLOUT, clock_ms() + timeout);
        if (io != IO_DONE) {
            return io;
        }
    }
}

/* What earlier answers left in the out buffer goes first: order is kept. */
enum io transport_send_wait(struct conn *c, const struct iovec *iov, int count, int64_t timeout)
{
    for (int i = 0; i < count; i++) {
        struct body_piece piece = { .len = iov[i].iov_len, .data = iov[i].iov_base };
        enum io io;

        c->work->piece = &piece;
        c->work->piece_sent = 0;
        io = flush_wait(c, timeout);
        c->work->piece = NULL;
        if (io != IO_DONE) {
            return io;
        }
    }
    return IO_DONE;
}
