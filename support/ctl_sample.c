/* SPDX-License-Identifier: Apache-2.0 */
/* A sample of the running server: what the master says (master/sample.h), and what /proc says
 * about its processes. */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

/* ---- The master's lines --------------------------------------------------- */

static void read_counter(struct sample *s, const char *name, uint64_t value)
{
    const struct {
        const char *name;
        uint64_t *at;
    } wanted[] = { { "requests", &s->requests },     { "accepted", &s->accepted },
                   { "bytes_in", &s->bytes_in },     { "bytes_out", &s->bytes_out },
                   { "status_4xx", &s->status_4xx }, { "status_5xx", &s->status_5xx } };

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strcmp(wanted[i].name, name) == 0) {
            *wanted[i].at = value;
        }
    }
}

static bool read_generation(struct sample *s, const char *line)
{
    struct sampled_generation g = { 0 };

    if (sscanf(line, "generation %" SCNu64 " %15s %d %u %u %u %u %" SCNd64 " %" SCNd64 " %23s",
               &g.number, g.state, &g.pid, &g.workers, &g.connections, &g.tls, &g.busy, &g.for_ms,
               &g.cut_in_ms, g.why) != 10) {
        return false;
    }
    s->generations[s->generation_count++] = g;
    return true;
}

static bool read_worker(struct sample *s, const char *line)
{
    struct sampled_worker w = { 0 };

    if (sscanf(line, "worker %" SCNu64 " %u %d %u %u %u %u %" SCNu64, &w.generation, &w.index,
               &w.pid, &w.connections, &w.tls, &w.busy, &w.threads, &w.requests) != 8) {
        return false;
    }
    s->workers[s->worker_count++] = w;
    return true;
}

/* A line that is not understood is of a newer server. */
static void read_line(struct sample *s, const char *line)
{
    uint64_t value;
    int64_t bound;
    char name[64];

    if (read_generation(s, line) || read_worker(s, line)) {
        return;
    }
    if (sscanf(line, "counter %63s %" SCNu64, name, &value) == 2) {
        read_counter(s, name, value);
    }
    else if (sscanf(line, "duration %" SCNd64 " %" SCNu64, &bound, &value) == 2) {
        if (s->duration_count < SAMPLE_DURATIONS) {
            s->bounds_us[s->duration_count] = bound;
            s->durations[s->duration_count++] = value;
        }
    }
    else if (strncmp(line, "reload ", 7) == 0) {
        (void)snprintf(s->last_reload, sizeof(s->last_reload), "%s", line + 7);
    }
    else if (sscanf(line, "step %15s", s->step) != 1) {
        (void)sscanf(line, "server %31s %d %" SCNd64, s->version, &s->pid, &s->uptime);
    }
}

/* ---- /proc ---------------------------------------------------------------- */

/* The times stand behind the name, which may hold blanks and brackets. */
static void read_cpu(struct sampled_worker *w)
{
    uint64_t user = 0, system = 0;
    char path[64], text[1024];
    const char *behind;
    FILE *file;
    size_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", w->pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    n = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    behind = strrchr(text, ')');
    if (behind != NULL &&
        sscanf(behind + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64,
               &user, &system) == 2) {
        w->cpu_ticks = user + system;
    }
}

static void read_rss(struct sampled_worker *w)
{
    uint64_t pages = 0;
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", w->pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fscanf(file, "%*s %" SCNu64, &pages) == 1) {
        w->rss = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    (void)fclose(file);
}

/* ---- Samples --------------------------------------------------------------- */

static int count_lines(const char *text)
{
    int count = 1;

    for (; *text; text++) {
        count += *text == '\n';
    }
    return count;
}

struct sample *sample_take(const struct whereabouts *w, apr_pool_t *pool)
{
    const char *answer = ctl_ask(w, "sample", pool);
    struct sample *s;
    char *text, *line, *state = NULL;
    size_t count;

    if (answer == NULL) {
        return NULL;
    }
    count = (size_t)count_lines(answer);
    s = apr_pcalloc(pool, sizeof(*s));
    s->generations = apr_pcalloc(pool, count * sizeof(*s->generations));
    s->workers = apr_pcalloc(pool, count * sizeof(*s->workers));
    s->at = ctl_now();
    text = apr_pstrdup(pool, answer);
    for (line = strtok_r(text, "\n", &state); line != NULL; line = strtok_r(NULL, "\n", &state)) {
        read_line(s, line);
    }
    for (int i = 0; i < s->worker_count; i++) {
        read_cpu(&s->workers[i]);
        read_rss(&s->workers[i]);
    }
    return s;
}

double sample_quantile(const struct sample *before, const struct sample *now, double quantile)
{
    uint64_t counts[SAMPLE_DURATIONS] = { 0 }, sum = 0;
    double wanted, seen = 0, below = 0;

    for (int i = 0; i < now->duration_count; i++) {
        counts[i] = now->durations[i] - before->durations[i];
        sum += counts[i];
    }
    if (sum == 0) {
        return -1;
    }
    wanted = quantile * (double)sum;
    for (int i = 0; i < now->duration_count - 1; i++) {
        double bound = (double)now->bounds_us[i];

        if (seen + (double)counts[i] >= wanted && counts[i] > 0) {
            return below + (bound - below) * (wanted - seen) / (double)counts[i];
        }
        seen += (double)counts[i];
        below = bound;
    }
    return below; /* above the last bound: at least that */
}

double sample_cpu(const struct sample *before, const struct sample *now,
                  const struct sampled_worker *w)
{
    double seconds = now->at - before->at;

    for (int i = 0; i < before->worker_count; i++) {
        const struct sampled_worker *old = &before->workers[i];

        if (old->pid == w->pid && w->cpu_ticks >= old->cpu_ticks && seconds > 0) {
            return 100.0 * (double)(w->cpu_ticks - old->cpu_ticks) / (double)sysconf(_SC_CLK_TCK) /
                   seconds;
        }
    }
    return -1;
}
