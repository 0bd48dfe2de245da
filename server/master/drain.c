/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draining. The master only introduces old workers to new ones, one pair of
 * sockets for each couple, and keeps the deadline; the connections move
 * without it.
 */
#include "master/drain.h"

#include <string.h>
#include <unistd.h>

#include "config/conf.h"
#include "ipc/ipc.h"
#include "master/board.h"
#include "master/generations.h"
#include "master/listeners.h"
#include "util/check.h"
#include "util/log.h"

#define LOG_PART "master"

enum { INTRODUCTIONS_MAX = 256 };

/* ---- Introductions ----------------------------------------------------- */

static void introduce(struct worker_pair *from, struct worker_pair *to)
{
    struct ipc_peer taker = { .generation = to->gen->number, .index = to->index };
    struct ipc_peer giver = { .generation = from->gen->number, .index = from->index };
    int pair[2];

    if (ipc_pair(pair) != APR_SUCCESS) {
        log_warning("INS01109",
                    "no pair of sockets for a handover; connections stay where they are");
        return;
    }
    /* The taker first: an offer must not wait for somebody who may not come. */
    worker_send(to, IPC_HANDOVER_FROM, &giver, sizeof(giver), &pair[1]);
    worker_send(from, IPC_HANDOVER_TO, &taker, sizeof(taker), &pair[0]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static int staying(const struct generation *gen)
{
    const struct worker_pair *w;
    int count = 0;

    for (w = gen->workers; w != NULL; w = w->next) {
        count += !w->leaving;
    }
    return count;
}

/* The one behind w, in a ring, of those that stay; there is one. */
static struct worker_pair *next_staying(const struct generation *gen, struct worker_pair *w)
{
    do {
        w = w != NULL && w->next != NULL ? w->next : gen->workers;
    } while (w->leaving);
    return w;
}

/* With many workers on both sides each old one is given only some of the new
 * ones, not the same. */
static void introduce_all(struct generation *from, struct generation *to)
{
    int each = from->worker_count > 0 ? INTRODUCTIONS_MAX / from->worker_count : 0;
    int takers = staying(to);
    struct worker_pair *giver, *taker = NULL;

    each = each < 1 ? 1 : each;
    each = each > takers ? takers : each;
    for (giver = from->workers; giver != NULL; giver = giver->next) {
        for (int i = 0; i < each; i++) {
            taker = next_staying(to, taker);
            introduce(giver, taker);
        }
    }
}

void drain_worker_joined(struct master *m, struct worker_pair *w)
{
    struct generation *gen;
    struct worker_pair *giver;
    int left = INTRODUCTIONS_MAX;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen->life != GEN_DRAINING || !gen->hand_over) {
            continue;
        }
        for (giver = gen->workers; giver != NULL && left > 0; giver = giver->next) {
            introduce(giver, w);
            left--;
        }
    }
}

/* ---- Deadlines --------------------------------------------------------- */

static void deadline_passed(struct master *m, void *ctx)
{
    struct generation *gen = ctx;

    (void)m;
    log_notice("INS01110", "generation %llu is cut at its deadline, with %u connections",
               (unsigned long long)gen->number, generation_connections(m, gen));
    board_drain_cut(m);
    generation_kill(gen);
}

static void set_deadline(struct master *m, struct generation *gen, int64_t deadline)
{
    gen->drain_deadline = deadline;
    if (deadline > 0) {
        timer_set(&m->loop, &gen->kill_timer, deadline + KILL_GRACE_MS, deadline_passed, gen);
    }
    else {
        timer_clear(&m->loop, &gen->kill_timer);
    }
}

void drain_adopt(struct master *m, struct generation *gen, int64_t deadline, int64_t kill_due)
{
    gen->drain_deadline = deadline;
    if (kill_due > 0) {
        timer_set(&m->loop, &gen->kill_timer, kill_due, deadline_passed, gen);
    }
}

static int64_t deadline_after(int64_t timeout_ms)
{
    return timeout_ms > 0 ? loop_now_ms() + timeout_ms : 0;
}

