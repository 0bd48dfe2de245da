/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master knows no HTTP, and needs little of it here: it writes one request,
 * reads until the other side closes or enough has come, and compares a number.
 * What comes is gossip: bounded, and printed as if it were poison.
 */
#include "master/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "ipc/ipc.h"
#include "master/generations.h"
#include "master/reload.h"
#include "util/check.h"
#include "util/diag.h"

enum { ANSWER_MAX = 16 * 1024, BODY_SHOWN = 200 };

struct probe {
    int index; /* of the one that is put */
    struct source source;
    size_t length;
    char answer[ANSWER_MAX + 1];
};

static const struct conf_probe *current(const struct job *job)
{
    return &APR_ARRAY_IDX(job->manifest->conf->process.probes, job->probe->index,
                          const struct conf_probe);
}

const char *probe_words(const struct job *job, apr_pool_t *pool)
{
    return job->probe != NULL
               ? apr_pstrcat(pool, current(job)->method, " ", current(job)->path, NULL)
               : NULL;
}

/* ---- The answer ------------------------------------------------------------ */

/* 0 where no whole status line has come. */
static int status_of(const struct probe *probe)
{
    const char *text = probe->answer;

    if (strncmp(text, "HTTP/1.", 7) != 0 || strchr(text, '\n') == NULL || text[8] != ' ') {
        return 0;
    }
    return (int)strtol(text + 9, NULL, 10);
}

/* The body's first bytes on one line. */
static const char *body_words(const struct probe *probe, apr_pool_t *pool)
{
    const char *body = strstr(probe->answer, "\r\n\r\n");
    char *text = body != NULL ? apr_pstrndup(pool, body + 4, BODY_SHOWN) : NULL;

    for (char *at = text; at != NULL && *at != '\0'; at++) {
        *at = *at < ' ' || *at > '~' ? ' ' : *at;
    }
    return text != NULL && *text != '\0' ? apr_pstrcat(pool, ": ", text, NULL) : "";
}

static void refuse(struct job *job, const char *what)
{
    const struct conf_probe *asked = current(job);

    conf_report(job->outcome->diags, DIAG_PROBE, DIAG_ERROR, asked->node, -1,
                "%s %s was to be answered with %d: %s", asked->method, asked->path, asked->status,
                what);
}

static void put(struct master *m, struct job *job);

/* ended: the other side has closed; else its time is over. */
static void judge(struct master *m, struct job *job, bool ended)
{
    const struct conf_probe *asked = current(job);
    struct probe *probe = job->probe;
    apr_pool_t *pool = job->outcome->pool;
    int status = status_of(probe);

    timer_clear(&m->loop, &job->timer);
    source_close(&m->loop, &probe->source);
    if (status == asked->status) {
        probe->index++;
        put(m, job);
        return;
    }
    if (status != 0) {
        refuse(job, apr_psprintf(pool, "the new generation answered with %d%s", status,
                                 body_words(probe, pool)));
    }
    else if (ended) {
        refuse(job, "the new generation closed the connection without an answer");
    }
    else {
        refuse(job, apr_psprintf(pool, "the new generation did not answer within %ld ms",
                                 (long)asked->timeout));
    }
    reload_probed(m, false);
}

static void overdue(struct master *m, void *ctx)
{
    judge(m, ctx, false);
}

static void readable(struct master *m, void *ctx, uint32_t events)
{
    struct job *job = ctx;
    struct probe *probe = job->probe;
    ssize_t n =
        recv(probe->source.fd, probe->answer + probe->length, ANSWER_MAX - probe->length, 0);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n > 0) {
        probe->length += (size_t)n;
        probe->answer[probe->length] = '\0';
    }
    if (n <= 0 || probe->length == ANSWER_MAX) {
        judge(m, job, true);
    }
}

/* ---- The question ------------------------------------------------------------ */

/* The first Listen's address, as a client would write it. */
static const char *host_of(const struct job *job, apr_pool_t *pool)
{
    const struct conf_process *process = &job->manifest->conf->process;
    const char *host = process->listens->nelts > 0
                           ? APR_ARRAY_IDX(process->listens, 0, const struct conf_listen).host
                           : "*";

    if (current(job)->host != NULL) {
        return current(job)->host;
    }
    if (strcmp(host, "*") == 0 || strncmp(host, "unix:", 5) == 0 || strcmp(host, "::") == 0 ||
        strcmp(host, "0.0.0.0") == 0) {
        return "localhost";
    }
    return strchr(host, ':') != NULL ? apr_pstrcat(pool, "[", host, "]", NULL) : host;
}

static bool send_request(struct job *job, int fd)
{
    const struct conf_probe *asked = current(job);
    apr_pool_t *pool = job->outcome->pool;
    const char *request = apr_psprintf(
        pool,
        "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Instar-Probe\r\n%sConnection: close\r\n\r\n",
        asked->method, asked->path, host_of(job, pool),
        strcmp(asked->method, "POST") == 0 || strcmp(asked->method, "PUT") == 0
            ? "Content-Length: 0\r\n"
            : "");
    size_t length = strlen(request);

    /* Shorter than any socket's buffer: LimitRequestLine of a probe is the reader's. */
    return send(fd, request, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* One end goes to a worker, which takes it for a connection. */
static bool open_connection(struct master *m, struct job *job)
{
    struct probe *probe = job->probe;
    int pair[2];
    bool sent;

    if (job->gen->workers == NULL ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        return false;
    }
    sent = send_request(job, pair[0]) &&
           source_add(&m->loop, &probe->source, pair[0], EPOLLIN, readable, job) == 0;
    if (sent) {
        worker_send(job->gen->workers, IPC_PROBE, NULL, 0, &pair[1]);
    }
    else {
        (void)close(pair[0]);
    }
    (void)close(pair[1]);
    return sent;
}

/* The next one; at the end of the list all is well. */
static void put(struct master *m, struct job *job)
{
    if (job->probe->index == job->manifest->conf->process.probes->nelts) {
        probe_end(m, job);
        reload_probed(m, true);
        return;
    }
    job->probe->length = 0;
    job->probe->answer[0] = '\0';
    if (!open_connection(m, job)) {
        refuse(job, "it could not be put to the new generation");
        reload_probed(m, false);
        return;
    }
    timer_set(&m->loop, &job->timer, loop_now_ms() + current(job)->timeout, overdue, job);
}

bool probe_begin(struct master *m, struct job *job)
{
    if (job->kind == JOB_SUCCESSOR || job->manifest->conf->process.probes->nelts == 0) {
        return false;
    }
    job->step = STEP_PROBING;
    generation_set_life(m, job->gen, GEN_PROBING);
    job->probe = calloc(1, sizeof(*job->probe));
    INS_CHECK(job->probe != NULL);
    job->probe->source.fd = -1;
    put(m, job);
    return true;
}

void probe_end(struct master *m, struct job *job)
{
    if (job->probe != NULL) {
        source_close(&m->loop, &job->probe->source);
        free(job->probe);
        job->probe = NULL;
    }
}
