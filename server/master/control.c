/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's server side: connections, their one line, their reply.
 * Each step is bounded, so that a client that says nothing, reads nothing or
 * goes away costs the master a slot for some seconds and no more.
 */
#include "master/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/conf.h"
#include "master/certs.h"
#include "master/control_state.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/reopen.h"
#include "master/report.h"
#include "master/socket_path.h"
#include "util/log.h"

#define LOG_PART "master"

enum { CLIENTS_MAX = 64, BACKLOG = 64 };

void control_drop(struct master *m, struct control_client *client)
{
    struct control_client **at;

    for (at = &m->control->clients; *at != NULL; at = &(*at)->next) {
        if (*at == client) {
            *at = client->next;
            m->control->client_count--;
            break;
        }
    }
    reload_forget_client(m, client);
    reopen_forget_client(m, client);
    certs_forget_client(m, client);
    timer_clear(&m->loop, &client->timer);
    source_close(&m->loop, &client->source);
    free(client->line);
    free(client->out);
    free(client);
}

void control_overdue(struct master *m, void *ctx)
{
    control_drop(m, ctx);
}

/* ---- Replies ----------------------------------------------------------- */

void control_send_more(struct master *m, struct control_client *client)
{
    while (client->out_sent < client->out_len) {
        ssize_t n = send(client->source.fd, client->out + client->out_sent,
                         client->out_len - client->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN) {
            (void)source_change(&m->loop, &client->source, EPOLLOUT);
            timer_set(&m->loop, &client->timer, loop_now_ms() + CONTROL_READ_MS, control_overdue,
                      client);
            return;
        }
        if (n < 0 && errno != EINTR) {
            break;
        }
        client->out_sent += n > 0 ? (size_t)n : 0;
    }
    control_drop(m, client);
}

void control_reply(struct master *m, struct control_client *client, int code, const char *text)
{
    size_t size = strlen(text) + 16;
    int len;

    client->out = malloc(size);
    if (client->out == NULL) {
        control_drop(m, client);
        return;
    }
    len = snprintf(client->out, size, "%d\n%s", code, text);
    client->out_len = (size_t)len;
    control_send_more(m, client);
}

void control_reply_outcome(struct master *m, struct control_client *client,
                           const struct outcome *outcome)
{
    const char *text = client->json ? report_json(outcome, outcome->pool)
                                    : report_text(outcome, client->colour, outcome->pool);

    control_reply(m, client, outcome->ok ? 0 : 1, text);
}

/* ---- Requests ---------------------------------------------------------- */

void control_take_line(struct master *m, struct control_client *client)
{
    char *end = memchr(client->in, '\n', client->in_len);

    if (end == NULL) {
        if (client->in_len == sizeof(client->in) - 1) {
            control_drop(m, client);
        }
        return;
    }
    *end = '\0';
    client->asked = true;
    client->line = strdup(client->in);
    timer_clear(&m->loop, &client->timer);
    (void)source_change(&m->loop, &client->source, EPOLLRDHUP);
    control_run(m, client);
}

static void read_request(struct master *m, struct control_client *client)
{
    ssize_t n = recv(client->source.fd, client->in + client->in_len,
                     sizeof(client->in) - 1 - client->in_len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        control_drop(m, client);
        return;
    }
    client->in_len += (size_t)n;
    control_take_line(m, client);
}

void control_client_ready(struct master *m, void *ctx, uint32_t events)
{
    struct control_client *client = ctx;

    if (client->out != NULL && (events & EPOLLOUT)) {
        control_send_more(m, client);
    }
    else if (client->asked) {
        control_drop(m, client); /* it has stopped waiting */
    }
    else {
        read_request(m, client);
    }
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

/* Out of descriptors: a client that stays in the queue would wake the loop for
 * ever, so it is let in on the spare one and turned away. */
static void turn_away(struct control *control, int door)
{
    int fd;

    (void)close(control->spare);
    fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        (void)close(fd);
    }
    control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void control_accept_ready(struct master *m, void *ctx, uint32_t events)
{
    struct control *control = m->control;
    struct control_client *client;
    const struct source *door = ctx;
    int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            turn_away(control, door->fd);
        }
        return;
    }
    client =
        control->client_count < CLIENTS_MAX && is_allowed(fd) ? calloc(1, sizeof(*client)) : NULL;
    if (client == NULL ||
        source_add(&m->loop, &client->source, fd, EPOLLIN, control_client_ready, client) != 0) {
        free(client);
        (void)close(fd);
        return;
    }
    client->next = control->clients;
    control->clients = client;
    control->client_count++;
    timer_set(&m->loop, &client->timer, loop_now_ms() + CONTROL_ASK_MS, control_overdue, client);
}

/* ---- The socket -------------------------------------------------------- */

/* Who holds the pid file may take the place of a socket that nobody answers. */
static int clear_way(const struct sockaddr_un *un)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd < 0 ? errno : 0;

    if (fd >= 0) {
        bool answered = connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0;

        if (answered ? socket_peer_has_ended(fd) : errno == ECONNREFUSED) {
            (void)unlink(un->sun_path);
        }
        else if (answered || errno == EAGAIN) {
            error = EEXIST;
        }
        (void)close(fd);
    }
    return error;
}

