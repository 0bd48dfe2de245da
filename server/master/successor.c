/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Successors. At once the first time: somebody may have killed the process by
 * mistake. When they die one after the other, each waits twice as long as the
 * last, so that a module that kills its generation cannot keep the machine busy.
 * A kill -9 is no module's doing: no more than the first pause follows it.
 */
#include "master/successor.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "master/board.h"
#include "master/children.h"
#include "master/reload.h"
#include "master/store.h"
#include "util/log.h"

#define LOG_PART "master"

enum { BACKOFF_MS = 200, BACKOFF_MAX_MS = 30000, LIVED_LONG_MS = 2000 };

static int64_t backoff_ms(int in_a_row)
{
    int64_t ms = BACKOFF_MS;

    if (in_a_row == 0) {
        return 0;
    }
    for (int i = 1; i < in_a_row && ms < BACKOFF_MAX_MS; i++) {
        ms *= 2;
    }
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

void successor_wanted(struct master *m, const struct generation *gen, int status)
{
    char words[CHILD_WORDS], noted[CHILD_WORDS + 16];
    int64_t now = loop_now_ms();

    if (now - gen->since > LIVED_LONG_MS) {
        m->successors_in_a_row = 0;
    }
    else if (m->successors_in_a_row > 1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        m->successors_in_a_row = 1; /* from outside: no fault of its code */
    }
    board_generation_down(m);
    m->need_successor = true;
    m->successor_at = now + backoff_ms(m->successors_in_a_row);
    (void)snprintf(noted, sizeof(noted), "its process %s", child_words(status, words));
    store_note(m, gen->number, noted);
    log_error("INS01112",
              "the process of generation %llu (pid %d) %s; %d workers serve on, a successor is "
              "started",
              (unsigned long long)gen->number, (int)gen->pid, child_words(status, words),
              gen->worker_count);
    reload_next(m);
}

static void due(struct master *m, void *ctx)
{
    (void)ctx;
    reload_next(m);
}

void successor_due(struct master *m)
{
    if (loop_now_ms() < m->successor_at) {
        timer_set(&m->loop, &m->successor_timer, m->successor_at, due, NULL);
        return;
    }
    timer_clear(&m->loop, &m->successor_timer);
    m->successors_in_a_row++;
    /* The next try, should this one fail before it serves. */
    m->successor_at = loop_now_ms() + backoff_ms(m->successors_in_a_row);
    reload_successor(m);
}

void successor_settled(struct master *m, bool by_successor)
{
    m->need_successor = false;
    timer_clear(&m->loop, &m->successor_timer);
    if (!by_successor) {
        m->successors_in_a_row = 0;
    }
}
