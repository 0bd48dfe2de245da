/* SPDX-License-Identifier: Apache-2.0 */
/* Between reload.c, whose steps end in the next one or in job_end(), and its neighbours
 * job_end.c and queue.c. */
#ifndef MASTER_STEPS_H
#define MASTER_STEPS_H

#include "master/state.h"

/* Its first step. */
void job_run(struct master *m, struct job *job);
/* The running one; the next has its turn. */
void job_end(struct master *m, bool ok);

/* Of job_end(), for a job that never runs or is given up. */
void job_answer_clients(struct master *m, struct job *job, const struct outcome *outcome);
/* A check has no place among the generations once it is judged; a failed start is
 * killed, and forgotten when it has been reaped. */
void job_drop_generation(struct master *m, struct job *job);

#endif
