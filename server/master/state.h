/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the master remembers. One struct master, single-threaded; everything
 * hangs off it. Memory: what a reload brings lives in a pool with an allocator
 * of its own (manifest, outcome), which goes back to the system with it, so
 * that the master is as large after a thousand reloads as after one.
 */
#ifndef MASTER_STATE_H
#define MASTER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <apr_pools.h>
#include <apr_tables.h>

#include "ipc/launch.h"
#include "master/loop.h"
#include "master/master.h"
#include "util/listener.h"
#include "util/ticket_ring.h"

struct builder;
struct build_list;
struct control;
struct control_client;
struct diags;
struct log_command;
struct log_hold;
struct log_set;
struct pid_file;
struct probe;
struct reopen;
struct sb_generation;
struct store;

enum {
    SWITCH_MS = 250,          /* how long the old workers have to stop accepting */
    MOVE_MS = 100,            /* how long a reload's caller waits for idle connections to move */
    KEEP_MS = 2000,           /* and from there until what serves now has been written down */
    KILL_GRACE_MS = 2000,     /* between a drain's deadline and SIGKILL */
    STOP_GRACE_MS = 3000,     /* between GEN_STOP and SIGKILL */
    KEEPALIVE_OWED_MS = 5000, /* a generation that drains for less than this is not cut */
    WORKERS_MAX = 1024        /* a generation's pairs; what comes beyond is gossip */
};

/* A number that check_only generations share: never persisted, never served. */
#define CHECK_NUMBER UINT64_MAX

/* A listening socket and how many manifests name it. */
struct bound {
    struct bound *next;
    struct listener listener;
    int refs;
    bool dead; /* removed by a reload: nobody accepts here any more */
    dev_t dev; /* of a unix socket's file: only ours is unlinked */
    ino_t inode;
};

/* What a generation was started from, and what a successor is started from
 * when its process dies. Counted: generations, jobs. */
struct manifest {
    apr_pool_t *pool;
    int refs;
    uint64_t number; /* of the generation that first served from it; 0 not yet */
    uint64_t before; /* what a rollback goes back to, named likewise; 0 nothing */
    bool stored;     /* it was read back from the store, not from the config on disk */
    struct conf *conf;
    struct build_list *builds;
    int build_dir; /* -1 none */
    struct log_set *logs;
    struct log_hold *log_hold; /* NULL where no log was opened */
    struct listener_set listeners;
    struct bound **bound; /* an entry a listener */
};

struct worker_pair {
    struct worker_pair *next;
    struct generation *gen;
    uint32_t index;
    pid_t pid;
    struct source source;
    bool asked;        /* to stop accepting, without an answer yet */
    int reopen_sent;   /* of its generation's logs */
    uint64_t reopened; /* the number of the last reopen it has done */
    bool moving;       /* told to drain, has not said yet that what was idle has moved */
    bool leaving;      /* a fresh one has its place: it takes no more connections */
};

enum gen_life { GEN_STARTING, GEN_PROBING, GEN_SERVING, GEN_DRAINING, GEN_STOPPING, GEN_FAILED };

struct generation {
    struct generation *next; /* newest first */
    uint64_t number;
    enum gen_life life;
    struct manifest *manifest;  /* NULL once it drains: it needs nothing of it any more */
    struct build_list *objects; /* what remains of that: names, for builder_collect() */
    struct log_hold *logs;      /* those that it and its workers write */
    struct source source;       /* its pair */
    pid_t pid;                  /* also its process group's id, workers included */
    int reopen_sent;            /* as a worker's, of its own process */
    uint64_t reopened;
    bool alive; /* not reaped yet */
    bool ready;
    bool hand_over; /* draining: connections may move */
    struct worker_pair *workers;
    int worker_count;
    struct sb_generation *slot; /* NULL where the scoreboard was full */
    int64_t since;              /* ms: of the last change of life */
    int64_t drain_deadline;     /* ms, 0 none */
    struct timer kill_timer;
};

struct draining_note {
    uint64_t generation;
    uint32_t connections;
};

/* What came of a reload: for the person who asked, and for status. */
struct outcome {
    apr_pool_t *pool;
    const char *what; /* "start", "reload", "restart", "rollback", "configtest", "successor" */
    bool ok;
    uint64_t generation;     /* the one serving afterwards, 0 none */
    uint64_t rolled_back_to; /* the generation whose manifest it is; 0: no rollback */
    int64_t took_us;
    int64_t when;                 /* apr_time_t of the end */
    apr_array_header_t *compiled; /* const char *: module names */
    int unchanged;
    apr_array_header_t *draining; /* struct draining_note */
    apr_array_header_t *notes;    /* const char *: what else the caller should know */
    struct diags *diags;
};

