/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One listening socket. The hazards: an address of ours that overlaps another
 * of ours (127.0.0.1:80 and *:80 across a reload), a unix socket's file that a
 * dead server left behind, and the port that the workers of a master that was
 * killed hold for a moment longer.
 */
#include "master/listener_open.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "master/activation.h"
#include "master/addresses.h"

enum { RETRY_NS = 20 * 1000 * 1000, SILENT_SECONDS = 1 };

static int set_flag(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) != 0 ? errno : 0;
}

static int make_socket(const struct listener *l, int *fd)
{
    int error = 0;

    *fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return errno;
    }
    if (l->addr.ss_family != AF_UNIX) {
        error = set_flag(*fd, SOL_SOCKET, SO_REUSEADDR, 1);
        /* Accepted sockets inherit it: no call for each connection. */
        (void)set_flag(*fd, IPPROTO_TCP, TCP_NODELAY, 1);
        /* The client speaks first, in HTTP and in TLS: a connection comes with its first bytes,
         * so that no worker wakes up, reads nothing and polls. One that is silent comes after a
         * second, to meet its timeouts. */
        (void)set_flag(*fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, SILENT_SECONDS);
    }
    if (error == 0 && l->addr.ss_family == AF_INET6) {
        error = set_flag(*fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    return error;
}

static void share_port(const struct bound *b, struct bound *ours, int fd, int on)
{
    (void)set_flag(fd, SOL_SOCKET, SO_REUSEPORT, on);
    for (; ours != NULL; ours = ours->next) {
        if (ours != b && addresses_collide(&ours->listener, &b->listener)) {
            (void)set_flag(ours->listener.fd, SOL_SOCKET, SO_REUSEPORT, on);
        }
    }
}

static bool is_in_our_own_way(const struct bound *b, const struct bound *ours)
{
    for (; ours != NULL; ours = ours->next) {
        if (ours != b && addresses_collide(&ours->listener, &b->listener)) {
            return true;
        }
    }
    return false;
}

/* The kernel takes two sockets whose addresses overlap only while both say
 * SO_REUSEPORT; afterwards the flag goes again, so that no stranger joins. */
static int bind_and_listen(const struct bound *b, struct bound *ours, int fd, const char **step)
{
    const struct listener *l = &b->listener;
    bool share = is_in_our_own_way(b, ours);
    int error = 0;

    if (share) {
        share_port(b, ours, fd, 1);
    }
    *step = "bind to";
    if (bind(fd, (const struct sockaddr *)&l->addr, l->addr_len) != 0) {
        error = errno;
    }
    else {
        *step = "listen on";
        error = listen(fd, l->backlog) != 0 ? errno : 0;
    }
    if (share) {
        share_port(b, ours, fd, 0);
    }
    return error;
}

/* A file that nobody answers behind is a dead server's. */
static void remove_stale_file(const struct listener *l)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&l->addr;
    struct stat st;
    int fd;

    if (lstat(un->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)&l->addr, l->addr_len) != 0 && errno == ECONNREFUSED) {
        (void)unlink(un->sun_path);
    }
    (void)close(fd);
}

static void finish_unix(struct bound *b)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&b->listener.addr;
    struct stat st;

    /* Who may connect is for the folder's permissions to say. */
    (void)chmod(un->sun_path, 0666);
    if (lstat(un->sun_path, &st) == 0) {
        b->dev = st.st_dev;
        b->inode = st.st_ino;
    }
}

static int open_once(struct bound *b, struct bound *ours, const char **step)
{
    int fd = -1, error;

    *step = "open a socket for";
    error = make_socket(&b->listener, &fd);
    if (error == 0) {
        if (b->listener.addr.ss_family == AF_UNIX) {
            remove_stale_file(&b->listener);
        }
        error = bind_and_listen(b, ours, fd, step);
    }
    if (error != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return error;
    }
    b->listener.fd = fd;
    if (b->listener.addr.ss_family == AF_UNIX) {
        finish_unix(b);
    }
    return 0;
}

int listener_open(struct bound *b, struct bound *ours, int64_t retry_ms, const char **step)
{
    const struct timespec pause = { 0, RETRY_NS };
    int64_t until = loop_now_ms() + retry_ms;
    int error;

    for (;;) {
        error = open_once(b, ours, step);
        if (error != EADDRINUSE || loop_now_ms() >= until) {
            return error;
        }
        (void)nanosleep(&pause, NULL);
    }
}

void listener_close(struct bound *b)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&b->listener.addr;
    struct stat st;

    if (activation_owns(b->listener.fd)) {
        b->listener.fd = -1;
        return;
    }
    if (b->listener.addr.ss_family == AF_UNIX && lstat(un->sun_path, &st) == 0 &&
        st.st_dev == b->dev && st.st_ino == b->inode) {
        (void)unlink(un->sun_path);
    }
    if (b->listener.fd >= 0) {
        (void)close(b->listener.fd);
        b->listener.fd = -1;
    }
}
