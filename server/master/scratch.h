/* SPDX-License-Identifier: Apache-2.0 */
/* A build directory for one check, or one run of -X, by a user who may not write
 * the real one. */
#ifndef MASTER_SCRATCH_H
#define MASTER_SCRATCH_H

#include "config/conf.h"

/* Lets conf name a folder of its own where BuildDirectory cannot be written. */
void scratch_open(struct conf *conf);
/* Removes it, if there is one. */
void scratch_close(void);

#endif
