/* SPDX-License-Identifier: Apache-2.0 */
#include "master/reopen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "config/logs.h"
#include "ipc/reopen.h"
#include "master/control.h"
#include "master/log_commands.h"
#include "master/memory.h"
#include "master/verbs.h"
#include "util/json_out.h"
#include "util/log.h"

#define LOG_PART "master"

enum { AGAIN_MS = 5 };

struct reopen {
    apr_pool_t *pool;
    uint64_t number;
    apr_hash_t *files; /* key -> int *: the new descriptor */
    int count;
    apr_array_header_t *problems;   /* const char * */
    struct control_client *clients; /* by next_waiting */
    struct control_client *later;   /* those who asked while this one was on its way */
    struct timer timer;
    int64_t deadline;
};

/* ---- Opening ------------------------------------------------------------ */

static void open_one(struct reopen *r, const char *key)
{
    int *fd;

    if (apr_hash_get(r->files, key, APR_HASH_KEY_STRING) != NULL) {
        return;
    }
    fd = apr_palloc(r->pool, sizeof(*fd));
    *fd = logs_open_file(key);
    if (*fd < 0) {
        APR_ARRAY_PUSH(r->problems, const char *) = apr_psprintf(
            r->pool, "%s: cannot be opened for writing: %s; the old file is written on", key,
            strerror(errno));
    }
    else {
        r->count++;
    }
    apr_hash_set(r->files, apr_pstrdup(r->pool, key), APR_HASH_KEY_STRING, fd);
}

static int new_file(const struct reopen *r, const char *key)
{
    const int *fd = apr_hash_get(r->files, key, APR_HASH_KEY_STRING);

    return fd != NULL ? *fd : -1;
}

static void open_all(const struct master *m, struct reopen *r)
{
    for (const struct generation *gen = m->generations; gen != NULL; gen = gen->next) {
        for (int i = 0; gen->logs != NULL && i < gen->logs->count; i++) {
            if (gen->logs->list[i].is_file) {
                open_one(r, gen->logs->list[i].key);
            }
        }
    }
}

static void replace_in(const struct manifest *manifest, const struct reopen *r)
{
    for (int i = 0; manifest != NULL && i < manifest->logs->count; i++) {
        const char *key = manifest->logs->list[i].path;
        int fd = new_file(r, key);

        if (fd >= 0) {
            (void)logs_replace(manifest->logs, key, fd);
        }
    }
}

/* What successors and later generations inherit, and what the master itself writes. */
static void replace_ours(const struct master *m, const struct reopen *r)
{
    int fd = new_file(r, log_sink_name());

    for (const struct generation *gen = m->generations; gen != NULL; gen = gen->next) {
        replace_in(gen->manifest, r);
    }
    if (m->job != NULL) {
        replace_in(m->job->manifest, r);
    }
    if (fd >= 0) {
        log_replace(fd);
    }
}

/* ---- Sending ------------------------------------------------------------ */

/* The next of the logs in hold, from *sent on. False: all of them are on their way. */
static bool fill(const struct reopen *r, const struct log_hold *hold, int *sent,
                 struct ipc_reopen_out *out)
{
    out->head = (struct ipc_reopen){ .number = r->number };
    out->used = 0;
    while (hold != NULL && *sent < hold->count) {
        const char *key = hold->list[*sent].key;
        int fd = new_file(r, key);

        if (fd >= 0 && !ipc_reopen_add(out, key, fd)) {
            return true;
        }
        ++*sent;
    }
    out->head.last = 1;
    return false;
}

/* *sent is one past the hold's last when all is said. */
static void send_to(const struct reopen *r, int pair, const struct generation *gen, int *sent)
{
    static struct ipc_reopen_out out;
    int end = gen->logs != NULL ? gen->logs->count : 0;

    while (*sent <= end) {
        int next = *sent;
        bool more = fill(r, gen->logs, &next, &out);

        if (ipc_reopen_send(pair, gen->number, &out) == APR_EAGAIN) {
            return;
        }
        *sent = more ? next : end + 1;
    }
}

/* A process that is gone needs nothing. */
static bool generation_done(const struct reopen *r, struct generation *gen)
{
    if (!gen->alive || gen->source.fd < 0 || gen->reopened == r->number) {
        return true;
    }
    send_to(r, gen->source.fd, gen, &gen->reopen_sent);
    return false;
}

static bool worker_done(const struct reopen *r, struct worker_pair *w)
{
    if (w->reopened == r->number) {
        return true;
    }
    send_to(r, w->source.fd, w->gen, &w->reopen_sent);
    return false;
}

/* How many have not answered yet; *who is one of them. */
static int pending(const struct master *m, const struct reopen *r, const char **who,
                   apr_pool_t *pool)
{
    int count = 0;

    for (struct generation *gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->number == CHECK_NUMBER) {
            continue;
        }
        if (!generation_done(r, gen)) {
            count++;
            *who = pool ? apr_psprintf(pool, "generation %" APR_UINT64_T_FMT, gen->number) : NULL;
        }
        for (struct worker_pair *w = gen->workers; w != NULL; w = w->next) {
            if (!worker_done(r, w)) {
                count++;
                *who = pool ? apr_psprintf(pool, "worker %" APR_UINT64_T_FMT ".%u", gen->number,
                                           w->index)
                            : NULL;
            }
        }
    }
    return count;
}