enum job_kind {
    JOB_START,
    JOB_RELOAD,
    JOB_ROLLBACK,
    JOB_UPGRADE, /* until the exec; what follows is a reload */
    JOB_SUCCESSOR,
    JOB_CHECK,
    JOB_SINGLE
};
enum job_step {
    STEP_QUEUED,
    STEP_CHECKING, /* the new binary */
    STEP_BUILDING,
    STEP_WAITING,
    STEP_STARTING,
    STEP_PROBING,
    STEP_SWITCHING,
    STEP_MOVING
};

/* One way from a config on disk to a serving generation (or to a verdict). */
struct job {
    struct job *next; /* in a queue */
    enum job_kind kind;
    enum job_step step;
    bool cut;           /* restart: the old generation drains with a deadline of now */
    bool upgraded;      /* the reload behind an upgrade */
    bool moved;         /* its idle connections have, or have had their time for it */
    bool text_is_wrong; /* nothing will serve; the rest is tried for what it says */
    uint64_t turn;      /* in the order in which they were asked for */
    uint64_t target;    /* of a rollback; 0: what served before */
    uint64_t guilty;    /* a rollback that nobody asked for: the generation it is from; 0 else */
    uint64_t unwanted;  /* and the manifest of that */
    enum launch_dump dump;
    struct launch_query *query; /* a question to what serves, in place of a check; else NULL */
    int64_t began_us;
    struct outcome *outcome;
    struct manifest *manifest;
    struct generation *gen;
    pid_t builder_pid;
    struct source builder; /* its pipe */
    struct probe *probe;   /* what is asked of gen; NULL nothing */
    struct timer timer;
    uint64_t switch_number;
    struct control_client *clients; /* waiting for the outcome */
};

/* Of what serves since a reload or rollback. */
enum { PROBATION_WORDS = 240 };
struct probation {
    uint64_t fallback; /* the manifest that is brought back; 0: it is not on probation */
    int64_t since, until;
    int crashes, allowed;
};

/* Certificates renewed without a reload: certs.c; what is watched for that: certs_watch.c. */
struct certs {
    bool running;                   /* a round */
    bool watched, last;             /* it began by itself; and is not repeated */
    bool wanted;                    /* one is to begin by itself */
    uint64_t number, generation;    /* of the round, and whose */
    int64_t began;                  /* ms */
    struct timer timer;             /* its end */
    struct control_client *clients; /* wait for its outcome */
    struct control_client *asked;   /* wait for the next one's */

    struct source inotify;
    apr_pool_t *watch_pool;
    apr_array_header_t *watches;
    struct timer settle; /* files change: when it is quiet they are read */
    int64_t first_change;
    int tries;
};

enum master_phase { PHASE_RUNNING, PHASE_DRAINING, PHASE_STOPPING };

struct master {
    const struct master_options *options;
    const struct launch_ops *ops;
    apr_pool_t *pool;
    struct loop loop;
    struct source signals;
    struct scoreboard *board;
    int board_fd; /* its memfd: it goes along when the binary is upgraded */
    struct builder *builder;
    struct store *store;        /* NULL: nothing is kept (a check, -X) */
    struct ticket_keys tickets; /* its memfd outlives the binary: it can be passed on */
    struct certs certs;
    struct staple_board *staples; /* OCSP responses; passed on like the keys */
    int staples_fd;
    int64_t tickets_every; /* ms, 0: never rotated */
    struct timer tickets_timer;
    int64_t started; /* apr_time_t */

    uint64_t last_number;    /* of generations; persisted */
    const char *number_file; /* NULL: nothing is persisted (a check) */
    uint64_t last_switch;
    uint64_t last_reopen;
    struct bound *bound;
    uint64_t last_listener;
    bool retry_bind; /* the last master died: its workers may hold the ports for a moment */

    struct generation *generations;
    struct generation *serving;

    struct manifest *first; /* read back from the store for the start; NULL: the disk is read */
    bool tried_last;        /* the start has done that */
    struct job *job;        /* running */
    struct job *waiting;    /* one reload for all who asked since the running job began */
    struct job *rollbacks;  /* and upgrades */
    struct job *checks;     /* configtests */
    uint64_t last_turn;
    bool need_successor; /* the serving generation's process is gone */
    int successors_in_a_row;
    int64_t successor_at;
    struct timer successor_timer;

    size_t last_text; /* bytes of the config that was read last */
    struct probation probation;
    struct outcome *last_reload;
    struct control *control;
    struct pid_file *pid_file;
    struct log_command *log_commands;
    const char *log_folder; /* where a command is run: the ServerRoot of the config it stands in */
    struct reopen *reopen;  /* running */

    bool alone; /* one job and no clients: instar -t, -X */
    enum master_phase phase;
    struct timer stop_timer;
    bool done;
    int exit_status;
};

#endif
