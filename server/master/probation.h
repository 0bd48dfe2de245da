/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probation: a new generation whose processes keep crashing within ProbationTime
 * is rolled back without being asked. Crash signals and exits that nobody asked for
 * count; SIGKILL does not, since it comes from outside (kill -9, and the kernel
 * that is out of memory, which nobody can tell apart).
 *
 * What comes of a start is not on probation (nothing served before), nor is what
 * comes of such a rollback: it ends there, and no two manifests can throw each
 * other out for ever.
 */
#ifndef MASTER_PROBATION_H
#define MASTER_PROBATION_H

#include "master/state.h"

struct jout;

/* The job's generation serves, and is in the store; old: what served before, NULL none. */
void probation_begin(struct master *m, const struct job *job, const struct manifest *old);
/* A worker of gen's ("worker 7.0"), or its own process, is gone, and nobody had asked
 * for that; status as from waitpid(). handler: that it called last, "" unknown. */
void probation_death(struct master *m, const struct generation *gen, const char *who, int status,
                     const char *handler);

/* For status: a line, or ""; and the member "probation". */
const char *probation_text(const struct master *m, apr_pool_t *pool);
void probation_member(struct jout *j, const struct master *m);

#endif
