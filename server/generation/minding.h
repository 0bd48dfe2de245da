/* SPDX-License-Identifier: Apache-2.0 */
/* The generation's own life once its app is made: workers are forked, minded,
 * replaced, and outlived. */
#ifndef GENERATION_MINDING_H
#define GENERATION_MINDING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "generation/app.h"
#include "scoreboard/scoreboard.h"

enum {
    MIND_STOP_MS = 2000, /* from SIGTERM to SIGKILL */
    LEAVING_MIN = 2      /* so many workers may leave at a time, or as many as there are places */
};

enum minding_state {
    MIND_STARTING, /* not every worker has been ready yet: a death is a failed start */
    MIND_SERVING,
    MIND_DRAINING, /* no respawn; over with the last worker */
    MIND_STOPPING  /* workers were told to end */
};

/* One worker, or the place of one that is to be respawned; or, behind all places, one that
 * leaves or will leave, because a fresh one has its place (replace.c). */
struct ward {
    uint32_t index;
    pid_t pid; /* 0: not alive */
    int fd;    /* our end of its pair; -1 */
    bool ready;
    bool owes_certs; /* asked to take renewed certificates, without an answer yet */
    struct sb_worker *slot;
    int64_t started;      /* CLOCK_MONOTONIC, ms */
    int64_t respawn_at;   /* where pid is 0 */
    int64_t back_off;     /* of the next death */
    uint32_t incarnation; /* of the place: how many have had it */
    uint32_t spent;       /* enum ipc_spent_reason: why it is to be replaced */
    int64_t spent_at;     /* when it was heard of */
    bool retired;         /* it was told to leave */
    int64_t kill_at;      /* one that leaves: SIGKILL then; 0 never */
    bool overdue;         /* that has been done */
};

struct minding {
    const struct launch *launch;
    struct app *app;
    struct sb_generation *slot; /* or NULL */
    enum minding_state state;
    int signal_fd;
    int count; /* places: Workers */
    int total; /* of wards, with those that leave */
    struct ward *wards;
    int64_t replace_at;    /* not before that is the next one replaced */
    int64_t replace_pause; /* grows while workers are spent soon after their start */
    bool crowded;          /* it was said that too many leave */
    int *kept;             /* descriptors that loading left open: the workers' too */
    int kept_count;
    pid_t stapler;      /* 0: none */
    int64_t stapler_at; /* not before that */
    int64_t kill_at;    /* MIND_STOPPING: SIGKILL then */
    int64_t ready_at;   /* when it began to serve, or to be fit for it */
};

int64_t minding_now(void);

/* spawn_worker.c. 0 or errno; in the child it does not return. */
int worker_spawn(struct minding *m, struct ward *w);
/* The descriptors that workers inherit beyond their own pairs. */
void worker_keep_descriptors(struct minding *m);
/* Hooks of child_init and child_exit, ctx is a struct app *. */
void worker_child_init(void *ctx);
void worker_child_exit(void *ctx);
/* Sends to the master, waiting a moment where its queue is full. */
bool minding_tell_master(struct minding *m, int type, const void *payload, size_t length, int fd);

/* replace.c: a worker that has reached a limit makes room for a fresh one. */
void replace_asked(struct minding *m, struct ward *w, uint32_t reason);
/* It is ready: whom it replaces leaves, and those who leave may give to it. */
void replace_ready(struct minding *m, const struct ward *w);
/* One of those behind the places is dead. True: it was to be. */
bool replace_died(const struct ward *w, int status);
/* When there is something to do next, INT64_MAX: nothing. */
int64_t replace_due(const struct minding *m);
void replace_run(struct minding *m, int64_t now);

/* wards.c */
int64_t wards_earliest(int64_t a, int64_t b);
int wards_alive(const struct minding *m);
void wards_signal(const struct minding *m, int sig);
/* All dead children, strangers too; a death while starting goes to diags. */
void wards_reap(struct minding *m, struct diags *diags);
/* Milliseconds until something is due, -1: nothing is. */
int wards_timeout(const struct minding *m, int64_t now);
/* Respawns, kills the stuck. */
void wards_run_timers(struct minding *m);

/* mind_workers.c. False: the master is gone. */
bool minding_hear_master(struct minding *m);
/* Until the end of the generation: its exit status. */
int minding_run(struct minding *m, struct diags *diags);

#endif