/* ---- Answering ---------------------------------------------------------- */

static const char *words_text(const struct reopen *r)
{
    const char *text = "";

    for (int i = 0; i < r->problems->nelts; i++) {
        text = apr_pstrcat(r->pool, text, APR_ARRAY_IDX(r->problems, i, const char *), "\n", NULL);
    }
    return apr_psprintf(r->pool, "%s%d log file%s opened anew\n", text, r->count,
                        r->count == 1 ? "" : "s");
}

static const char *words_json(const struct reopen *r)
{
    struct jout *j = jout_create(r->pool);

    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, r->problems->nelts == 0);
    jout_key(j, "reopened");
    jout_int(j, r->count);
    jout_key(j, "errors");
    jout_array_begin(j);
    for (int i = 0; i < r->problems->nelts; i++) {
        jout_string(j, APR_ARRAY_IDX(r->problems, i, const char *));
    }
    jout_array_end(j);
    jout_object_end(j);
    return apr_pstrcat(r->pool, jout_text(j, NULL), "\n", NULL);
}

static void answer(struct master *m, struct control_client *clients, const struct reopen *r)
{
    int code = r->problems->nelts == 0 ? VERB_DONE : VERB_REFUSED;

    while (clients != NULL) {
        struct control_client *client = clients;

        clients = client->next_waiting;
        client->next_waiting = NULL;
        control_reply(m, client, code, client->json ? words_json(r) : words_text(r));
    }
}

static void close_files(const struct reopen *r)
{
    for (apr_hash_index_t *i = apr_hash_first(r->pool, r->files); i != NULL; i = apr_hash_next(i)) {
        void *fd;

        apr_hash_this(i, NULL, NULL, &fd);
        if (*(int *)fd >= 0) {
            (void)close(*(int *)fd);
        }
    }
}

/* ---- One of them -------------------------------------------------------- */

static void again(struct master *m, void *ctx)
{
    (void)ctx;
    reopen_check(m);
}

static void begin(struct master *m, struct control_client *clients)
{
    apr_pool_t *pool = memory_pool(0);
    struct reopen *r = apr_pcalloc(pool, sizeof(*r));

    r->pool = pool;
    r->number = ++m->last_reopen;
    r->files = apr_hash_make(pool);
    r->problems = apr_array_make(pool, 4, sizeof(const char *));
    r->clients = clients;
    r->deadline = loop_now_ms() + REOPEN_MS;
    for (struct generation *gen = m->generations; gen != NULL; gen = gen->next) {
        gen->reopen_sent = 0;
        for (struct worker_pair *w = gen->workers; w != NULL; w = w->next) {
            w->reopen_sent = 0;
        }
    }
    open_all(m, r);
    replace_ours(m, r);
    log_notice("INS01240", "log files are opened anew: %d", r->count);
    m->reopen = r;
    reopen_check(m);
}

static void end(struct master *m)
{
    struct reopen *r = m->reopen;
    struct control_client *later = r->later;

    m->reopen = NULL;
    timer_clear(&m->loop, &r->timer);
    for (int i = 0; i < r->problems->nelts; i++) {
        log_error("INS01241", "reopen: %s", APR_ARRAY_IDX(r->problems, i, const char *));
    }
    answer(m, r->clients, r);
    close_files(r);
    apr_pool_destroy(r->pool);
    if (later != NULL) {
        begin(m, later);
    }
}

void reopen_check(struct master *m)
{
    struct reopen *r = m->reopen;
    const char *who = NULL;
    bool late;
    int left;

    if (r == NULL) {
        return;
    }
    late = loop_now_ms() >= r->deadline;
    left = pending(m, r, &who, late ? r->pool : NULL);
    if (left > 0 && !late) {
        timer_set(&m->loop, &r->timer, loop_now_ms() + AGAIN_MS, again, NULL);
        return;
    }
    if (left > 0) {
        APR_ARRAY_PUSH(r->problems, const char *) = apr_psprintf(
            r->pool, "%d processes may still write to the old files (%s is one)", left, who);
    }
    end(m);
}

void reopen_request(struct master *m, struct control_client *client)
{
    if (m->reopen != NULL) {
        client->next_waiting = m->reopen->later;
        m->reopen->later = client;
        return;
    }
    client->next_waiting = NULL;
    begin(m, client);
}

static void forget_in(struct control_client **list, const struct control_client *client)
{
    for (; *list != NULL; list = &(*list)->next_waiting) {
        if (*list == client) {
            *list = client->next_waiting;
            return;
        }
    }
}

void reopen_forget_client(struct master *m, struct control_client *client)
{
    if (m->reopen != NULL) {
        forget_in(&m->reopen->clients, client);
        forget_in(&m->reopen->later, client);
    }
}

void reopen_abandon(struct master *m)
{
    struct reopen *r = m->reopen;

    if (r != NULL) {
        APR_ARRAY_PUSH(r->problems, const char *) = "the server was stopped";
        answer(m, r->later, r);
        r->later = NULL;
        end(m);
    }
}
