/* SPDX-License-Identifier: Apache-2.0 */
/* The running master as an image. Changes nothing: the master goes on with the
 * same state where the new binary does not take over. */
#include <unistd.h>

#include <apr_strings.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "master/activation.h"
#include "master/control.h"
#include "master/image.h"
#include "master/log_commands.h"
#include "master/notify.h"
#include "master/pidfile.h"
#include "master/rollback.h"
#include "master/store_state.h"
#include "util/log.h"

static void take_options(const struct master *m, struct image *g)
{
    const struct conf_options *conf = &m->options->conf;

    g->binary = m->options->binary;
    g->server_root = conf->server_root;
    g->config_file = conf->config_file;
    apr_array_cat(g->defines, conf->defines);
    apr_array_cat(g->directives, conf->directives);
    g->foreground = m->options->foreground;
    g->json = m->options->json;
    g->colour = m->options->colour;
}

static void take_numbers(const struct master *m, struct image *g)
{
    g->started = m->started;
    g->successor_at = m->successor_at;
    g->upgrade_began_us = m->job->began_us;
    g->last_number = m->last_number;
    g->last_switch = m->last_switch;
    g->last_listener = m->last_listener;
    g->last_turn = m->last_turn;
    g->last_reopen = m->last_reopen;
    g->need_successor = m->need_successor;
    g->successors_in_a_row = m->successors_in_a_row;
    g->number_file = m->number_file;
    g->probation =
        (struct image_probation){ m->probation.fallback, m->probation.since, m->probation.until,
                                  m->probation.crashes, m->probation.allowed };
    g->board_fd = m->board_fd;
    g->tickets_fd = m->tickets.fd;
    g->staples_fd = m->staples_fd;
    g->log_fd = log_fd() > STDERR_FILENO ? log_fd() : -1;
    g->pid_fd = pidfile_fd(m->pid_file);
    g->pid_path = pidfile_path(m->pid_file);
}

static void take_sockets(const struct master *m, struct image *g)
{
    const struct manifest *manifest = m->serving->manifest;
    const struct bound *b;

    for (b = m->bound; b != NULL; b = b->next) {
        struct image_socket *s = apr_array_push(g->sockets);

        s->listener = b->listener;
        s->dead = b->dead;
        s->dev = b->dev;
        s->inode = b->inode;
    }
    for (int i = 0; i < manifest->listeners.count; i++) {
        struct image_use *u = apr_array_push(g->uses);

        u->id = manifest->listeners.list[i].id;
        u->https = manifest->listeners.list[i].https;
        u->backlog = manifest->listeners.list[i].backlog;
    }
    for (int i = 0; i < activation_count(); i++) {
        const struct activated *a = activation_at(i);
        struct image_passed *p = apr_array_push(g->passed);

        p->listener = a->listener;
        p->name = a->name;
        p->dual = a->dual;
    }
}

static void take_manifest(const struct master *m, struct image *g, apr_pool_t *pool)
{
    const struct manifest *manifest = m->serving->manifest;
    struct store_bytes conf = text_pack(manifest->conf, pool);

    g->serving = m->serving->number;
    g->manifest_number = manifest->number;
    g->manifest_before = manifest->before;
    g->manifest_stored = manifest->stored;
    g->conf = conf.at;
    g->conf_len = conf.length;
    for (int i = 0; i < manifest->builds->count; i++) {
        const struct build *from = &manifest->builds->list[i];
        struct image_build *b = apr_array_push(g->builds);

        b->module = from->module->name;
        b->key = from->key;
        b->object = from->object;
        b->stamp = from->stamp;
    }
}

static void take_workers(const struct generation *gen, struct image_generation *g)
{
    const struct worker_pair *w;

    for (w = gen->workers; w != NULL; w = w->next) {
        struct image_worker *out = apr_array_push(g->workers);

        out->index = w->index;
        out->pid = w->pid;
        out->fd = w->source.fd;
        out->moving = w->moving;
        out->leaving = w->leaving;
        out->reopened = w->reopened;
    }
}

static void take_generation(const struct generation *gen, struct image_generation *g,
                            apr_pool_t *pool)
{
    const struct build_list *objects = gen->manifest != NULL ? gen->manifest->builds : gen->objects;

    g->number = gen->number;
    g->reopened = gen->reopened;
    g->life = gen->life;
    g->alive = gen->alive;
    g->ready = gen->ready;
    g->hand_over = gen->hand_over;
    g->fd = gen->source.fd;
    g->pid = gen->pid;
    g->since = gen->since;
    g->drain_deadline = gen->drain_deadline;
    g->kill_due = gen->kill_timer.due;
    g->workers = apr_array_make(pool, 8, sizeof(struct image_worker));
    g->logs = apr_array_make(pool, 8, sizeof(struct image_log));
    g->objects = apr_array_make(pool, 8, sizeof(const char *));
    take_workers(gen, g);
    for (int i = 0; gen->logs != NULL && i < gen->logs->count; i++) {
        struct image_log *log = apr_array_push(g->logs);

        log->key = gen->logs->list[i].key;
        log->is_file = gen->logs->list[i].is_file;
    }
    for (int i = 0; objects != NULL && i < objects->count; i++) {
        if (objects->list[i].object != NULL) {
            APR_ARRAY_PUSH(g->objects, const char *) = objects->list[i].object;
        }
    }
}

/* Whoever waits for a reload gets the one behind the upgrade. */
static void take_requests(const struct master *m, struct image *g)
{
    const struct job *job;

    g->cut = m->waiting != NULL && m->waiting->cut;
    control_save(m, g);
    for (job = m->rollbacks; job != NULL; job = job->next) {
        if (job->guilty != 0 && !rollback_is_stale(m, job)) {
            struct image_rollback *r = apr_array_push(g->rollbacks);

            r->target = job->target;
            r->guilty = job->guilty;
            r->words = APR_ARRAY_IDX(job->outcome->notes, 0, const char *);
        }
    }
}

struct image *image_take(const struct master *m, apr_pool_t *pool)
{
    struct image *g = image_create(pool);
    const struct generation *gen;

    take_options(m, g);
    take_numbers(m, g);
    take_sockets(m, g);
    take_manifest(m, g, pool);
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        take_generation(gen, apr_array_push(g->generations), pool);
    }
    log_commands_save(m, g);
    take_requests(m, g);
    notify_save(g, pool);
    return g;
}
