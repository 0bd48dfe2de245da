/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sockets a config asks for, and which of them exist already. No socket
 * is ever closed and opened again for the same address: between the two a
 * client would be refused.
 */
#include "master/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/activation.h"
#include "master/addresses.h"
#include "master/listener_open.h"
#include "util/check.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

enum { RETRY_BIND_MS = 2000, LISTENERS_MAX = 256 };

/* What is being put together. */
struct listing {
    struct master *m;
    struct manifest *manifest;
    struct diags *diags;
    int count;
    struct bound *bound[LISTENERS_MAX];
    struct listener as[LISTENERS_MAX]; /* as this manifest uses it: https may differ */
    const struct conf_node *node[LISTENERS_MAX];
};

static struct bound *find(struct master *m, const struct listener *l)
{
    struct bound *b;

    for (b = m->bound; b != NULL; b = b->next) {
        if (!b->dead && addresses_equal(&b->listener, l)) {
            return b;
        }
    }
    return NULL;
}

static void forget(struct master *m, struct bound *b)
{
    struct bound **at;

    for (at = &m->bound; *at != NULL; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            break;
        }
    }
    listener_close(b);
    free(b);
}

static struct bound *make(struct master *m, const struct listener *l, const char **step, int *error)
{
    struct bound *b = calloc(1, sizeof(*b));

    *step = "remember";
    if (b == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    b->listener = *l;
    b->listener.fd = -1;
    b->listener.id = ++m->last_listener;
    *error = listener_open(b, m->bound, m->retry_bind ? RETRY_BIND_MS : 0, step);
    if (*error != 0) {
        free(b);
        return NULL;
    }
    b->next = m->bound;
    m->bound = b;
    return b;
}

/* One that the service manager opened. Its protocol and backlog are for whoever uses it. */
static struct bound *use_activated(struct master *m, const struct activated *a)
{
    struct bound *b;

