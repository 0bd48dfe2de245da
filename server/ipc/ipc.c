/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and receiving one message. All distrust of the other side's bytes is
 * here, so that those who read messages need only doubt what the numbers mean. */
#include "ipc/ipc.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_SIZE = 4 << 20, RETRIES = 20, RETRY_NS = 1000000 };

struct expectation {
    const char *name;
    size_t size; /* exact, unless variable */
    int fds;     /* -1: any number */
    bool variable;
};

/* A variable payload is checked by its reader. */
static const struct expectation expected[IPC_TYPES] = { [IPC_NONE] = { .name = "none" },
#define X(type, count, payload)                                                                    \
    [IPC_##type] = { .name = #type,                                                                \
                     .fds = (count),                                                               \
                     .size = sizeof(payload),                                                      \
                     .variable = _Generic((payload *)0, struct ipc_variable *                      \
                                          : true, default                                          \
                                          : false) },
                                                        IPC_MESSAGES(X)
#undef X
};

const char *ipc_type_name(enum ipc_type type)
{
    return (unsigned)type < IPC_TYPES ? expected[type].name : "unknown";
}

static void raise_buffer(int fd, int forced, int asked)
{
    int size = BUFFER_SIZE;

    if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, asked, &size, sizeof(size));
    }
}

apr_status_t ipc_pair(int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        pair[0] = pair[1] = -1;
        return errno;
    }
    for (int i = 0; i < 2; i++) {
        raise_buffer(pair[i], SO_SNDBUFFORCE, SO_SNDBUF);
        raise_buffer(pair[i], SO_RCVBUFFORCE, SO_RCVBUF);
    }
    return APR_SUCCESS;
}

/* Room for the descriptors of one message. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS)];
};

static void attach(struct msghdr *msg, union control *control, const int *fds, int count)
{
    struct cmsghdr *c;
    size_t len = sizeof(int) * (size_t)count;

    memset(control, 0, sizeof(*control));
    msg->msg_control = control;
    msg->msg_controllen = CMSG_SPACE(len);
    c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), fds, len);
}

static apr_status_t socket_status(int error)
{
    switch (error) {
    case EAGAIN:
        return APR_EAGAIN;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case ECONNREFUSED:
        return APR_EOF;
    default:
        return error;
    }
}

apr_status_t ipc_send(int fd, uint64_t generation, enum ipc_type type, const void *payload,
                      size_t length, const int *fds, int fd_count)
{
    static const struct ipc_empty empty;
    struct ipc_header header = { .version = IPC_VERSION,
                                 .type = (uint16_t)type,
                                 .generation = generation };
    struct iovec iov[2] = { { &header, sizeof(header) }, { NULL, 0 } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    const struct timespec pause = { 0, RETRY_NS };
    union control control;

    if (!payload) {
        payload = &empty;
        length = sizeof(empty);
    }
    if (length > IPC_MAX_PAYLOAD || fd_count > IPC_MAX_FDS) {
        return APR_EINVAL;
    }
    header.length = (uint32_t)length;
    iov[1].iov_base = (void *)(uintptr_t)payload;
    iov[1].iov_len = length;
    if (fds && fd_count > 0) {
        attach(&msg, &control, fds, fd_count);
    }
    for (int tries = 0;;) {
        if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
            return APR_SUCCESS;
        }
        /* too many descriptors of this uid are in flight: they land soon */
        if (errno == ETOOMANYREFS && tries++ < RETRIES) {
            (void)nanosleep(&pause, NULL);
        }
        else if (errno != EINTR) {
            return socket_status(errno);
        }
    }
}

static void close_all(struct ipc_message *m)
{
    for (int i = 0; i < m->fd_count; i++) {
        (void)close(m->fds[i]);
    }
    m->fd_count = 0;
}

static void detach(struct msghdr *msg, struct ipc_message *into)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < count && into->fd_count < IPC_MAX_FDS; i++) {
            memcpy(&into->fds[into->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
    }
}

static bool is_wellformed(const struct ipc_message *m, size_t received)
{
    const struct ipc_header *h = &m->header;
    const struct expectation *e;

    if (received < sizeof(*h) || h->version != IPC_VERSION || h->type == IPC_NONE ||
        h->type >= IPC_TYPES || h->length != received - sizeof(*h)) {
        return false;
    }
    e = &expected[h->type];
    return e->variable || h->length == e->size;
}

/* A packet without bytes looks like the end; only the end hangs up. */
static bool has_hung_up(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static apr_status_t judge(int fd, struct ipc_message *into, ssize_t received, int flags)
{
    int wanted;

    if (received == 0 && into->fd_count == 0 && has_hung_up(fd)) {
        return APR_EOF;
    }
    if ((flags & MSG_TRUNC) || !is_wellformed(into, (size_t)received)) {
        close_all(into);
        return APR_EGENERAL;
    }
    if (flags & MSG_CTRUNC) {
        close_all(into);
        return APR_ENOSPC;
    }
    wanted = expected[into->header.type].fds;
    if (wanted >= 0 && into->fd_count != wanted) {
        close_all(into);
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

apr_status_t ipc_recv(int fd, struct ipc_message *into)
{
    struct iovec iov[2] = { { &into->header, sizeof(into->header) },
                            { into->payload, sizeof(into->payload) } };
    union control control;
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    ssize_t n;

    into->fd_count = 0;
    do {
        n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return socket_status(errno);
    }
    detach(&msg, into);
    return judge(fd, into, n, msg.msg_flags);
}
