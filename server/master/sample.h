/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two answers over the control socket that are for instarctl and not for people: lines of
 * words.
 *
 * sample:  server VERSION PID UPTIME          generation NUMBER STATE PID WORKERS CONNECTIONS TLS
 *          step NAME (while a reload runs)       BUSY FOR_MS CUT_IN_MS|-1 WHY|-
 *          counter NAME VALUE                 worker GENERATION INDEX PID CONNECTIONS TLS BUSY
 *          duration BOUND_US|-1 COUNT            THREADS REQUESTS
 *          reload WORDS...
 * logs:    KIND PATH     the files that the serving configuration writes: error, access, ...
 */
#ifndef MASTER_SAMPLE_H
#define MASTER_SAMPLE_H

#include "master/state.h"

const char *sample_text(struct master *m, apr_pool_t *pool);
const char *logs_text(struct master *m, apr_pool_t *pool);
const char *logs_json(struct master *m, apr_pool_t *pool);

#endif
