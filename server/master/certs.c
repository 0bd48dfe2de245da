/* SPDX-License-Identifier: Apache-2.0 */
/* A round: files are read, sent, judged elsewhere, and whoever asked is answered. */
#include "master/certs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "ipc/ipc.h"
#include "master/control.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/report.h"
#include "master/verbs.h"
#include "util/bundle.h"
#include "util/diag.h"
#include "util/json_out.h"
#include "util/log.h"

#define LOG_PART "master"

enum { ROUND_MS = 30000 };

/* What came of a round. */
struct result {
    bool ok;
    uint64_t generation;
    int64_t ms;
    struct ipc_certs_done done;
    struct diags *diags;
};

/* ---- The answer ----------------------------------------------------------- */

static const char *result_line(const struct result *r, apr_pool_t *pool)
{
    if (!r->ok) {
        return apr_psprintf(pool, "certificates not renewed: %u error%s; the old ones serve on",
                            r->diags->errors, r->diags->errors == 1 ? "" : "s");
    }
    return apr_psprintf(pool,
                        "certificates: %u renewed, %u unchanged, in %u worker%s of generation "
                        "%" PRIu64 " (%" PRId64 " ms)",
                        r->done.renewed, r->done.unchanged, r->done.workers,
                        r->done.workers == 1 ? "" : "s", r->generation, r->ms);
}

static const char *result_text(const struct result *r, bool colour, apr_pool_t *pool)
{
    return apr_pstrcat(pool, diags_text(r->diags, colour, pool), result_line(r, pool), "\n", NULL);
}

static void number(struct jout *j, const char *name, uint64_t value)
{
    jout_key(j, name);
    jout_uint(j, value);
}

static const char *result_json(const struct result *r, apr_pool_t *pool)
{
    struct jout *j = jout_create(pool);

    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, r->ok);
    number(j, "generation", r->generation);
    number(j, "renewed", r->done.renewed);
    number(j, "unchanged", r->done.unchanged);
    number(j, "workers", r->done.workers);
    number(j, "ms", (uint64_t)r->ms);
    if (!r->ok) {
        report_diags(j, "errors", r->diags, DIAG_ERROR);
    }
    if (r->diags->warnings > 0) {
        report_diags(j, "warnings", r->diags, DIAG_WARNING);
    }
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
}

static void answer(struct master *m, struct control_client *client, const struct result *r,
                   apr_pool_t *pool)
{
    control_reply(m, client, r->ok ? VERB_DONE : VERB_REFUSED,
                  client->json ? result_json(r, pool) : result_text(r, client->colour, pool));
}

static void log_result(const struct result *r, bool watched, apr_pool_t *pool)
{
    char *rest = NULL, *line;

    if (r->ok && (r->done.renewed > 0 || !watched)) {
        log_notice("INS01252", "%s", result_line(r, pool));
    }
    if (r->ok) {
        return;
    }
    for (line = apr_strtok(apr_pstrdup(pool, diags_text(r->diags, false, pool)), "\n", &rest);
         line != NULL; line = apr_strtok(NULL, "\n", &rest)) {
        log_error("INS01253", "%s", line);
    }
    log_error("INS01254", "%s", result_line(r, pool));
}

/* ---- The end of a round ---------------------------------------------------- */

static void end(struct master *m, struct result *r, apr_pool_t *pool)
{
    struct certs *c = &m->certs;
    struct control_client *client;
    bool watched = c->watched;
    /* key and certificate may arrive one after the other */
    bool quiet = watched && !c->last && !r->ok;

    timer_clear(&m->loop, &c->timer);
    r->ms = loop_now_ms() - c->began;
    c->running = c->watched = c->last = false;
    if (quiet) {
        log_debug("INS01255", "the certificates' files do not fit yet: %s",
                  r->diags->first != NULL ? r->diags->first->message : "no reason given");
    }
    else {
        log_result(r, watched, pool);
    }
    while ((client = c->clients) != NULL) {
        c->clients = client->next_waiting;
        client->next_waiting = NULL;
        answer(m, client, r, pool);
    }
    apr_pool_destroy(pool);
    if (watched) {
        certs_watched_round_over(m, r->ok);
    }
    certs_next(m);
}

