/* SPDX-License-Identifier: Apache-2.0 */
/* A master made of an image: the same descriptors and children, another binary. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "master/activation.h"
#include "master/certs.h"
#include "master/control.h"
#include "master/drain.h"
#include "master/generations.h"
#include "master/image.h"
#include "master/listener_open.h"
#include "master/log_commands.h"
#include "master/manifest.h"
#include "master/notify.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/store.h"
#include "master/tickets.h"
#include "scoreboard/scoreboard.h"
#include "util/check.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

/* ---- Sockets -------------------------------------------------------------------- */

static void restore_sockets(struct master *m, const struct image *g)
{
    /* From the end, since each goes to the front. */
    for (int i = g->sockets->nelts - 1; i >= 0; i--) {
        const struct image_socket *s = &APR_ARRAY_IDX(g->sockets, i, struct image_socket);
        struct bound *b = calloc(1, sizeof(*b));

        INS_CHECK(b != NULL);
        b->listener = s->listener;
        b->dead = s->dead;
        b->dev = (dev_t)s->dev;
        b->inode = (ino_t)s->inode;
        b->next = m->bound;
        m->bound = b;
    }
    for (int i = 0; i < g->passed->nelts; i++) {
        const struct image_passed *p = &APR_ARRAY_IDX(g->passed, i, struct image_passed);

        activation_adopt(&p->listener, p->name, p->dual);
    }
}

static struct bound *find_socket(struct master *m, uint64_t id)
{
    struct bound *b = m->bound;

    while (b != NULL && b->listener.id != id) {
        b = b->next;
    }
    return b;
}

static bool use_sockets(struct master *m, const struct image *g, struct manifest *manifest)
{
    size_t n = (size_t)g->uses->nelts + 1;
    struct listener_set *set = &manifest->listeners;

    set->list = apr_pcalloc(manifest->pool, n * sizeof(*set->list));
    manifest->bound = apr_pcalloc(manifest->pool, n * sizeof(*manifest->bound));
    for (int i = 0; i < g->uses->nelts; i++) {
        const struct image_use *u = &APR_ARRAY_IDX(g->uses, i, struct image_use);
        struct bound *b = find_socket(m, u->id);

        if (b == NULL) {
            return false;
        }
        b->refs++;
        manifest->bound[i] = b;
        set->list[i] = b->listener;
        set->list[i].https = u->https;
        set->list[i].backlog = u->backlog;
        set->count++;
    }
    return true;
}

/* Those that only a reload which had failed before had named. */
static void drop_unused_sockets(struct master *m)
{
    struct bound **at = &m->bound;

    while (*at != NULL) {
        struct bound *b = *at;

        if (b->refs > 0) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        listener_close(b);
        free(b);
    }
}

/* ---- The serving manifest ----------------------------------------------------------- */

static struct manifest *restore_manifest(struct master *m, const struct image *g,
                                         struct diags *diags)
{
    struct manifest *manifest = manifest_create(m);

    if (!image_manifest(g, manifest, diags) || !use_sockets(m, g, manifest)) {
        return NULL;
    }
    m->last_text = manifest_text(manifest);
    manifest->build_dir = builder_open_directory(manifest->conf, diags);
    m->log_folder = manifest->conf->process.server_root;
    manifest->logs = logs_open(manifest->conf, log_command_open, m, diags, manifest->pool);
    manifest->log_hold = log_hold_take(m, manifest->logs);
    m->log_folder = NULL;
    return manifest;
}

/* ---- Generations --------------------------------------------------------------------- */

static struct build_list *restore_objects(const apr_array_header_t *names, apr_pool_t *pool)
{
    struct build_list list = { .count = names->nelts };

    list.list = apr_pcalloc(pool, (size_t)names->nelts * sizeof(struct build) + 1);
    for (int i = 0; i < names->nelts; i++) {
        list.list[i].object = APR_ARRAY_IDX(names, i, const char *);
    }
    return manifest_objects(&list);
}

static void restore_generation(struct master *m, const struct image_generation *g, bool serving,
                               struct manifest *manifest, apr_pool_t *pool)
{
    struct generation *gen = generation_adopt(m, g->number, g->pid, g->fd, g->alive);

    gen->life = g->life;
    gen->ready = g->ready;
    gen->hand_over = g->hand_over;
    gen->since = g->since;
    gen->reopened = g->reopened;
    gen->logs = log_hold_adopt(m, g->logs);
    if (serving) {
        gen->manifest = manifest;
        m->serving = gen;
    }
    else {
        gen->objects = restore_objects(g->objects, pool);
    }
    for (int i = g->workers->nelts - 1; i >= 0; i--) {
        const struct image_worker *w = &APR_ARRAY_IDX(g->workers, i, struct image_worker);

        worker_adopt(m, gen, w->index, w->pid, w->fd, w->moving, w->leaving, w->reopened);
    }
    drain_adopt(m, gen, g->drain_deadline, g->kill_due);
}

/* ---- The rest --------------------------------------------------------------------------- */

static void restore_numbers(struct master *m, const struct image *g)
{
    m->started = g->started;
    m->successor_at = g->successor_at;
    m->last_number = g->last_number;
    m->last_switch = g->last_switch;
    m->last_listener = g->last_listener;
    m->last_turn = g->last_turn;
    m->last_reopen = g->last_reopen;
    m->need_successor = g->need_successor;
    m->successors_in_a_row = g->successors_in_a_row;
    m->probation =
        (struct probation){ g->probation.fallback, g->probation.since, g->probation.until,
                            g->probation.crashes, g->probation.allowed };
    m->number_file = apr_pstrdup(m->pool, g->number_file);
}

static const char *folder_of(const char *path, apr_pool_t *pool)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? apr_pstrndup(pool, path, (apr_size_t)(slash - path)) : ".";
}

static bool complain(const char *what, const struct diags *diags, apr_pool_t *pool)
{
    log_emerg("INS01340", "the state could not be taken over: %s: %s", what,
              diags != NULL ? diags_text(diags, false, pool) : "");
    return false;
}

static void restore_log(struct master *m, const struct manifest *manifest, struct diags *diags,
                        apr_pool_t *pool)
{
    reload_use_log(manifest);
    conf_apply_log_levels(&manifest->conf->process);
    tickets_follow(m, manifest->conf);
    certs_follow(m, manifest->conf);
    if (diags->errors > 0) {
        log_warning("INS01341", "after the upgrade: %s", diags_text(diags, false, pool));
    }
}

bool image_restore(struct master *m, const struct image *g)
{
    apr_pool_t *pool = m->pool;
    struct diags *diags = diags_create(pool);
    struct manifest *manifest;

    restore_numbers(m, g);
    restore_sockets(m, g);
    log_commands_adopt(m, g);
    manifest = restore_manifest(m, g, diags);
    if (manifest == NULL) {
        return complain("the serving generation", diags, pool);
    }
    for (int i = g->generations->nelts - 1; i >= 0; i--) {
        const struct image_generation *from =
            &APR_ARRAY_IDX(g->generations, i, struct image_generation);

        restore_generation(m, from, from->number == g->serving, manifest, pool);
    }
    if (m->serving == NULL) {
        return complain("no generation serves", NULL, pool);
    }
    restore_log(m, manifest, diags, pool);
    drop_unused_sockets(m);
    m->pid_file = pidfile_adopt(g->pid_path, g->pid_fd);
    notify_adopt(g);
    store_open(m, folder_of(g->number_file, pool));
    if (control_adopt(m, g) != 0) {
        return complain("the control socket", NULL, pool);
    }
    return true;
}
