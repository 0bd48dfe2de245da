/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a config on disk to a serving generation: the state machine. One job
 * runs at a time; whoever asks for a reload meanwhile gets the next one, all of
 * them the same.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/state.h"

/* Asks. client may be NULL (a signal); it gets the outcome. cut: restart. */
void reload_request(struct master *m, bool cut, struct control_client *client);
void reload_check(struct master *m, enum launch_dump dump, struct control_client *client);
/* A check of another kind. */
void reload_add_check(struct master *m, struct job *job, struct control_client *client);
/* The very first one. */
void reload_first(struct master *m);
/* -X. */
void reload_single(struct master *m);
/* The same again, since the serving generation's process died. */
void reload_successor(struct master *m);
/* Behind an upgrade: m->job is the reload that it is for. */
void reload_resume(struct master *m);
/* A rollback or an upgrade: it has its turn, each by itself. */
void reload_queue(struct master *m, struct job *rollback);
/* Starts the next job if none is running. */
void reload_next(struct master *m);
/* What runs or waits ends here (the server stops). */
void reload_abandon(struct master *m, const char *why);
/* A client has gone away. */
void reload_forget_client(struct master *m, struct control_client *client);

/* ---- Told by others ---------------------------------------------------- */

void reload_generation_ready(struct master *m, struct generation *gen);
void reload_generation_failed(struct master *m, struct generation *gen, int diags_fd);
void reload_generation_exited(struct master *m, struct generation *gen, int status);
/* Some generation has come to its end: a job may have waited for that. */
void reload_generation_gone(struct master *m);
/* From upgrade.c: the running job ends; its diagnostics say why. */
void reload_upgrade_failed(struct master *m);
/* The error log of what serves is the master's, too. */
void reload_use_log(const struct manifest *manifest);
/* True if pid was the running job's builder, which is reaped then. */
bool reload_builder_exited(struct master *m, pid_t pid);
/* From probe.c: all probes of the running job are answered as they should be, or one is
 * not, and why is among the diagnostics. */
void reload_probed(struct master *m, bool well);
/* From workers.c: a draining worker has moved what was idle, or is gone; from children.c:
 * something has been written down. */
void reload_worker_moved(struct master *m);
/* From switch.c. */
void reload_switched(struct master *m, struct generation *old);
void reload_switch_failed(struct master *m);

#endif