    for (b = m->bound; b != NULL; b = b->next) {
        if (!b->dead && b->listener.fd == a->listener.fd) {
            return b;
        }
    }
    b = calloc(1, sizeof(*b));
    INS_CHECK(b != NULL);
    b->listener = a->listener;
    b->listener.id = ++m->last_listener;
    b->next = m->bound;
    m->bound = b;
    return b;
}

static void take(struct listing *g, struct bound *b, const struct listener *like,
                 const struct conf_node *node)
{
    b->refs++;
    g->bound[g->count] = b;
    g->as[g->count] = b->listener;
    g->as[g->count].https = like->https;
    g->as[g->count].backlog = like->backlog;
    g->node[g->count] = node;
    g->count++;
}

static int already_taken(const struct listing *g, const struct listener *l)
{
    for (int i = 0; i < g->count; i++) {
        if (addresses_equal(&g->as[i], l)) {
            return i;
        }
    }
    return -1;
}

static bool is_missing_family(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

static void take_address(struct listing *g, const struct listener *l,
                         const struct conf_listen *listen, bool optional)
{
    const struct activated *activated;
    const char *step;
    struct bound *b;
    int twin = already_taken(g, l), error = 0;

    if (twin >= 0) {
        if (g->node[twin] != listen->node) {
            conf_report(g->diags, DIAG_START, DIAG_ERROR, listen->node, 0,
                        "%s is listened on already, by %s:%u", l->name,
                        g->node[twin] ? g->node[twin]->file->path : "?",
                        g->node[twin] ? g->node[twin]->line : 0);
        }
        return;
    }
    if (g->count == LISTENERS_MAX) {
        conf_report(g->diags, DIAG_START, DIAG_ERROR, listen->node, 0,
                    "more than %d listening sockets", LISTENERS_MAX);
        return;
    }
    activated = activation_find(l);
    b = activated != NULL ? use_activated(g->m, activated) : find(g->m, l);
    if (b == NULL) {
        b = make(g->m, l, &step, &error);
    }
    else if (already_taken(g, &b->listener) >= 0) {
        return; /* one socket for both families */
    }
    if (b != NULL) {
        take(g, b, l, listen->node);
    }
    else if (!optional || !is_missing_family(error)) {
        conf_report(g->diags, DIAG_START, DIAG_ERROR, listen->node, 0, "could not %s %s: %s", step,
                    l->name, strerror(error));
    }
}

static void take_named(struct listing *g, const struct conf_listen *listen, const char *name)
{
    const struct activated *a;
    int i = 0, count = 0;

    while ((a = activation_named(name, &i)) != NULL) {
        struct listener like = a->listener;

        like.https = listen->https;
        like.backlog = listen->backlog;
        take_address(g, &like, listen, false);
        count++;
    }
    if (count == 0) {
        conf_report(g->diags, DIAG_START, DIAG_ERROR, listen->node, 0,
                    "no socket named \"%s\" was passed on (%d were; see LISTEN_FDNAMES, "
                    "FileDescriptorName= in a .socket unit)",
                    name, activation_count());
    }
}

static void take_listen(struct listing *g, const struct conf_listen *listen)
{
    struct listener found[ADDRESSES_MAX];
    const char *why, *name = conf_listen_name(listen);
    int count;

    if (name != NULL) {
        take_named(g, listen, name);
        return;
    }
    count = addresses_resolve(listen->host, listen->port, found, &why);

    if (count <= 0) {
        conf_report(g->diags, DIAG_START, DIAG_ERROR, listen->node, 0, "%s: %s", listen->host,
                    why ? why : "no address");
        return;
    }
    for (int i = 0; i < count; i++) {
        found[i].https = listen->https;
        found[i].backlog = listen->backlog;
        /* "*" means whatever there is: a machine without IPv6 has no [::]. */
        take_address(g, &found[i], listen, i > 0 && strcmp(listen->host, "*") == 0);
    }
}

/* 127.0.0.1:80 became *:80. What a client has queued on the old socket, or
 * queues until it is closed, would be reset with it; but the new config covers
 * that address too, so the old socket simply stays, as part of the new one. */
static void keep_covered(struct listing *g, const struct manifest *before)
{
    int own = g->count;

    for (int i = 0; i < before->listeners.count && g->count < LISTENERS_MAX; i++) {
        struct bound *b = before->bound[i];

        for (int k = 0; k < own && already_taken(g, &b->listener) < 0; k++) {
            if (address_covers(&g->as[k], &b->listener)) {
                take(g, b, &g->as[k], g->node[k]);
            }
        }
    }
}

static bool is_used(const struct listing *g, const struct activated *a)
{
    for (int i = 0; i < g->count; i++) {
        if (g->bound[i]->listener.fd == a->listener.fd) {
            return true;
        }
    }
    return false;
}

/* Its clients connect, and wait for nobody. */
static void warn_of_unused(struct listing *g)
{
    for (int i = 0; i < activation_count(); i++) {
        const struct activated *a = activation_at(i);

        if (!is_used(g, a)) {
            log_warning("INS01333", "%s (\"%s\") was passed on, but no Listen names it",
                        a->listener.name, a->name);
            diags_add(g->diags, DIAG_START, DIAG_WARNING, NULL, 0, 0,
                      "%s (\"%s\") was passed on by the service manager, but no Listen names it: "
                      "nobody accepts there",
                      a->listener.name, a->name);
        }
    }
}

static void store(const struct listing *g)
{
    struct manifest *manifest = g->manifest;
    size_t n = (size_t)g->count;

    manifest->listeners.count = g->count;
    manifest->listeners.list = apr_pmemdup(manifest->pool, g->as, n * sizeof(g->as[0]));
    manifest->bound = apr_pmemdup(manifest->pool, g->bound, n * sizeof(struct bound *));
}

bool listeners_open(struct master *m, struct manifest *manifest, const struct manifest *before,
                    struct diags *diags)
{
    const apr_array_header_t *listens = manifest->conf->process.listens;
    struct listing *g = calloc(1, sizeof(*g));
    unsigned errors = diags->errors;

    INS_CHECK(g != NULL);
    g->m = m;
    g->manifest = manifest;
    g->diags = diags;
    for (int i = 0; i < listens->nelts; i++) {
        take_listen(g, &APR_ARRAY_IDX(listens, i, struct conf_listen));
    }
    if (before != NULL) {
        keep_covered(g, before);
    }
    warn_of_unused(g);
    store(g);
    free(g);
    m->retry_bind = false;
    return diags->errors == errors;
}

void listeners_release(struct master *m, struct manifest *manifest)
{
    for (int i = 0; i < manifest->listeners.count; i++) {
        struct bound *b = manifest->bound[i];

        if (b != NULL && --b->refs == 0) {
            forget(m, b);
        }
    }
    manifest->listeners.count = 0;
}

static bool names(const struct manifest *manifest, const struct bound *b)
{
    for (int i = 0; i < manifest->listeners.count; i++) {
        if (manifest->bound[i] == b) {
            return true;
        }
    }
    return false;
}

void listeners_removed(struct master *m, struct manifest *before, const struct manifest *after,
                       struct ipc_drain *drain)
{
    (void)m;
    for (int i = 0; i < before->listeners.count; i++) {
        struct bound *b = before->bound[i];

        if (after != NULL && names(after, b)) {
            continue;
        }
        if (drain->removed_count < IPC_REMOVED_MAX) {
            drain->removed[drain->removed_count++] = b->listener.id;
        }
        b->dead = true;
    }
}

void listeners_close_dead(struct master *m)
{
    struct bound *b;

    for (b = m->bound; b != NULL; b = b->next) {
        /* The manifests that name it only count it from here on. */
        if (b->dead && b->listener.fd >= 0) {
            log_info("INS01101", "no longer listening on %s", b->listener.name);
            listener_close(b);
        }
    }
}

void listeners_refresh(const struct manifest *manifest)
{
    for (int i = 0; i < manifest->listeners.count; i++) {
        struct listener *l = &manifest->bound[i]->listener;

        if (l->backlog != manifest->listeners.list[i].backlog) {
            l->backlog = manifest->listeners.list[i].backlog;
            (void)listen(l->fd, l->backlog);
        }
        l->https = manifest->listeners.list[i].https;
    }
}
