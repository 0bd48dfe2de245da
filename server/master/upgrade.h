/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upgrade of the server binary in place: the master executes the file that it
 * was started from, as that is now, and stays the same process, with its sockets,
 * its children and whoever waits for an answer.
 *
 *   queued -> checking -> (exec) -> a reload, into the new binary's code
 *
 * Checking runs the new binary as a child that reads the state (--read-state): what
 * cannot be executed, does not know the state, or does not come to an end is refused
 * before anything has happened. A failed exec undoes what was prepared. Behind the
 * exec nothing can be undone: image.h says what has to hold for that.
 */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include "master/state.h"

/* What tells the new binary that it is one. */
#define UPGRADE_VARIABLE "INSTAR_UPGRADE_STATE"

/* client gets the outcome, from whichever binary; NULL: a signal. */
void upgrade_request(struct master *m, struct control_client *client);

/* ---- Of reload.c -------------------------------------------------------------- */

/* Its turn has come. Ends in the exec, or in reload_upgrade_failed(). */
void upgrade_begin(struct master *m, struct job *job);
/* The job goes away: what was begun for it ends. */
void upgrade_stop(struct master *m, const struct job *job);
/* True if pid was the child that checks, which has been reaped. */
bool upgrade_check_exited(struct master *m, pid_t pid, int status);

#endif
