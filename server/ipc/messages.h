/* SPDX-License-Identifier: Apache-2.0 */
/* Every message there is, in one table: name, sender, descriptors (-1: any
 * number up to IPC_MAX_FDS), payload. Feeds the enum, the names and the checks
 * of ipc_recv() (a fixed payload must have exactly its size; conn_offer and
 * conn_taken are checked by their reader). Across an upgrade of the binary old and new processes
 * talk to each other: between releases a row keeps its place and its meaning, new ones are
 * added at the end, or IPC_VERSION is raised (and such an upgrade refused). */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include <stdint.h>

struct ipc_empty {
    char unused;
};

/* A worker exists. The descriptor is the master's end of its pair. */
struct ipc_worker_up {
    uint32_t index;
    int32_t pid;
};
/* A worker is gone; status as from waitpid(). */
struct ipc_worker_down {
    uint32_t index;
    int32_t pid;
    int32_t status;
    uint32_t expected; /* 1: it was told to end, drained, or was replaced */
    char handler[128]; /* that it called last: "risk of risk_module (GET /risk)"; "" none */
};
/* Why a worker is to be replaced. */
enum ipc_spent_reason { IPC_SPENT_NOT, IPC_SPENT_MEMORY, IPC_SPENT_CONNECTIONS, IPC_SPENT_HANDLER };
struct ipc_spent {
    uint32_t reason;
};
/* A worker that a fresh one is to replace leaves now. */
struct ipc_leaving {
    uint32_t index;
    int32_t pid;
    uint32_t reason;
};
/* Stop accepting, give parked connections to the siblings, finish, exit. */
struct ipc_retire {
    int64_t deadline; /* CLOCK_MONOTONIC milliseconds, 0 none */
};
/* ACCEPT_ON, ACCEPT_OFF and its answer ACCEPT_STOPPED carry the switch's number. */
struct ipc_switch {
    uint64_t number;
};
/* Stop accepting, hand over, finish, exit. No descriptor moves where hand_over
 * is 0 (graceful-stop). deadline: CLOCK_MONOTONIC milliseconds, 0 none. */
enum { IPC_REMOVED_MAX = 64 };
struct ipc_drain {
    int64_t deadline;
    uint32_t hand_over;
    /* Listeners that the new config has no longer: take what still waits in
     * their queues, since nobody else will. */
    uint32_t removed_count;
    uint64_t removed[IPC_REMOVED_MAX]; /* struct listener ids */
};
/* Log files opened anew: count descriptors, and as many keys (config/log_spec.h) behind this,
 * each ended by a NUL. last: nothing more belongs to this number; it is answered. */
struct ipc_reopen {
    uint64_t number;
    uint32_t count, last;
};
/* Renewed certificates and keys, in a bundle of files (util/bundle.h) behind the descriptor. */
struct ipc_certs {
    uint64_t number; /* of the round */
};
struct ipc_certs_taken {
    uint64_t number;
    uint32_t ok; /* 0: the worker's log says why not */
};
struct ipc_certs_done {
    uint64_t number;
    uint32_t ok; /* else nothing has changed */
    uint32_t renewed, unchanged;
    uint32_t workers; /* that have them */
};
/* One end of a pair to another worker. */
struct ipc_peer {
    uint64_t generation;
    uint32_t index;
};

/* clang-format off */
#define IPC_MESSAGES(X) \
    /* generation -> master */ \
    X(GEN_WORKER_UP,   1, struct ipc_worker_up)   \
    X(GEN_WORKER_DOWN, 0, struct ipc_worker_down) \
    X(GEN_READY,       0, struct ipc_empty)       /* every worker of the start is ready */ \
    X(GEN_FAILED,      1, struct ipc_empty)       /* a memfd with diags; it exits then */ \
    X(GEN_LOGS_REOPENED, 0, struct ipc_switch)    \
    X(GEN_CERTS_DONE,  1, struct ipc_certs_done)  /* a memfd with diags */ \
    /* master -> generation */ \
    X(GEN_CERTS,       1, struct ipc_certs)       \
    X(GEN_DRAIN,       0, struct ipc_drain)       /* respawn no more; exit with the last worker */ \
    X(GEN_STOP,        0, struct ipc_empty)       /* end the workers now, then exit */ \
    /* worker -> generation */ \
    X(WORKER_READY,    0, struct ipc_empty)       /* loop running, everything warm */ \
    X(CERTS_TAKEN,     0, struct ipc_certs_taken) \
    /* generation -> worker */ \
    X(CERTS,           1, struct ipc_certs)       \
    X(POKE,            0, struct ipc_empty)       /* a sibling died: accept once if accepting */ \
    /* master -> worker */ \
    X(ACCEPT_ON,       0, struct ipc_switch)      \
    X(ACCEPT_OFF,      0, struct ipc_switch)      \
    X(DRAIN,           0, struct ipc_drain)       \
    X(HANDOVER_TO,     1, struct ipc_peer)        /* offer parked connections there */ \
    X(HANDOVER_FROM,   1, struct ipc_peer)        /* adopt what is offered there */ \
    X(LOGS_REOPEN,    -1, struct ipc_variable)    /* to a generation, too: struct ipc_reopen */ \
    X(PROBE,           1, struct ipc_empty)       /* the socket brings a request of the master's */ \
    /* worker -> master */ \
    X(ACCEPT_STOPPED,  0, struct ipc_switch)      \
    X(LOGS_REOPENED,   0, struct ipc_switch)      \
    X(IDLE_MOVED,      0, struct ipc_empty)       /* what was idle when DRAIN came has moved */ \
    /* worker -> worker, see worker/handover.h */ \
    X(CONN_OFFER,     -1, struct ipc_variable)    \
    X(CONN_TAKEN,      0, struct ipc_variable)    \
    /* replacing a worker: worker -> generation, generation -> master, generation -> worker (which \
     * is told of siblings by HANDOVER_TO and HANDOVER_FROM) */ \
    X(WORKER_SPENT,    0, struct ipc_spent)       \
    X(GEN_WORKER_LEAVING, 0, struct ipc_leaving)  \
    X(RETIRE,          0, struct ipc_retire)
/* clang-format on */

struct ipc_variable {
    char unused;
};

enum ipc_type {
    IPC_NONE,
#define X(name, fds, payload) IPC_##name,
    IPC_MESSAGES(X)
#undef X
        IPC_TYPES
};

#endif
