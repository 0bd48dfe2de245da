/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit that a server on this machine can reach: one thread, one epoll,
 * a canned answer for each empty line that comes in. It parses nothing; the
 * benchmark prints it beside the real servers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n"
                             "Content-Type: text/plain\r\n\r\nHello, World!\n";
enum { ANSWER = sizeof(answer) - 1, BATCH = 64, EVENTS = 256 };

static int listen_on(unsigned short port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 4096) < 0) {
        exit(EXIT_FAILURE);
    }
    return fd;
}

static bool serve(int fd)
{
    static char out[BATCH * ANSWER];
    char in[16384];
    ssize_t n = recv(fd, in, sizeof(in) - 1, 0);
    const char *at = in;
    size_t len = 0;
    bool close_after;

    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    in[n] = '\0';
    close_after = strstr(in, "Connection: close") != NULL;
    while ((at = strstr(at, "\r\n\r\n")) != NULL && len < sizeof(out)) {
        memcpy(out + len, answer, ANSWER);
        len += ANSWER;
        at += 4;
    }
    return send(fd, out, len, MSG_NOSIGNAL) > 0 && !close_after;
}

static void accept_all(int ep, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.fd = fd };

        (void)epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    }
}

int main(int argc, char **argv)
{
    int listener = listen_on((unsigned short)(argc > 1 ? strtol(argv[1], NULL, 10) : 9555));
    int ep = epoll_create1(0);
    struct epoll_event events[EVENTS];
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener };

    (void)epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_all(ep, listener);
            }
            else if (!serve(events[i].data.fd)) {
                (void)close(events[i].data.fd);
            }
        }
    }
}
