/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of a job that reload.c strings together. */
#ifndef MASTER_JOB_H
#define MASTER_JOB_H

#include "master/state.h"

struct conf_node;

/* "building", "starting", ... */
const char *job_step_name(enum job_step step);
struct job *job_create(enum job_kind kind, const char *what);
/* Gives back everything; the outcome only if it is still the job's. */
void job_destroy(struct master *m, struct job *job);
void job_add_client(struct job *job, struct control_client *client);

/* ---- outcome ----------------------------------------------------------- */

struct outcome *outcome_create(const char *what);
void outcome_destroy(struct outcome *outcome);
__attribute__((format(printf, 2, 3))) void outcome_note(struct outcome *outcome, const char *format,
                                                        ...);
/* Names and counts of what was built. */
void outcome_count_builds(struct outcome *outcome, const struct build_list *builds);
/* Stamps it: now, this long, so went it. */
void outcome_finish(struct master *m, struct job *job, bool ok);

/* ---- reading and building ---------------------------------------------- */

enum build_next { BUILD_RUNNING, BUILD_NOT_NEEDED, BUILD_FAILED };

/* Config, plan; starts the builder where something must be compiled. */
enum build_next job_read_and_plan(struct master *m, struct job *job);
/* The builder is done or was killed: false where the job ends here. */
bool job_build_finish(struct master *m, struct job *job);

/* ---- the new generation ------------------------------------------------ */

/* Logs, listeners, number. False with diagnostics. */
bool job_open(struct master *m, struct job *job);
/* The same, and the fork. */
bool job_start_generation(struct master *m, struct job *job);
/* Takes its diagnostics over. */
void job_take_diags(struct job *job, int fd);
/* The LoadModule line of the module that the words mention; NULL none. */
const struct conf_node *blame_module(const struct manifest *manifest, const char *words);
/* File by file, from the top of each. */
void diags_order(struct diags *diags);
/* Why it died, in a diagnostic at the line that is to blame. */
void job_blame(struct job *job, const struct generation *gen, const char *words);

/* -X: in place of a generation, everything here and now; ends the loop. */
void job_run_single(struct master *m, struct job *job);

#endif
