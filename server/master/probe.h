/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: requests that a new generation must answer before it serves, put to one
 * of its workers over a pair of sockets that nobody else knows. */
#ifndef MASTER_PROBE_H
#define MASTER_PROBE_H

#include "master/state.h"

/* The running job's generation is ready. False: there is nothing to probe. Else it ends
 * in reload_probed(). */
bool probe_begin(struct master *m, struct job *job);
/* The job ends; safe where nothing is probed. */
void probe_end(struct master *m, struct job *job);
/* "GET /health", which it is busy with; NULL nothing. */
const char *probe_words(const struct job *job, apr_pool_t *pool);

#endif
