/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every counter there is. A row: field, metric, labels, what is counted.
 *
 * The metric is what /metrics calls it, behind "instar_"; rows of one metric have the same words
 * and differ in their label. The field names it in JSON.
 *
 * Counters are kept over an upgrade of the binary, and old workers go on counting in them, so
 * the places are for ever: a new row goes to the END of its table, no row ever moves or goes.
 */
#ifndef SCOREBOARD_COUNTERS_H
#define SCOREBOARD_COUNTERS_H

#include <stdint.h>

/* clang-format off */
/* Counted by workers, each in its own slot. */
#define SB_COUNTERS(X) \
    X(requests,        "requests_total", "", "requests answered") \
    X(bytes_in,        "received_bytes_total", "", "bytes received, under TLS after decryption") \
    X(bytes_out,       "sent_bytes_total", "", "bytes of answers, under TLS before encryption") \
    X(status_1xx,      "responses_total", "class=\"1xx\"", "answers by class of status") \
    X(status_2xx,      "responses_total", "class=\"2xx\"", "answers by class of status") \
    X(status_3xx,      "responses_total", "class=\"3xx\"", "answers by class of status") \
    X(status_4xx,      "responses_total", "class=\"4xx\"", "answers by class of status") \
    X(status_5xx,      "responses_total", "class=\"5xx\"", "answers by class of status") \
    X(method_get,      "requests_by_method_total", "method=\"GET\"", "requests by method") \
    X(method_head,     "requests_by_method_total", "method=\"HEAD\"", "requests by method") \
    X(method_post,     "requests_by_method_total", "method=\"POST\"", "requests by method") \
    X(method_put,      "requests_by_method_total", "method=\"PUT\"", "requests by method") \
    X(method_delete,   "requests_by_method_total", "method=\"DELETE\"", "requests by method") \
    X(method_other,    "requests_by_method_total", "method=\"other\"", "requests by method") \
    X(errors,          "refused_requests_total", "", "requests refused as malformed or over a limit") \
    X(accepted,        "connections_accepted_total", "", "connections accepted, TLS and plain") \
    X(accepted_tls,    "connections_accepted_tls_total", "", "connections accepted that are to speak TLS") \
    X(tls_full,        "tls_handshakes_total", "kind=\"full\"", "TLS handshakes completed") \
    X(tls_resumed,     "tls_handshakes_total", "kind=\"resumed\"", "TLS handshakes completed") \
    X(tls_failed,      "tls_handshake_failures_total", "", "connections that ended within their TLS handshake") \
    X(handed_over,     "connections_handed_over_total", "", "connections handed to another worker, of a newer generation or in place of this one") \
    X(adopted,         "connections_adopted_total", "", "connections taken from another worker") \
    X(loop_moves,      "loop_moves_total", "", "times the loop left a blocking handler behind") \
    X(thread_limit,    "thread_limit_reached_total", "", "times ThreadsPerWorker was reached") \
    X(conn_limit,      "accept_pauses_total", "", "times accepting paused at MaxConnections or out of descriptors") \
    X(log_lost,        "log_lines_lost_total", "", "log lines that could not be written") \
    X(handlers_late,   "handlers_over_timeout_total", "", "handlers and hooks that ran for longer than HandlerTimeout") \
    X(handlers_killed, "handlers_killed_total", "", "handlers and hooks that ended with their worker at HandlerKillTimeout")

/* Counted by the master. */
#define SB_MASTER_COUNTERS(X) \
    X(reloads_ok,        "reloads_total", "outcome=\"ok\"", "reloads by their outcome") \
    X(reloads_failed,    "reloads_total", "outcome=\"failed\"", "reloads by their outcome") \
    X(failed_config,     "reload_failures_total", "stage=\"config\"", "failed reloads by the stage that refused") \
    X(failed_build,      "reload_failures_total", "stage=\"build\"", "failed reloads by the stage that refused") \
    X(failed_load,       "reload_failures_total", "stage=\"load\"", "failed reloads by the stage that refused") \
    X(failed_start,      "reload_failures_total", "stage=\"start\"", "failed reloads by the stage that refused") \
    X(failed_other,      "reload_failures_total", "stage=\"other\"", "failed reloads by the stage that refused") \
    X(modules_compiled,  "modules_compiled_total", "", "modules compiled for a reload") \
    X(modules_unchanged, "modules_unchanged_total", "", "modules that a reload took from BuildDirectory") \
    X(deaths_crash,      "worker_deaths_total", "cause=\"crash\"", "workers that ended unasked") \
    X(deaths_killed,     "worker_deaths_total", "cause=\"killed\"", "workers that ended unasked") \
    X(deaths_exit,       "worker_deaths_total", "cause=\"exit\"", "workers that ended unasked") \
    X(deaths_generation, "generation_deaths_total", "", "generation processes that ended unasked") \
    X(drains_cut,        "drains_cut_total", "", "draining generations that were cut at their deadline or for a newer one") \
    X(log_lost_aside,    "server_log_lines_lost_total", "", "error log lines that master and generation processes lost") \
    X(failed_probe,      "reload_failures_total", "stage=\"probe\"", "failed reloads by the stage that refused") \
    X(rollbacks,         "rollbacks_total", "", "rollbacks that went well, asked for or by probation") \
    X(replaced_memory, "worker_replacements_total", "reason=\"memory\"", "workers replaced by a fresh one at a limit") \
    X(replaced_connections, "worker_replacements_total", "reason=\"connections\"", "workers replaced by a fresh one at a limit") \
    X(replaced_handler, "worker_replacements_total", "reason=\"handler\"", "workers replaced by a fresh one at a limit")
/* clang-format on */

/* Upper bounds of the classes of a request's duration, in microseconds; the last class is open. */
#define SB_DURATION_BOUNDS                                                                         \
    {                                                                                              \
        100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,     \
            2500000, 5000000, 10000000                                                             \
    }

enum {
    SB_DURATIONS = 17,      /* classes: the bounds, and above them */
    SB_COUNTER_PLACES = 64, /* a slot's, used and free */
    SB_MASTER_PLACES = 64
};

/* Index of each. */
enum sb_counter {
#define X(name, metric, labels, words) SB_COUNTER_##name,
    SB_COUNTERS(X)
#undef X
        SB_COUNTER_COUNT
};
enum sb_master_counter {
#define X(name, metric, labels, words) SB_MASTER_##name,
    SB_MASTER_COUNTERS(X)
#undef X
        SB_MASTER_COUNT
};

struct sb_counter_row {
    const char *name, *metric, *labels, *words;
};
extern const struct sb_counter_row sb_counter_rows[SB_COUNTER_COUNT];
extern const struct sb_counter_row sb_master_rows[SB_MASTER_COUNT];
extern const uint32_t sb_duration_bounds[SB_DURATIONS - 1];

#endif