static int bind_private(int *fd, const struct sockaddr_un *un)
{
    mode_t before;
    int error;

    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return errno;
    }
    /* The mode is there from the first moment, not after a chmod(). */
    before = umask(0177);
    error = bind(*fd, (const struct sockaddr *)un, sizeof(*un)) != 0 ? errno : 0;
    (void)umask(before);
    if (error == 0 && listen(*fd, BACKLOG) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)close(*fd);
    }
    return error;
}

static int open_socket(struct control *control, const char *path, int *fd)
{
    struct sockaddr_un un;
    struct stat st;
    int folder, error = socket_path(path, &un, &folder);

    if (error != 0) {
        return error;
    }
    error = clear_way(&un);
    error = error == 0 ? bind_private(fd, &un) : error;
    if (folder >= 0) {
        (void)close(folder);
    }
    if (error != 0) {
        return error;
    }
    (void)snprintf(control->path, sizeof(control->path), "%s", path);
    control->owner = getpid();
    if (lstat(path, &st) == 0) {
        control->dev = st.st_dev;
        control->inode = st.st_ino;
    }
    return 0;
}

static void close_socket(struct master *m)
{
    struct control *control = m->control;
    struct stat st;

    source_close(&m->loop, &control->source);
    if (control->owner == getpid() && lstat(control->path, &st) == 0 && st.st_dev == control->dev &&
        st.st_ino == control->inode) {
        (void)unlink(control->path);
    }
}

/* Best effort: the name may be taken, by a server that was started before or
 * by a stranger. */
static void open_by_config(struct master *m, const char *config)
{
    struct control *control = m->control;
    struct sockaddr_un un;
    socklen_t len = socket_path_of_config(config, &m->options->conf, geteuid(), &un);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return;
    }
    if (bind(fd, (const struct sockaddr *)&un, len) != 0 || listen(fd, BACKLOG) != 0 ||
        source_add(&m->loop, &control->by_config, fd, EPOLLIN, control_accept_ready,
                   &control->by_config) != 0) {
        control->by_config.fd = -1;
        (void)close(fd);
    }
}

int control_open(struct master *m, const char *path, const char *config)
{
    struct control *control = calloc(1, sizeof(*control));
    int fd = -1, error = control == NULL ? ENOMEM : open_socket(control, path, &fd);

    if (error == 0) {
        m->control = control;
        error = source_add(&m->loop, &control->source, fd, EPOLLIN, control_accept_ready,
                           &control->source);
    }
    if (error != 0) {
        m->control = NULL;
        free(control);
        return error;
    }
    control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    control->by_config.fd = -1;
    open_by_config(m, config);
    return 0;
}

void control_close(struct master *m)
{
    struct control_client *client, *next;

    if (m->control == NULL) {
        return;
    }
    close_socket(m);
    source_close(&m->loop, &m->control->by_config);
    for (client = m->control->clients; client != NULL; client = next) {
        next = client->next;
        if (client->for_end) {
            control_reply(m, client, 0, report_stopped(client->json, "stopped\n"));
        }
        else {
            control_drop(m, client);
        }
    }
    while (m->control->clients != NULL) {
        control_drop(m, m->control->clients);
    }
    (void)close(m->control->spare);
    free(m->control);
    m->control = NULL;
}

static void follow_socket(struct master *m, const char *path)
{
    struct control fresh = { .source = { .fd = -1 } };
    int fd = -1, error;

    if (strcmp(path, m->control->path) == 0) {
        return;
    }
    error = open_socket(&fresh, path, &fd);
    if (error != 0) {
        log_error("INS01116", "ControlSocket %s: %s; %s is used on", path, strerror(error),
                  m->control->path);
        return;
    }
    close_socket(m);
    memcpy(m->control->path, fresh.path, sizeof(fresh.path));
    m->control->dev = fresh.dev;
    m->control->inode = fresh.inode;
    if (source_add(&m->loop, &m->control->source, fd, EPOLLIN, control_accept_ready,
                   &m->control->source) != 0) {
        (void)close(fd);
        m->control->source.fd = -1;
    }
}

static void follow_pid_file(struct master *m, const char *path)
{
    struct pid_file *fresh;
    pid_t other;
    bool stale;
    int error;

    if (strcmp(path, pidfile_path(m->pid_file)) == 0) {
        return;
    }
    fresh = pidfile_claim(path, &error, &other, &stale);
    if (fresh == NULL) {
        log_error("INS01117", "PidFile %s: %s; %s is used on", path, strerror(error),
                  pidfile_path(m->pid_file));
        return;
    }
    pidfile_release(m->pid_file);
    m->pid_file = fresh;
}

void control_follow(struct master *m, const struct conf *conf)
{
    if (m->control == NULL || m->pid_file == NULL) {
        return;
    }
    if (strcmp(conf->process.control_socket, m->control->path) == 0 &&
        strcmp(conf->process.pid_file, pidfile_path(m->pid_file)) == 0) {
        return;
    }
    follow_socket(m, conf->process.control_socket);
    follow_pid_file(m, conf->process.pid_file);
    (void)pidfile_note_control(m->pid_file, m->control->path);
}
