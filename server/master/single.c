/* SPDX-License-Identifier: Apache-2.0 */
/* -X: one process, so that a debugger needs to follow no fork. The master steps
 * aside: nobody reloads, nobody supervises, signals have their usual meaning. */
#include "master/board.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/signals.h"
#include "scoreboard/scoreboard.h"

void job_run_single(struct master *m, struct job *job)
{
    struct launch launch = { .number = m->last_number,
                             .conf = job->manifest->conf,
                             .scan = job->outcome->diags,
                             .listeners = &job->manifest->listeners,
                             .builds = job->manifest->builds,
                             .logs = job->manifest->logs,
                             .board = m->board,
                             .tickets = m->tickets.view,
                             .staples = m->staples,
                             .master_fd = -1,
                             .build_dir = job->manifest->build_dir };

    board_publish(m);
    sb_generation_set(sb_generation_take(m->board, m->last_number), SB_SERVING);
    atomic_store(&m->board->master.serving, m->last_number);
    source_close(&m->loop, &m->signals);
    signals_unblock();
    m->exit_status = m->ops->run_single(&launch);
    m->done = true;
}
