/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacing a worker that has reached a limit, without anybody noticing: a fresh one is forked
 * into its place first, and when that is ready the old one stops accepting, gives its parked
 * connections to its siblings, finishes what it has, and ends. One at a time, and ever more
 * slowly while workers are spent soon after their start: a limit that is too low costs memory or
 * a warning, not the server.
 */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/conf.h"
#include "generation/minding.h"
#include "ipc/ipc.h"
#include "util/log.h"

#define LOG_PART "generation"

enum {
    SPACING_MS = 100,      /* between two replacements */
    SHORT_LIFE_MS = 10000, /* spent within that: too soon */
    PAUSE_FIRST_MS = 250,  /* after one that was, and doubled from there */
    PAUSE_MAX_MS = 5000,
    PAUSE_TELL_MS = 1000,  /* one that is worth a line */
    LEAVE_GRACE_MS = 2000, /* from a leaving worker's deadline to SIGKILL */
    INTRODUCTIONS_MAX = 16 /* siblings that it may give connections to */
};

static const char *const reason_words[] = {
    [IPC_SPENT_MEMORY] = "WorkerMemoryLimit",
    [IPC_SPENT_CONNECTIONS] = "MaxConnectionsPerWorker",
    [IPC_SPENT_HANDLER] = "HandlerKillTimeout",
};
enum { REASONS = sizeof(reason_words) / sizeof(reason_words[0]) };

static bool is_place(const struct minding *m, const struct ward *w)
{
    return w < m->wards + m->count;
}

/* Module code runs in there: its word may cost it its place, and nothing else. A handler that
 * hangs comes before the other reasons. */
void replace_asked(struct minding *m, struct ward *w, uint32_t reason)
{
    if (!is_place(m, w) || !w->ready || reason == IPC_SPENT_NOT || reason >= REASONS) {
        return;
    }
    if (w->spent == IPC_SPENT_NOT) {
        w->spent_at = minding_now();
    }
    if (w->spent < reason) {
        w->spent = reason;
    }
}

/* ---- The old one leaves ------------------------------------------------- */

