/* SPDX-License-Identifier: Apache-2.0 */
/* The process that fetches OCSP responses, where SSLUseStapling is On: a child of the generation
 * that serves, minded beside its workers. */
#ifndef GENERATION_STAPLER_H
#define GENERATION_STAPLER_H

#include "generation/minding.h"

/* Starts it when it is due. */
void stapler_run_timers(struct minding *m, int64_t now);
/* When that is; INT64_MAX: nothing is due. */
int64_t stapler_due(const struct minding *m);
/* Certificates were renewed: it is made anew, from what is known now. */
void stapler_renew(struct minding *m);
/* A child has ended: was it this one? */
void stapler_exited(struct minding *m, pid_t pid);
/* For good: the generation drains. */
void stapler_stop(struct minding *m);

#endif
