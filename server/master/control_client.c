/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a running server. It must be found in bad times too: when the config
 * no longer parses, or names another socket than the one the server was
 * started with. So the pid file is asked first, then the places beside it.
 */
#include "master/control_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/pidfile.h"
#include "master/socket_path.h"
#include "master/verbs.h"
#include "util/diag.h"

enum { REPLY_MAX = 16 << 20, POLL_NS = 10 * 1000 * 1000 };

static int connect_to(const char *path, int *fd)
{
    struct sockaddr_un un;
    int folder, error = socket_path(path, &un, &folder);

    if (error != 0) {
        return error;
    }
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0 || connect(*fd, (const struct sockaddr *)&un, sizeof(un)) != 0) {
        error = errno;
    }
    else if (socket_peer_has_ended(*fd)) {
        error = ECONNREFUSED; /* nobody would ever answer */
    }
    if (error != 0 && *fd >= 0) {
        (void)close(*fd);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return error;
}

/* Only root or we ourselves may answer under a name that anybody can take. */
static bool is_trusted(int fd, pid_t *pid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        return false;
    }
    *pid = peer.pid;
    return true;
}

static int connect_by_config(const struct whereabouts *w, uid_t uid, int *fd, pid_t *pid)
{
    struct sockaddr_un un;
    socklen_t len = socket_path_of_config(w->config, w->options, uid, &un);
    int error = 0;

    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return errno;
    }
    if (connect(*fd, (const struct sockaddr *)&un, len) != 0) {
        error = errno;
    }
    else if (!is_trusted(*fd, pid)) {
        error = EPERM;
    }
    else if (socket_peer_has_ended(*fd)) {
        *pid = 0;
        error = ECONNREFUSED;
    }
    if (error != 0) {
        (void)close(*fd);
    }
    return error;
}

static int reach_by_config(const struct whereabouts *w, int *fd, pid_t *pid)
{
    int error = connect_by_config(w, geteuid(), fd, pid);

    return error != 0 && geteuid() != 0 ? connect_by_config(w, 0, fd, pid) : error;
}

void whereabouts_find(struct whereabouts *w, const struct conf_options *options, apr_pool_t *pool)
{
    struct conf *conf = NULL;
    int fd;

    /* What is wrong with the text is for others to say. */
    conf_read(&conf, options, diags_create(pool), pool);
    w->options = options;
    w->config = conf->path;
    w->pid_file = conf->process.pid_file;
    w->control_socket = conf->process.control_socket;
    w->by_config = false;
    w->pid = pidfile_holder(w->pid_file);
    if (w->pid == 0 && reach_by_config(w, &fd, &w->pid) == 0) {
        w->by_config = true;
        (void)close(fd);
    }
}

/* The place that the server itself has noted comes first: the config may have
 * been changed since. */
static int reach(const struct whereabouts *w, int *fd)
{
    char noted[PATH_MAX];
    pid_t pid;

    if (w->by_config) {
        return reach_by_config(w, fd, &pid);
    }
    if (pidfile_control(w->pid_file, noted, sizeof(noted)) && connect_to(noted, fd) == 0) {
        return 0;
    }
    return connect_to(w->control_socket, fd);
}

static int send_line(int fd, const char *request, apr_pool_t *pool)
{
    const char *line = apr_pstrcat(pool, request, "\n", NULL);
    size_t len = strlen(line), sent = 0;

    while (sent < len) {
        ssize_t n = send(fd, line + sent, len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        sent += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int read_all(int fd, char **text, apr_pool_t *pool)
{
    size_t size = 65536, used = 0;
    char *buf = apr_palloc(pool, size);

    for (;;) {
        ssize_t n = recv(fd, buf + used, size - used - 1, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        used += (size_t)n;
        if (used + 1 == size) {
            char *larger = apr_palloc(pool, size * 2);

            if (size >= REPLY_MAX) {
                return EMSGSIZE;
            }
            memcpy(larger, buf, used);
            buf = larger;
            size *= 2;
        }
    }
    buf[used] = '\0';
    *text = buf;
    return 0;
}

static int parse(const char *text, struct control_answer *answer)
{
    char *end;
    long code = strtol(text, &end, 10);

    if (end == text || *end != '\n' || code < 0 || code > VERB_ELSEWHERE) {
        return ECONNRESET; /* it died in the middle of its answer */
    }
    answer->code = (int)code;
    answer->text = end + 1;
    return 0;
}

int control_ask(const struct whereabouts *w, const char *request, struct control_answer *answer,
                apr_pool_t *pool)
{
    char *text = apr_pstrdup(pool, "");
    int fd = -1, error = reach(w, &fd);

    if (error != 0) {
        return error;
    }
    error = send_line(fd, request, pool);
    error = error == 0 ? read_all(fd, &text, pool) : error;
    (void)close(fd);
    return error == 0 ? parse(text, answer) : error;
}

static bool poll_gone(pid_t pid, int timeout_ms)
{
    const struct timespec pause = { 0, POLL_NS };

    for (int waited = 0; kill(pid, 0) == 0 || errno == EPERM; waited += POLL_NS / 1000000) {
        if (waited >= timeout_ms) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

bool control_wait_gone(pid_t pid, int timeout_ms)
{
    struct pollfd p = { .events = POLLIN };
    int n;

    if (pid <= 0) {
        return true;
    }
    p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (p.fd < 0) {
        return errno == ESRCH || poll_gone(pid, timeout_ms);
    }
    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    (void)close(p.fd);
    return n > 0;
}
