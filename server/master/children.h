/* SPDX-License-Identifier: Apache-2.0 */
/* Reaping: generations, builders, and whoever was orphaned below us. */
#ifndef MASTER_CHILDREN_H
#define MASTER_CHILDREN_H

#include "master/state.h"

enum { CHILD_WORDS = 80 };

/* All that have ended by now. */
void children_reap(struct master *m);
/* "was killed by SIGSEGV", "exited with status 0", into buf; returns buf. */
const char *child_words(int status, char buf[CHILD_WORDS]);

#endif
