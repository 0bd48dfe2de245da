/* SPDX-License-Identifier: Apache-2.0 */
/* Going back: a manifest that has served becomes a new generation. Nothing is
 * compiled and the config on disk is not looked at. */
#ifndef MASTER_ROLLBACK_H
#define MASTER_ROLLBACK_H

#include "master/state.h"

/* Asks. target: of a generation; 0: what served before the one that serves. client gets the
 * outcome. */
void rollback_request(struct master *m, uint64_t target, struct control_client *client);
/* Without being asked, because generation guilty does not work, as words say. It is
 * dropped when something else serves by the time that its turn comes; the same manifest in a
 * newer generation is nothing else. */
void rollback_by_itself(struct master *m, uint64_t target, uint64_t guilty, const char *words);

/* ---- Of reload.c ----------------------------------------------------------- */

/* Reads the manifest back; false where there is none, with diagnostics. */
bool rollback_read(struct master *m, struct job *job);
/* Nobody needs it any more. */
bool rollback_is_stale(const struct master *m, const struct job *job);
/* It serves; old no longer. */
void rollback_note(struct master *m, const struct job *job, const struct generation *old);

#endif
