/* SPDX-License-Identifier: Apache-2.0 */
/* Socket activation without libsystemd. */
#include "master/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/addresses.h"
#include "util/check.h"
#include "util/log.h"

#define LOG_PART "master"

enum { FIRST_FD = 3, ACTIVATED_MAX = 256 };

static struct {
    int count;
    struct activated list[ACTIVATED_MAX];
    char *names; /* LISTEN_FDNAMES, cut at its colons */
} passed;

static int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

/* 0 or errno. */
static int describe(struct activated *a, int fd)
{
    struct listener *l = &a->listener;
    const int on = 1;

    memset(l, 0, sizeof(*l));
    l->fd = fd;
    l->addr_len = sizeof(l->addr);
    if (option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
        option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1) {
        return EINVAL;
    }
    if (getsockname(fd, (struct sockaddr *)&l->addr, &l->addr_len) != 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
        return errno;
    }
    if (!address_describe(l)) {
        return EAFNOSUPPORT;
    }
    a->dual = l->addr.ss_family == AF_INET6 && address_is_wildcard(l) &&
              option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    if (l->addr.ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    return 0;
}

static void take(int fd, const char *name)
{
    struct activated *a = &passed.list[passed.count];
    int error;

    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    error = passed.count == ACTIVATED_MAX ? ENOSPC : describe(a, fd);
    if (error != 0) {
        log_warning("INS01332",
                    "descriptor %d (%s) of LISTEN_FDS is not used: %s; only listening stream "
                    "sockets are",
                    fd, name, strerror(error));
        (void)close(fd);
        return;
    }
    a->name = name;
    passed.count++;
}

static long number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long value = text != NULL ? strtol(text, &end, 10) : 0;

    return text != NULL && end != text && *end == '\0' ? value : 0;
}

void activation_take_environment(void)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long count = number("LISTEN_PID") == (long)getpid() ? number("LISTEN_FDS") : 0;
    char *rest;

    passed.names = strdup(names != NULL ? names : "");
    rest = passed.names;
    for (long i = 0; i < count && i < 2 * (long)ACTIVATED_MAX; i++) {
        const char *name = rest != NULL ? strsep(&rest, ":") : NULL;

        take(FIRST_FD + (int)i, name != NULL ? name : "");
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

void activation_adopt(const struct listener *l, const char *name, bool dual)
{
    struct activated *a = &passed.list[passed.count];

    if (passed.count < ACTIVATED_MAX) {
        a->listener = *l;
        a->name = strdup(name);
        INS_CHECK(a->name != NULL);
        a->dual = dual;
        passed.count++;
    }
}

int activation_count(void)
{
    return passed.count;
}

const struct activated *activation_at(int i)
{
    return &passed.list[i];
}

const struct activated *activation_find(const struct listener *l)
{
    for (int i = 0; i < passed.count; i++) {
        const struct activated *a = &passed.list[i];

        if (addresses_equal(&a->listener, l) ||
            (a->dual && address_is_other_wildcard(&a->listener, l))) {
            return a;
        }
    }
    return NULL;
}

const struct activated *activation_named(const char *name, int *i)
{
    while (*i < passed.count) {
        const struct activated *a = &passed.list[(*i)++];

        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

bool activation_owns(int fd)
{
    for (int i = 0; i < passed.count; i++) {
        if (passed.list[i].listener.fd == fd) {
            return true;
        }
    }
    return false;
}
