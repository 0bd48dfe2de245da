/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reopen`: all log files are opened by their paths once more, as whoever the
 * master is, and every process of every living generation gets them over its pair.
 * Whoever asked is answered when each of them has said that it writes to the new
 * files, or at REOPEN_MS.
 */
#ifndef MASTER_REOPEN_H
#define MASTER_REOPEN_H

struct control_client;
struct master;

enum { REOPEN_MS = 10000 };

void reopen_request(struct master *m, struct control_client *client);
/* Somebody has answered, or is gone. */
void reopen_check(struct master *m);
void reopen_forget_client(struct master *m, struct control_client *client);
/* The server stops. */
void reopen_abandon(struct master *m);

#endif
