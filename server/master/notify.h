/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager is told, by sd_notify(3)'s protocol: one datagram of
 * NAME=VALUE lines to the socket that $NOTIFY_SOCKET names. Without that
 * variable all of this does nothing. A manager that does not read costs the
 * master a bounded moment, never more.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include "master/state.h"

struct image;

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so
 * that no child speaks in the master's name. Before the first fork. */
void notify_take_environment(void);

/* For and from another binary. */
void notify_save(struct image *image, apr_pool_t *pool);
void notify_adopt(const struct image *image);

/* Starts the watchdog's beat, where one is wanted, and asks for more time while a start,
 * a reload or a stop goes on. */
void notify_open(struct master *m);
/* A job begins, or is over: RELOADING, READY. */
void notify_job(struct master *m, const struct job *job);
void notify_outcome(struct master *m, enum job_kind kind, const struct outcome *outcome);
void notify_stopping(struct master *m);

#endif
