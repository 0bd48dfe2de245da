/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a generation inherits from the master at fork, and nothing else: plain
 * data in the copied memory and the descriptors named here. main.c joins the
 * two sides, so that the master includes nothing of the generation's.
 */
#ifndef IPC_LAUNCH_H
#define IPC_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_pools.h>

struct conf;         /* config/conf.h: the tree and the process settings */
struct diags;        /* util/diag.h */
struct listener_set; /* util/listener.h */
struct build_list;   /* builder/builder.h */
struct log_set;      /* config/logs.h: the log files the master has opened */
struct scoreboard;   /* scoreboard/scoreboard.h */
struct staple_board; /* util/staple_board.h */
struct ticket_ring;  /* util/ticket_ring.h */

/* -S, -M, -L: check_only, then print to standard output. */
enum launch_dump {
    DUMP_NOTHING,
    DUMP_HOSTS,
    DUMP_MODULES,
    DUMP_DIRECTIVES,
    DUMP_DIRECTIVES_MD,
    DUMP_DIRECTIVES_MAN,
    DUMP_ROUTES
};

/* DUMP_ROUTES: what is asked, and where the answer goes. */
struct launch_query {
    const char *path, *method, *host; /* path and host may be NULL */
    bool json;
    int output; /* a memfd */
};

struct launch {
    uint64_t number;
    enum launch_dump dump;
    const struct launch_query *query; /* of DUMP_ROUTES, else NULL */
    const struct conf *conf;
    struct diags *scan;                   /* what the master found wrong; never NULL */
    bool check_only;                      /* configtest, or scan has errors: load, report, exit */
    const struct listener_set *listeners; /* empty in check_only */
    const struct build_list *builds;
    const struct log_set *logs;
    struct scoreboard *board;
    const struct ticket_ring *tickets;
    struct staple_board *staples;
    int master_fd; /* this generation's pair */
    int build_dir; /* open BuildDirectory, for relative dlopen */
};

/* Given to the master by main.c. run() does not return; run_single() (-X)
 * returns the exit status. */
struct launch_ops {
    void (*run)(const struct launch *launch);
    int (*run_single)(const struct launch *launch);
};

#endif
