/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text exposition format, version 0.0.4. Labels have few values, however long the
 * server runs: generations are told apart by what they do, not by number, and workers of the
 * serving generation by their index. */
#include <string.h>

#include "view.h"

static void head(ins_request *r, const char *metric, const char *type, const char *words)
{
    ins_printf(r, "# HELP instar_%s %s\n# TYPE instar_%s %s\n", metric, words, metric, type);
}

static void gauge(ins_request *r, const char *metric, const char *words, int64_t value)
{
    head(r, metric, "gauge", words);
    ins_printf(r, "instar_%s %lld\n", metric, (long long)value);
}

/* To the microsecond, in seconds. */
static void time_gauge(ins_request *r, const char *metric, const char *words, int64_t us)
{
    head(r, metric, "gauge", words);
    ins_printf(r, "instar_%s %lld.%06lld\n", metric, (long long)us / 1000000,
               (long long)us % 1000000);
}

static int came_before(const ins_status *s, int at)
{
    for (int i = 0; i < at; i++) {
        if (strcmp(s->counters[i].metric, s->counters[at].metric) == 0) {
            return 1;
        }
    }
    return 0;
}

static void counter(ins_request *r, const ins_status_counter *c)
{
    if (c->labels[0]) {
        ins_printf(r, "instar_%s{%s} %llu\n", c->metric, c->labels, (unsigned long long)c->value);
    }
    else {
        ins_printf(r, "instar_%s %llu\n", c->metric, (unsigned long long)c->value);
    }
}

/* All of a metric's stand together, as the format wants it. */
static void counters(ins_request *r, const ins_status *s)
{
    for (int i = 0; i < s->counter_count; i++) {
        if (came_before(s, i)) {
            continue;
        }
        head(r, s->counters[i].metric, "counter", s->counters[i].words);
        for (int k = i; k < s->counter_count; k++) {
            if (strcmp(s->counters[k].metric, s->counters[i].metric) == 0) {
                counter(r, &s->counters[k]);
            }
        }
    }
}

static void durations(ins_request *r, const ins_status *s)
{
    unsigned long long below = 0;

    head(r, "request_duration_seconds", "histogram",
         "time from a request's first byte to its whole answer");
    for (int i = 0; i < s->duration_count - 1; i++) {
        double seconds = (double)s->duration_bounds_us[i] / 1e6;

        below += s->durations[i];
        ins_printf(r, "instar_request_duration_seconds_bucket{le=\"%g\"} %llu\n", seconds, below);
    }
    below += s->durations[s->duration_count - 1];
    ins_printf(r,
               "instar_request_duration_seconds_bucket{le=\"+Inf\"} %llu\n"
               "instar_request_duration_seconds_sum %llu.%06llu\n"
               "instar_request_duration_seconds_count %llu\n",
               below, (unsigned long long)s->duration_us / 1000000,
               (unsigned long long)s->duration_us % 1000000, below);
}

/* ---- By what the generation does ---------------------------------------- */

static const char *const states[] = { "starting", "serving", "draining" };
enum { STATES = sizeof(states) / sizeof(states[0]) };

struct sums {
    unsigned generations, workers, plain, tls, busy;
};

static void sum_states(const ins_status *s, struct sums sums[STATES])
{
    memset(sums, 0, STATES * sizeof(*sums));
    for (int i = 0; i < s->generation_count; i++) {
        const ins_status_generation *g = &s->generations[i];

        for (int state = 0; state < STATES; state++) {
            if (strcmp(g->state, states[state]) == 0) {
                sums[state].generations++;
                sums[state].workers += g->workers;
                sums[state].tls += g->tls;
                sums[state].plain += g->connections > g->tls ? g->connections - g->tls : 0;
                sums[state].busy += g->busy;
            }
        }
    }
}

static void by_state(ins_request *r, const ins_status *s)
{
    struct sums sums[STATES];

    sum_states(s, sums);
    head(r, "generations", "gauge", "generations by what they do");
    for (int i = 0; i < STATES; i++) {
        ins_printf(r, "instar_generations{state=\"%s\"} %u\n", states[i], sums[i].generations);
    }
    head(r, "workers", "gauge", "living workers by what their generation does");
    for (int i = 0; i < STATES; i++) {
        ins_printf(r, "instar_workers{state=\"%s\"} %u\n", states[i], sums[i].workers);
    }
    head(r, "connections", "gauge", "open connections by what their generation does");
    for (int i = 0; i < STATES; i++) {
        ins_printf(r,
                   "instar_connections{state=\"%s\",kind=\"plain\"} %u\n"
                   "instar_connections{state=\"%s\",kind=\"tls\"} %u\n",
                   states[i], sums[i].plain, states[i], sums[i].tls);
    }
    head(r, "busy_requests", "gauge", "requests that a handler has, by what its generation does");
    for (int i = 0; i < STATES; i++) {
        ins_printf(r, "instar_busy_requests{state=\"%s\"} %u\n", states[i], sums[i].busy);
    }
}

/* ---- By worker of the serving generation --------------------------------- */

static unsigned value_of(const ins_status_worker *w, int which)
{
    return which == 0 ? w->connections : which == 1 ? w->busy : w->threads;
}

static void by_worker(ins_request *r, const ins_status *s)
{
    static const char *const metrics[][2] = {
        { "worker_connections", "open connections of each worker that serves" },
        { "worker_busy_requests", "requests that a handler of the worker has" },
        { "worker_threads", "threads of each worker that serves" },
    };

    for (int which = 0; which < 3; which++) {
        head(r, metrics[which][0], "gauge", metrics[which][1]);
        for (int i = 0; i < s->worker_count; i++) {
            const ins_status_worker *w = &s->workers[i];

            if (w->generation == s->serving && !w->leaving) {
                ins_printf(r, "instar_%s{worker=\"%u\"} %u\n", metrics[which][0], w->index,
                           value_of(w, which));
            }
        }
    }
}

static void last_reload(ins_request *r, const ins_status *s)
{
    gauge(r, "last_reload_success", "1 where the last reload (or the start) went well",
          s->reload.ok);
    time_gauge(r, "last_reload_timestamp_seconds", "when the last reload ended", s->reload.when);
    time_gauge(r, "last_reload_duration_seconds", "how long the last reload took",
               s->reload.took_us);
}

int status_metrics(ins_request *r, const ins_status *s)
{
    ins_set_type(r, "text/plain; version=0.0.4; charset=utf-8");
    head(r, "build_info", "gauge", "the server's version, always 1");
    ins_printf(r, "instar_build_info{version=\"%s\"} 1\n", s->server_version);
    time_gauge(r, "start_time_seconds", "when the server was started", s->started);
    gauge(r, "serving_generation", "number of the generation that serves", (int64_t)s->serving);
    gauge(r, "serving_rollback", "1 while what serves is not of the config on disk",
          s->rollback_of != 0);
    by_state(r, s);
    by_worker(r, s);
    last_reload(r, s);
    counters(r, s);
    durations(r, s);
    return INS_OK;
}
