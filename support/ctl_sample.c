/* SPDX-License-Identifier: Apache-2.0 */
/* A sample of the running server: what the master says (master/sample.h), and what /proc says
 * about its processes. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

/* ---- Lines of words --------------------------------------------------------- */

/* What is left of a line; not good from the first word on that is not what it should be. */
struct words {
    const char *at;
    bool good;
};

static void take_word(struct words *w, char *to, size_t size)
{
    size_t len;

    w->at += strspn(w->at, " ");
    len = strcspn(w->at, " ");
    w->good = w->good && len > 0 && len < size;
    if (w->good) {
        memcpy(to, w->at, len);
        to[len] = '\0';
        w->at += len;
    }
}

static int64_t take_signed(struct words *w)
{
    char text[24], *end = text;
    int64_t value;

    text[0] = '\0';
    take_word(w, text, sizeof(text));
    value = strtoll(text, &end, 10);
    w->good = w->good && end != text && *end == '\0';
    return value;
}

static uint64_t take_number(struct words *w)
{
    int64_t value = take_signed(w);

    w->good = w->good && value >= 0;
    return w->good ? (uint64_t)value : 0;
}

static unsigned take_unsigned(struct words *w)
{
    return (unsigned)take_number(w);
}

/* ---- The master's lines ------------------------------------------------------- */

static void read_server(struct sample *s, struct words *w)
{
    take_word(w, s->version, sizeof(s->version));
    s->pid = (int)take_number(w);
    s->uptime = take_signed(w);
}

static void read_step(struct sample *s, struct words *w)
{
    take_word(w, s->step, sizeof(s->step));
}

static void read_generation(struct sample *s, struct words *w)
{
    struct sampled_generation *g = &s->generations[s->generation_count];

    g->number = take_number(w);
    take_word(w, g->state, sizeof(g->state));
    g->pid = (int)take_number(w);
    g->workers = take_unsigned(w);
    g->connections = take_unsigned(w);
    g->tls = take_unsigned(w);
    g->busy = take_unsigned(w);
    g->for_ms = take_signed(w);
    g->cut_in_ms = take_signed(w);
    take_word(w, g->why, sizeof(g->why));
    s->generation_count += w->good;
}

static void read_worker(struct sample *s, struct words *w)
{
    struct sampled_worker *worker = &s->workers[s->worker_count];

    worker->generation = take_number(w);
    worker->index = take_unsigned(w);
    worker->pid = (int)take_number(w);
    worker->connections = take_unsigned(w);
    worker->tls = take_unsigned(w);
    worker->busy = take_unsigned(w);
    worker->threads = take_unsigned(w);
    worker->requests = take_number(w);
    s->worker_count += w->good;
}

static void read_counter(struct sample *s, struct words *w)
{
    const struct {
        const char *name;
        uint64_t *at;
    } wanted[] = { { "requests", &s->requests },     { "accepted", &s->accepted },
                   { "bytes_in", &s->bytes_in },     { "bytes_out", &s->bytes_out },
                   { "status_4xx", &s->status_4xx }, { "status_5xx", &s->status_5xx } };
    char name[64] = "";
    uint64_t value;

    take_word(w, name, sizeof(name));
    value = take_number(w);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strcmp(wanted[i].name, name) == 0) {
            *wanted[i].at = value;
        }
    }
}

static void read_duration(struct sample *s, struct words *w)
{
    if (s->duration_count < SAMPLE_DURATIONS) {
        s->bounds_us[s->duration_count] = take_signed(w);
        s->durations[s->duration_count] = take_number(w);
        s->duration_count += w->good;
    }
}

static void read_reload(struct sample *s, struct words *w)
{
    (void)snprintf(s->last_reload, sizeof(s->last_reload), "%s", w->at + strspn(w->at, " "));
}

static const struct {
    const char *name;
    void (*read)(struct sample *s, struct words *w);
} line_kinds[] = {
    { "server", read_server }, { "step", read_step },       { "generation", read_generation },
    { "worker", read_worker }, { "counter", read_counter }, { "duration", read_duration },
    { "reload", read_reload },
};

/* A line of another kind is of a newer server. */
static void read_line(struct sample *s, const char *line)
{
    struct words w = { .at = line, .good = true };
    char kind[24] = "";

    take_word(&w, kind, sizeof(kind));
    for (size_t i = 0; i < sizeof(line_kinds) / sizeof(line_kinds[0]); i++) {
        if (strcmp(line_kinds[i].name, kind) == 0) {
            line_kinds[i].read(s, &w);
        }
    }
}

/* ---- /proc ---------------------------------------------------------------- */

enum { USER_TIME_AT = 11 }; /* words behind the state, which follows the name */

static bool read_file(const char *name, int pid, char *text, size_t size)
{
    char path[64];
    FILE *file;
    size_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    n = fread(text, 1, size - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return n > 0;
}

/* The times stand behind the name, which may hold blanks and brackets. */
static void read_cpu(struct sampled_worker *worker)
{
    char text[1024], word[32];
    struct words w = { .good = true };
    uint64_t ticks;

    if (!read_file("stat", worker->pid, text, sizeof(text)) || strrchr(text, ')') == NULL) {
        return;
    }
    w.at = strrchr(text, ')') + 1;
    for (int i = 0; i < USER_TIME_AT; i++) {
        take_word(&w, word, sizeof(word));
    }
    ticks = take_number(&w);
    ticks += take_number(&w);
    worker->cpu_ticks = w.good ? ticks : 0;
}

static void read_rss(struct sampled_worker *worker)
{
    char text[256];
    struct words w = { .at = text, .good = true };

    if (read_file("statm", worker->pid, text, sizeof(text))) {
        (void)take_number(&w);
        worker->rss = take_number(&w) * (uint64_t)sysconf(_SC_PAGESIZE);
    }
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
