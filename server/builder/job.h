/* SPDX-License-Identifier: Apache-2.0 */
/* One module's build inside the builder process. */
#ifndef BUILDER_JOB_H
#define BUILDER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_pools.h>

#include "builder/state.h"
#include "builder/step.h"

/* What all jobs share. */
struct work {
    struct builder *b;
    struct build_run *run;
    struct jail_limits limits;
    int64_t timeout; /* ms for a module */
    char **envp;
};

struct job_step {
    struct step_process process;
    bool started, ended;
    int status;
    char *text; /* what it said, malloc'd */
    size_t len, room;
};

struct job {
    struct work *work;
    struct build *build;
    int index;
    int attempt;
    int count; /* steps; the last one links where there are several */
    struct job_step *steps;
    int64_t deadline; /* monotonic ms; 0: not begun */
    int64_t began;    /* wall clock, ns: of this attempt */
    uint64_t epoch;   /* of the memory, when this attempt began */
    bool failed, late, done;
    int detail;
    apr_pool_t *pool; /* this attempt's */
};

void job_init(struct job *job, struct work *work, int index);
/* Starts the next step that can be started; false where there is none now. */
bool job_start(struct job *job);
/* Reads what a step says, bounded; false at the end of its output. */
bool job_read(struct job_step *step);
/* The step's process has ended: take the rest of its words and its status. */
void job_step_ended(struct job *job, struct job_step *step);
/* It takes too long: end it all. */
void job_expire(struct job *job);
/* When nothing of it runs and nothing is to be started: report, or begin again
 * where sources changed meanwhile. */
void job_conclude(struct job *job);

#endif
