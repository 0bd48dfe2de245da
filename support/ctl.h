/* SPDX-License-Identifier: Apache-2.0 */
/* What instarctl's files share: the request as it was typed, and the verbs that are more than
 * a question and its answer. */
#ifndef CTL_H
#define CTL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_tables.h>

#include "cli.h"

struct request {
    struct cli cli;
    const char *verb;
    int operand_count;
    char **operands;
    int count;                     /* -n; -1 not given */
    double interval;               /* -i, seconds */
    const char *method, *host;     /* --method, --host */
    apr_array_header_t *passed_on; /* const char *: -f, -d, -D, -c as given */
};

/* Set by SIGINT and SIGTERM once ctl_catch_end() was called. */
extern volatile sig_atomic_t ctl_ended;
void ctl_catch_end(void);
/* So long, or until a key was pressed or a signal came: the key, 0 none. */
int ctl_wait(double seconds, bool keys);
double ctl_now(void);

/* One answer of the running server; NULL where it does not answer, within the moment that an
 * upgrade of its binary takes. */
const char *ctl_ask(const struct whereabouts *w, const char *verb, apr_pool_t *pool);

int do_top(struct request *r, const struct whereabouts *w);
int do_tail(struct request *r, const struct whereabouts *w);

/* ---- ctl_sample.c: what `top` looks at ---------------------------------- */

struct sampled_worker {
    uint64_t generation, requests;
    unsigned index, connections, tls, busy, threads;
    int pid;
    uint64_t cpu_ticks; /* user and system */
    uint64_t rss;       /* bytes */
};

struct sampled_generation {
    uint64_t number;
    char state[16], why[24];
    int64_t for_ms, cut_in_ms; /* -1: no deadline */
    int pid;
    unsigned workers, connections, tls, busy;
};

enum { SAMPLE_DURATIONS = 32 };

struct sample {
    double at; /* monotonic seconds */
    char version[32], step[16], last_reload[512];
    int pid;
    int64_t uptime;
    uint64_t requests, accepted, bytes_in, bytes_out, status_4xx, status_5xx;
    int generation_count, worker_count;
    struct sampled_generation *generations; /* newest first */
    struct sampled_worker *workers;
    int duration_count;
    int64_t bounds_us[SAMPLE_DURATIONS]; /* the last one is open */
    uint64_t durations[SAMPLE_DURATIONS];
};

/* NULL where the server does not answer. */
struct sample *sample_take(const struct whereabouts *w, apr_pool_t *pool);
/* Of the requests between two samples, in microseconds: interpolated; -1 there were none. */
double sample_quantile(const struct sample *before, const struct sample *now, double quantile);
/* Percent of one CPU that a worker used between two samples; -1 unknown. */
double sample_cpu(const struct sample *before, const struct sample *now,
                  const struct sampled_worker *w);

#endif
