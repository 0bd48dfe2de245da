/* SPDX-License-Identifier: Apache-2.0 */
/* The master's part of the scoreboard. Nothing here is read back by it: the board is for
 * others to look at. */
#include "master/board.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_time.h>

#include "ipc/messages.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/report.h"
#include "scoreboard/scoreboard.h"
#include "util/diag.h"

enum { CLOCK_JITTER_US = 100000 };

/* ---- What is now -------------------------------------------------------- */

/* Monotonic milliseconds as the time of day. */
static int64_t wall_time(int64_t ms)
{
    return ms > 0 ? apr_time_now() + (ms - loop_now_ms()) * 1000 : 0;
}

static void publish_generation(const struct generation *gen)
{
    struct sb_generation *slot = gen->slot;
    int64_t deadline;

    if (slot == NULL) {
        return;
    }
    SB_SET(slot, workers, (uint32_t)gen->worker_count);
    deadline = wall_time(gen->drain_deadline);
    if (llabs(deadline - atomic_load(&slot->deadline)) > CLOCK_JITTER_US) {
        SB_SET(slot, deadline, deadline);
    }
}

static uint64_t stored_number(const struct generation *gen)
{
    return gen != NULL && gen->manifest != NULL && gen->manifest->stored ? gen->manifest->number
                                                                         : 0;
}

void board_publish(struct master *m)
{
    const char *step = "";
    struct sb_master *b;

    if (m->board == NULL) {
        return;
    }
    b = &m->board->master;
    if (atomic_load(&b->pid) != getpid()) {
        SB_SET(b, pid, getpid());
        SB_SET(b, started, m->started);
    }
    if (m->job != NULL && m->job->kind != JOB_CHECK) {
        step = job_step_name(m->job->step);
    }
    if (strcmp(b->step, step) != 0) {
        (void)snprintf(b->step, sizeof(b->step), "%s", step);
        SB_SET(b, step_since, apr_time_now());
    }
    SB_SET(b, serving, m->serving != NULL ? m->serving->number : 0);
    SB_SET(b, rollback_of, stored_number(m->serving));
    for (const struct generation *gen = m->generations; gen != NULL; gen = gen->next) {
        publish_generation(gen);
    }
}

/* ---- How a reload went --------------------------------------------------- */

/* As much as there is room for, in whole lines. */
static void copy_lines(char *to, size_t size, const char *from)
{
    static const char more[] = "... (the error log has the rest)\n";
    size_t len = strlen(from);

    if (len >= size) {
        len = size - sizeof(more);
        while (len > 0 && from[len - 1] != '\n') {
            len--;
        }
        memcpy(to, from, len);
        memcpy(to + len, more, sizeof(more));
        return;
    }
    memcpy(to, from, len + 1);
}

static void count_failure(struct scoreboard *board, enum diag_stage stage)
{
    switch (stage) {
    case DIAG_CONFIG:
        SB_MASTER_COUNT_ONE(board, failed_config, 1);
        return;
    case DIAG_BUILD:
        SB_MASTER_COUNT_ONE(board, failed_build, 1);
        return;
    case DIAG_LOAD:
        SB_MASTER_COUNT_ONE(board, failed_load, 1);
        return;
    case DIAG_START:
        SB_MASTER_COUNT_ONE(board, failed_start, 1);
        return;
    case DIAG_PROBE:
        SB_MASTER_COUNT_ONE(board, failed_probe, 1);
        return;
    default:
        SB_MASTER_COUNT_ONE(board, failed_other, 1);
        return;
    }
}

static void count_outcome(struct scoreboard *board, const struct outcome *outcome)
{
    if (outcome->ok) {
        SB_MASTER_COUNT_ONE(board, reloads_ok, 1);
        SB_MASTER_COUNT_ONE(board, rollbacks, strcmp(outcome->what, "rollback") == 0);
    }
    else {
        SB_MASTER_COUNT_ONE(board, reloads_failed, 1);
        count_failure(board, diags_stage(outcome->diags));
    }
    SB_MASTER_COUNT_ONE(board, modules_compiled, (uint64_t)outcome->compiled->nelts);
    SB_MASTER_COUNT_ONE(board, modules_unchanged, (uint64_t)outcome->unchanged);
}

void board_outcome(struct master *m, const struct outcome *outcome)
{
    static struct sb_outcome said;

    if (m->board == NULL) {
        return;
    }
    count_outcome(m->board, outcome);
    memset(&said, 0, sizeof(said));
    said.when = outcome->when;
    said.took_us = outcome->took_us;
    said.generation = outcome->generation;
    said.ok = outcome->ok;
    said.compiled = (uint32_t)outcome->compiled->nelts;
    said.unchanged = (uint32_t)outcome->unchanged;
    said.errors = outcome->diags->errors;
    (void)snprintf(said.what, sizeof(said.what), "%s", outcome->what);
    if (!outcome->ok) {
        (void)snprintf(said.stage, sizeof(said.stage), "%s",
                       diag_stage_name(diags_stage(outcome->diags)));
    }
    copy_lines(said.words, sizeof(said.words), report_text(outcome, false, outcome->pool));
    sb_outcome_write(m->board, &said);
}

/* ---- Deaths -------------------------------------------------------------- */

static bool is_crash(int signal_number)
{
    static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGTRAP };

    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        if (crashes[i] == signal_number) {
            return true;
        }
    }
    return false;
}

void board_worker_down(struct master *m, const struct generation *gen, int status)
{
    bool drained = gen->life == GEN_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0;

    if (m->board == NULL || drained || (gen->life != GEN_SERVING && gen->life != GEN_DRAINING)) {
        return;
    }
    if (!WIFSIGNALED(status)) {
        SB_MASTER_COUNT_ONE(m->board, deaths_exit, 1);
    }
    else if (is_crash(WTERMSIG(status))) {
        SB_MASTER_COUNT_ONE(m->board, deaths_crash, 1);
    }
    else {
        SB_MASTER_COUNT_ONE(m->board, deaths_killed, 1);
    }
}

void board_worker_replaced(struct master *m, uint32_t reason)
{
    if (m->board == NULL) {
        return;
    }
    switch ((enum ipc_spent_reason)reason) {
    case IPC_SPENT_MEMORY:
        SB_MASTER_COUNT_ONE(m->board, replaced_memory, 1);
        return;
    case IPC_SPENT_CONNECTIONS:
        SB_MASTER_COUNT_ONE(m->board, replaced_connections, 1);
        return;
    case IPC_SPENT_HANDLER:
        SB_MASTER_COUNT_ONE(m->board, replaced_handler, 1);
        return;
    default:
        return;
    }
}

void board_generation_down(struct master *m)
{
    if (m->board != NULL) {
        SB_MASTER_COUNT_ONE(m->board, deaths_generation, 1);
    }
}

/* ---- Drains -------------------------------------------------------------- */

void board_drain_begins(const struct generation *gen, const char *why)
{
    if (gen->slot != NULL) {
        (void)snprintf(gen->slot->why, sizeof(gen->slot->why), "%s", why);
    }
}

void board_drain_cut(struct master *m)
{
    if (m->board != NULL) {
        SB_MASTER_COUNT_ONE(m->board, drains_cut, 1);
    }
}