static void fail(struct master *m, const char *words)
{
    apr_pool_t *pool = memory_pool(0);
    struct result r = { .generation = m->certs.generation, .diags = diags_create(pool) };

    diags_add(r.diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "%s", words);
    end(m, &r, pool);
}

static void overdue(struct master *m, void *ctx)
{
    (void)ctx;
    fail(m, "the generation did not take the certificates in time");
}

void certs_done(struct master *m, struct generation *gen, const struct ipc_certs_done *done,
                int diags_fd)
{
    apr_pool_t *pool;
    struct result r = { .ok = done->ok == 1, .generation = gen->number, .done = *done };

    if (!m->certs.running || gen->number != m->certs.generation ||
        done->number != m->certs.number) {
        return; /* of a round that was given up */
    }
    pool = memory_pool(0);
    r.diags = diags_create(pool);
    if (diags_read(r.diags, diags_fd) != 0 || (!r.ok && r.diags->errors == 0)) {
        diags_add(r.diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "no reason was given");
        r.ok = false;
    }
    end(m, &r, pool);
}

void certs_generation_gone(struct master *m, const struct generation *gen)
{
    if (m->certs.running && gen->number == m->certs.generation) {
        fail(m, "the generation's process has died; its successor reads the files anew");
    }
}

/* ---- Its beginning ------------------------------------------------------------ */

static int send_files(struct master *m)
{
    apr_pool_t *pool = memory_pool(0);
    const apr_array_header_t *files = certs_files(m->serving->manifest->conf, pool);
    struct ipc_certs order = { .number = ++m->certs.number };
    int fd, error = bundle_make(&fd, (const char *const *)(const void *)files->elts, files->nelts);

    if (error == 0) {
        error = ipc_send(m->serving->source.fd, m->serving->number, IPC_GEN_CERTS, &order,
                         sizeof(order), &fd, 1);
        (void)close(fd);
    }
    apr_pool_destroy(pool);
    return error;
}

static void begin(struct master *m)
{
    struct certs *c = &m->certs;
    int error;

    c->running = true;
    c->clients = c->asked;
    c->asked = NULL;
    c->watched = c->wanted;
    c->wanted = false;
    c->began = loop_now_ms();
    c->generation = m->serving != NULL ? m->serving->number : 0;
    if (m->serving == NULL || m->serving->source.fd < 0) {
        fail(m, "no generation serves that could take them; the next one reads the files anew");
        return;
    }
    error = send_files(m);
    if (error != 0) {
        char words[120];

        (void)apr_snprintf(words, sizeof(words), "the files could not be passed on: %s",
                           strerror(error));
        fail(m, words);
        return;
    }
    timer_set(&m->loop, &c->timer, c->began + ROUND_MS, overdue, NULL);
}

void certs_next(struct master *m)
{
    if (!m->certs.running && m->job == NULL && m->phase == PHASE_RUNNING &&
        (m->certs.asked != NULL || m->certs.wanted)) {
        begin(m);
    }
}

void certs_request(struct master *m, struct control_client *client)
{
    client->next_waiting = m->certs.asked;
    m->certs.asked = client;
    if (m->phase != PHASE_RUNNING) {
        certs_abandon(m, "the server is stopping");
        return;
    }
    certs_next(m);
}

void certs_changed(struct master *m, bool last)
{
    m->certs.wanted = true;
    m->certs.last = last;
    certs_next(m);
}

void certs_abandon(struct master *m, const char *why)
{
    struct control_client **at = &m->certs.clients;

    certs_watch_close(m);
    if (!m->certs.running) {
        m->certs.began = loop_now_ms();
    }
    while (*at != NULL) {
        at = &(*at)->next_waiting;
    }
    *at = m->certs.asked;
    m->certs.asked = NULL;
    if (m->certs.running || m->certs.clients != NULL) {
        fail(m, why);
    }
}

static void forget_in(struct control_client **at, const struct control_client *client)
{
    for (; *at != NULL; at = &(*at)->next_waiting) {
        if (*at == client) {
            *at = client->next_waiting;
            return;
        }
    }
}

void certs_forget_client(struct master *m, struct control_client *client)
{
    forget_in(&m->certs.clients, client);
    forget_in(&m->certs.asked, client);
}
