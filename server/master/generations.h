/* SPDX-License-Identifier: Apache-2.0 */
/* Generation processes and their workers, as the master sees them. */
#ifndef MASTER_GENERATIONS_H
#define MASTER_GENERATIONS_H

#include "ipc/messages.h"
#include "master/state.h"

/* Forks one from the manifest (of which it keeps a share). NULL with errno. */
struct generation *generation_start(struct master *m, struct manifest *manifest, struct diags *scan,
                                    uint64_t number, enum launch_dump dump, bool check_only);
void generation_set_life(struct master *m, struct generation *gen, enum gen_life life);
/* Its process group, workers included, dies now. */
void generation_kill(struct generation *gen);
/* Best effort: a process that is gone or stuck is found out otherwise. */
void generation_send(struct generation *gen, enum ipc_type type, const void *payload,
                     size_t length);
/* Reads what its pair holds; the loop calls it, and so does whoever is about
 * to judge a death. */
void generation_hear(struct master *m, struct generation *gen);
/* One that another binary has started; its manifest, logs and life are for the caller
 * to fill in. */
struct generation *generation_adopt(struct master *m, uint64_t number, pid_t pid, int fd,
                                    bool alive);
/* Its process was reaped; status as from waitpid(). */
void generation_exited(struct master *m, struct generation *gen, int status);
/* Frees it if process and workers are gone. */
void generation_bury(struct master *m, struct generation *gen);
/* It drains: no successor will be made of its manifest, which would only keep the
 * master larger for as long as the last client takes. */
void generation_release_manifest(struct master *m, struct generation *gen);
/* A share of the manifest is dropped, what is left of it is killed. */
void generation_forget(struct master *m, struct generation *gen);
int generations_draining(const struct master *m);
const char *gen_life_name(enum gen_life life);
uint32_t generation_connections(const struct master *m, const struct generation *gen);

/* ---- Workers ---------------------------------------------------------- */

/* Takes over fd, the master's end of a worker's pair. */
void worker_add(struct master *m, struct generation *gen, uint32_t index, pid_t pid, int fd);
void worker_remove(struct master *m, struct worker_pair *w);
/* One that another binary knew. */
void worker_adopt(struct master *m, struct generation *gen, uint32_t index, pid_t pid, int fd,
                  bool moving, bool leaving, uint64_t reopened);
void worker_send(struct worker_pair *w, enum ipc_type type, const void *payload, size_t length,
                 const int *fd);

#endif