static void begin(struct master *m, struct generation *gen, struct ipc_drain *drain)
{
    struct worker_pair *w;

    gen->hand_over = drain->hand_over != 0;
    generation_set_life(m, gen, GEN_DRAINING);
    set_deadline(m, gen, drain->deadline);
    /* Its generation process first, so that it wonders at no worker's end. */
    generation_send(gen, IPC_GEN_DRAIN, drain, sizeof(*drain));
    for (w = gen->workers; w != NULL; w = w->next) {
        w->moving = gen->hand_over;
        worker_send(w, IPC_DRAIN, drain, sizeof(*drain), NULL);
    }
}

bool drain_is_moving(const struct master *m)
{
    const struct generation *gen;
    const struct worker_pair *w;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        for (w = gen->workers; w != NULL; w = w->next) {
            if (w->moving) {
                return true;
            }
        }
    }
    return false;
}

void drain_after_switch(struct master *m, struct generation *old, bool cut)
{
    struct generation *now = m->serving, *gen, *next;
    int64_t timeout = now->manifest->conf->process.graceful_shutdown_timeout;
    struct ipc_drain drain = { .deadline = cut ? loop_now_ms() : deadline_after(timeout),
                               .hand_over = 1 };

    if (old == NULL) {
        return;
    }
    board_drain_begins(old, m->job != NULL ? m->job->outcome->what : "");
    listeners_removed(m, old->manifest, now->manifest, &drain);
    /* Those that drain already may still have something to hand over, and the
     * generation they were introduced to is about to drain as well. */
    for (gen = m->generations; gen != NULL; gen = gen->next) {
        if (gen == old || (gen->life == GEN_DRAINING && gen->hand_over)) {
            introduce_all(gen, now);
        }
        if (cut && gen->life == GEN_DRAINING) {
            begin(m, gen, &drain); /* its own deadline is no longer worth anything */
        }
    }
    begin(m, old, &drain);
    listeners_close_dead(m);
    generation_release_manifest(m, old);
    for (gen = m->generations; gen != NULL; gen = next) {
        next = gen->next;
        generation_bury(m, gen); /* one whose process and workers had died before */
    }
}

void drain_for_stop(struct master *m, struct generation *gen)
{
    struct ipc_drain drain = { 0 };

    drain.deadline = deadline_after(gen->manifest->conf->process.graceful_shutdown_timeout);
    board_drain_begins(gen, "stop");
    listeners_removed(m, gen->manifest, NULL, &drain);
    begin(m, gen, &drain);
    listeners_close_dead(m);
}

void drain_worker_late(struct generation *gen, struct worker_pair *w)
{
    struct ipc_drain drain = { .deadline = gen->drain_deadline };

    worker_send(w, IPC_DRAIN, &drain, sizeof(drain), NULL);
}

/* ---- The cap ----------------------------------------------------------- */

static struct generation *oldest_draining(struct master *m)
{
    struct generation *gen, *oldest = NULL;

    for (gen = m->generations; gen != NULL; gen = gen->next) {
        oldest = gen->life == GEN_DRAINING ? gen : oldest;
    }
    return oldest;
}

int64_t drain_make_room(struct master *m, const struct manifest *next)
{
    int cap = next->conf->process.max_draining_generations;

    while (m->serving != NULL && generations_draining(m) >= (cap > 0 ? cap : 1)) {
        struct generation *gen = oldest_draining(m);
        int64_t drained;

        INS_CHECK(gen != NULL);
        drained = loop_now_ms() - gen->since;
        if (drained < KEEPALIVE_OWED_MS &&
            (gen->drain_deadline == 0 || gen->drain_deadline > loop_now_ms())) {
            return KEEPALIVE_OWED_MS - drained;
        }
        log_notice(
            "INS01111",
            "MaxDrainingGenerations %d is reached; generation %llu is cut, with %u connections",
            cap, (unsigned long long)gen->number, generation_connections(m, gen));
        board_drain_cut(m);
        generation_set_life(m, gen, GEN_STOPPING);
        generation_send(gen, IPC_GEN_STOP, NULL, 0);
        timer_set(&m->loop, &gen->kill_timer, loop_now_ms() + KILL_GRACE_MS, deadline_passed, gen);
    }
    return 0;
}