static void introduce(const struct minding *m, const struct ward *from, const struct ward *to)
{
    struct ipc_peer taker = { .generation = m->launch->number, .index = to->index };
    struct ipc_peer giver = { .generation = m->launch->number, .index = from->index };
    int pair[2];

    if (from->fd < 0 || to->fd < 0 || ipc_pair(pair) != APR_SUCCESS) {
        return;
    }
    /* The taker first: an offer must not wait for somebody who may not come. */
    if (ipc_send(to->fd, m->launch->number, IPC_HANDOVER_FROM, &giver, sizeof(giver), &pair[1],
                 1) == APR_SUCCESS) {
        (void)ipc_send(from->fd, m->launch->number, IPC_HANDOVER_TO, &taker, sizeof(taker),
                       &pair[0], 1);
    }
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* The fresh one first: it has the most room. */
static void introduce_siblings(const struct minding *m, const struct ward *old,
                               const struct ward *fresh)
{
    int left = INTRODUCTIONS_MAX - 1;

    introduce(m, old, fresh);
    for (int i = 0; i < m->count && left > 0; i++) {
        const struct ward *w = &m->wards[i];

        if (w != fresh && w->ready && w->spent == IPC_SPENT_NOT) {
            introduce(m, old, w);
            left--;
        }
    }
}

static void retire(struct minding *m, struct ward *old, const struct ward *fresh)
{
    int64_t timeout = m->launch->conf->process.graceful_shutdown_timeout;
    struct ipc_retire order = { .deadline = timeout > 0 ? minding_now() + timeout : 0 };
    struct ipc_leaving leaving = { .index = old->index, .pid = old->pid, .reason = old->spent };

    old->retired = true;
    old->kill_at = order.deadline > 0 ? order.deadline + LEAVE_GRACE_MS : 0;
    log_notice("INS02350", "worker %u (pid %d) is replaced by pid %d: %s", old->index,
               (int)old->pid, (int)fresh->pid, reason_words[old->spent]);
    (void)minding_tell_master(m, IPC_GEN_WORKER_LEAVING, &leaving, sizeof(leaving), -1);
    introduce_siblings(m, old, fresh);
    if (old->fd < 0 || ipc_send(old->fd, m->launch->number, IPC_RETIRE, &order, sizeof(order), NULL,
                                0) != APR_SUCCESS) {
        log_warning("INS02351", "worker %u (pid %d) cannot be told to leave: it is ended",
                    old->index, (int)old->pid);
        old->kill_at = minding_now();
    }
}

void replace_ready(struct minding *m, const struct ward *w)
{
    for (int i = m->count; i < m->total && m->state == MIND_SERVING; i++) {
        struct ward *old = &m->wards[i];

        if (old->pid > 0 && !old->retired && old->index == w->index) {
            retire(m, old, w);
        }
        else if (old->pid > 0 && old->retired) {
            introduce(m, old, w);
        }
    }
}

bool replace_died(const struct ward *w, int status)
{
    return w->retired && (w->overdue || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

/* ---- The next one ------------------------------------------------------- */

/* NULL: the fresh one of the last replacement is not ready yet, or too many are leaving. */
static struct ward *find_room(const struct minding *m, bool *crowded)
{
    struct ward *room = NULL;

    *crowded = true;
    for (int i = m->count; i < m->total; i++) {
        struct ward *w = &m->wards[i];

        if (w->pid > 0 && !w->retired) {
            *crowded = false;
            return NULL;
        }
        room = w->pid > 0 ? room : w;
    }
    *crowded = room == NULL;
    return room;
}

/* Who hangs, else who has waited for longest. */
static struct ward *find_spent(const struct minding *m)
{
    struct ward *found = NULL;

    for (int i = 0; i < m->count; i++) {
        struct ward *w = &m->wards[i];
        bool hangs = w->spent == IPC_SPENT_HANDLER;

        if (w->pid > 0 && w->spent != IPC_SPENT_NOT &&
            (!found || (hangs && found->spent != IPC_SPENT_HANDLER) ||
             (hangs == (found->spent == IPC_SPENT_HANDLER) && w->spent_at < found->spent_at))) {
            found = w;
        }
    }
    return found;
}

static void set_pace(struct minding *m, const struct ward *w, int64_t now)
{
    int64_t lived = w->spent_at - w->started, before = m->replace_pause;

    if (lived >= SHORT_LIFE_MS) {
        m->replace_pause = 0;
    }
    else {
        m->replace_pause = m->replace_pause == 0 ? PAUSE_FIRST_MS : m->replace_pause * 2;
        if (m->replace_pause > PAUSE_MAX_MS) {
            m->replace_pause = PAUSE_MAX_MS;
        }
    }
    m->replace_at = now + (m->replace_pause > SPACING_MS ? m->replace_pause : SPACING_MS);
    if (m->replace_pause >= PAUSE_TELL_MS && m->replace_pause != before) {
        log_warning("INS02352",
                    "worker %u reached %s %" PRId64 " ms after its start: that limit is too low; "
                    "no worker is replaced within the next %" PRId64 " ms",
                    w->index, reason_words[w->spent], lived, m->replace_pause);
    }
}

/* The place is free then, and respawned as after a death. */
static void begin(struct minding *m, struct ward *w, struct ward *room, int64_t now)
{
    set_pace(m, w, now);
    *room = *w;
    room->retired = room->overdue = false;
    room->kill_at = 0;
    SB_SET(room->slot, leaving, 1);
    w->pid = 0;
    w->fd = -1;
    w->slot = NULL;
    w->ready = w->owes_certs = false;
    w->spent = IPC_SPENT_NOT;
    w->back_off = 0;
    w->respawn_at = now;
}

static void say_crowded(struct minding *m, const struct ward *w)
{
    if (!m->crowded) {
        m->crowded = true;
        log_warning("INS02353",
                    "worker %u has reached %s and stays: %d replaced workers are still finishing "
                    "what they have",
                    w->index, reason_words[w->spent], m->total - m->count);
    }
}

static void end_overdue(struct minding *m, int64_t now)
{
    for (int i = m->count; i < m->total; i++) {
        struct ward *w = &m->wards[i];

        if (w->pid > 0 && w->kill_at > 0 && now >= w->kill_at) {
            log_notice("INS02354", "worker %u (pid %d), which was replaced, has not ended: killed",
                       w->index, (int)w->pid);
            w->overdue = true;
            w->kill_at = 0;
            (void)kill(w->pid, SIGKILL);
        }
    }
}

int64_t replace_due(const struct minding *m)
{
    int64_t due = INT64_MAX;
    bool crowded;

    for (int i = m->count; i < m->total; i++) {
        if (m->wards[i].pid > 0 && m->wards[i].kill_at > 0) {
            due = wards_earliest(due, m->wards[i].kill_at);
        }
    }
    if (m->state == MIND_SERVING && find_spent(m) && find_room(m, &crowded)) {
        due = wards_earliest(due, m->replace_at);
    }
    return due;
}

void replace_run(struct minding *m, int64_t now)
{
    struct ward *w, *room;
    bool crowded;

    end_overdue(m, now);
    w = m->state == MIND_SERVING ? find_spent(m) : NULL;
    if (!w || now < m->replace_at) {
        return;
    }
    room = find_room(m, &crowded);
    if (room) {
        m->crowded = false;
        begin(m, w, room, now);
    }
    else if (crowded) {
        say_crowded(m, w);
    }
}
