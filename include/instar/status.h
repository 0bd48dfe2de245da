/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instar/status.h: the server as a module may see it: generations, workers, counters, the last
 * reload. Read-only, and apart from instar.h, so that only a module that asks for it pays for it.
 *
 * Counters are the whole server's, since its start: over reloads, workers' deaths and upgrades of
 * the binary. None is ever lower than it was when it was read before, in whichever worker.
 */
#ifndef INSTAR_STATUS_H
#define INSTAR_STATUS_H

#include <instar.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with each member that is added at a structure's end. */
#define INS_STATUS_VERSION 1

typedef struct ins_status_generation {
    uint64_t number;
    const char
        *state; /* "building", "starting", "probing", "serving", "draining", "exited", "failed" */
    int pid;
    /* When it got there; 0: it did not (yet). ended is the exit or the failure. */
    apr_time_t started, serving, draining, ended;
    apr_time_t deadline; /* it drains no longer than until then; 0: no limit */
    const char *why;     /* what began its draining: "reload", "restart", ...; "" else */
    const char *doing;   /* while it starts: "loading modules/hello.c" */
    unsigned workers, connections;
    unsigned tls;  /* of the connections */
    unsigned busy; /* requests that a handler has */
} ins_status_generation;

typedef struct ins_status_worker {
    uint64_t generation;
    unsigned index;
    int pid;
    apr_time_t started;
    unsigned connections, tls, busy, threads;
    uint64_t requests;
    int leaving; /* it has reached a limit, and a fresh one has its place */
} ins_status_worker;

/* Counters of one metric have the same words, and may stand apart. */
typedef struct ins_status_counter {
    const char *name;   /* "status_2xx" */
    const char *metric; /* "responses_total" */
    const char *labels; /* "class=\"2xx\"", or "" */
    const char *words;  /* what it counts */
    uint64_t value;
} ins_status_counter;

typedef struct ins_status_reload {
    apr_time_t when; /* of its end; 0: there was none yet */
    int64_t took_us;
    uint64_t generation; /* the one that served afterwards; 0 none */
    int ok;
    unsigned compiled, unchanged, errors;
    const char *what;  /* "start", "reload", "restart", ... */
    const char *stage; /* that refused it; "" where it went well */
    const char *words; /* all that was said about it, the compiler's output too */
} ins_status_reload;

typedef struct ins_status {
    unsigned version;           /* INS_STATUS_VERSION of the server */
    const char *server_version; /* "0.1.0" */
    int pid;                    /* the master's */
    apr_time_t started, now;
    uint64_t serving; /* the generation; 0 none */
    /* Where what serves is not of the config on disk (a rollback): the generation that it was first
     * made for; else 0. */
    uint64_t rollback_of;
    const char *step;      /* of a reload that is under way: "building", ...; NULL: there is none */
    apr_time_t step_since; /* when step was entered */
    int generation_count;
    const ins_status_generation *generations; /* newest first, also some that are over */
    int worker_count;
    const ins_status_worker *workers; /* the living, newest generation first */
    int counter_count;
    const ins_status_counter *counters;
    /* How long requests took: durations[i] of them up to duration_bounds_us[i] and above the bound
     * before; the last class has no bound. duration_us is the sum of all. */
    int duration_count;
    const int64_t *duration_bounds_us;
    const uint64_t *durations;
    uint64_t duration_us;
    ins_status_reload reload;
} ins_status;

/* As it is now, in r->pool. NULL where the server is older than version. */
INS_API const ins_status *ins_status_read(ins_request *r, unsigned version);

#ifdef __cplusplus
}
#endif

#endif
