/* SPDX-License-Identifier: Apache-2.0 */
/* instarctl top: a live view in the terminal; plain lines where the output is none, or with -n. */
#include "ctl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/verbs.h"

/* ---- Words ---------------------------------------------------------------- */

static const char *duration(double us, apr_pool_t *pool)
{
    if (us < 0) {
        return "-";
    }
    if (us < 1000) {
        return apr_psprintf(pool, "%.0f us", us);
    }
    return us < 1e6 ? apr_psprintf(pool, "%.1f ms", us / 1000)
                    : apr_psprintf(pool, "%.1f s", us / 1e6);
}

static const char *bytes(double n, apr_pool_t *pool)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;

    while (n >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        n /= 1024;
        unit++;
    }
    return apr_psprintf(pool, unit > 0 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static const char *percent(double value, apr_pool_t *pool)
{
    return value < 0 ? "-" : apr_psprintf(pool, "%.0f%%", value);
}

static double rate(uint64_t before, uint64_t now, double seconds)
{
    return seconds > 0 && now >= before ? (double)(now - before) / seconds : 0;
}

static void sum_workers(const struct sample *before, const struct sample *now,
                        unsigned *connections, unsigned *busy, double *cpu, double *rss)
{
    *connections = *busy = 0;
    *cpu = *rss = 0;
    for (int i = 0; i < now->worker_count; i++) {
        double used = sample_cpu(before, now, &now->workers[i]);

        *connections += now->workers[i].connections;
        *busy += now->workers[i].busy;
        *cpu += used > 0 ? used : 0;
        *rss += (double)now->workers[i].rss;
    }
}

/* ---- Plain ----------------------------------------------------------------- */

static void plain_head(void)
{
    (void)printf("%-8s %9s %7s %7s %9s %9s %6s %6s %11s %11s %5s %10s  %s\n", "time", "requests/s",
                 "conns", "busy", "p50", "p99", "4xx/s", "5xx/s", "in/s", "out/s", "CPU", "memory",
                 "generations");
}

static const char *generation_words(const struct sample *s, apr_pool_t *pool)
{
    const char *words = "";

    for (int i = 0; i < s->generation_count; i++) {
        words = apr_psprintf(pool, "%s%s%" PRIu64 " %s", words, i > 0 ? ", " : "",
                             s->generations[i].number, s->generations[i].state);
    }
    return words;
}

static void plain_line(const struct sample *before, const struct sample *now, apr_pool_t *pool)
{
    double seconds = now->at - before->at, cpu, rss;
    unsigned connections, busy;
    time_t wall = time(NULL);
    struct tm tm;
    char clock[16];

    (void)localtime_r(&wall, &tm);
    (void)strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    sum_workers(before, now, &connections, &busy, &cpu, &rss);
    (void)printf("%-8s %10.0f %7u %7u %9s %9s %6.0f %6.0f %11s %11s %5s %10s  %s\n", clock,
                 rate(before->requests, now->requests, seconds), connections, busy,
                 duration(sample_quantile(before, now, 0.5), pool),
                 duration(sample_quantile(before, now, 0.99), pool),
                 rate(before->status_4xx, now->status_4xx, seconds),
                 rate(before->status_5xx, now->status_5xx, seconds),
                 bytes(rate(before->bytes_in, now->bytes_in, seconds), pool),
                 bytes(rate(before->bytes_out, now->bytes_out, seconds), pool), percent(cpu, pool),
                 bytes(rss, pool), generation_words(now, pool));
    (void)fflush(stdout);
}

/* ---- The screen ------------------------------------------------------------- */

static struct termios cooked;
static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static void screen_open(void)
{
    struct termios raw = cooked;

    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    (void)fputs("\033[?1049h\033[?25l", stdout); /* another screen, no cursor */
    (void)fflush(stdout);
}

static void screen_close(void)
{
    (void)fputs("\033[?25h\033[?1049l", stdout);
    (void)fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

/* ^Z: the shell gets its terminal as it was. */
static void sleep_in_background(void)
{
    stopped = 0;
    screen_close();
    (void)raise(SIGSTOP);
    screen_open();
}

struct screen {
    unsigned rows, columns, used;
    bool colour;
};

/* One row, cut at the right edge. */
__attribute__((format(printf, 3, 4))) static void row(struct screen *screen, const char *style,
                                                      const char *format, ...)
{
    char text[512];
    va_list args;

    if (screen->used + 1 >= screen->rows) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    screen->used++;
    (void)printf("%s%.*s%s\033[K\r\n", screen->colour ? style : "", (int)screen->columns, text,
                 screen->colour && *style ? "\033[0m" : "");
}

static void show_head(struct screen *screen, const struct sample *before, const struct sample *now,
                      apr_pool_t *pool)
{
    double seconds = now->at - before->at, cpu, rss;
    unsigned connections, busy;

    sum_workers(before, now, &connections, &busy, &cpu, &rss);
    row(screen, "\033[1m", "Instar/%s  pid %d  up %" PRId64 ":%02" PRId64 ":%02" PRId64,
        now->version, now->pid, now->uptime / 3600, now->uptime / 60 % 60, now->uptime % 60);
    row(screen, "",
        "%.0f requests/s   %u connections (%.0f new/s)   %u busy   4xx %.0f/s   5xx %.0f/s",
        rate(before->requests, now->requests, seconds), connections,
        rate(before->accepted, now->accepted, seconds), busy,
        rate(before->status_4xx, now->status_4xx, seconds),
        rate(before->status_5xx, now->status_5xx, seconds));
    row(screen, "", "p50 %s   p99 %s   in %s/s   out %s/s   CPU %s   memory %s",
        duration(sample_quantile(before, now, 0.5), pool),
        duration(sample_quantile(before, now, 0.99), pool),
        bytes(rate(before->bytes_in, now->bytes_in, seconds), pool),
        bytes(rate(before->bytes_out, now->bytes_out, seconds), pool), percent(cpu, pool),
        bytes(rss, pool));
    row(screen, "", "%s", now->last_reload);
    if (now->step[0]) {
        row(screen, "\033[33m", "a reload is %s", now->step);
    }
    row(screen, "", "%s", "");
}

static void show_generations(struct screen *screen, const struct sample *now, apr_pool_t *pool)
{
    row(screen, "\033[7m", "%10s %-9s %8s %10s %8s %6s %6s %6s  %s", "GENERATION", "STATE", "PID",
        "FOR", "WORKERS", "CONNS", "TLS", "BUSY", "");
    for (int i = 0; i < now->generation_count; i++) {
        const struct sampled_generation *g = &now->generations[i];
        const char *end = g->cut_in_ms >= 0
                              ? apr_psprintf(pool, "cut in %" PRId64 " s", g->cut_in_ms / 1000)
                              : "";

        row(screen, strcmp(g->state, "serving") == 0 ? "\033[32m" : "\033[36m",
            "%10" PRIu64 " %-9s %8d %8" PRId64 " s %8u %6u %6u %6u  %s %s", g->number, g->state,
            g->pid, g->for_ms / 1000, g->workers, g->connections, g->tls, g->busy,
            g->why[0] == '-' ? "" : g->why, end);
    }
    row(screen, "", "%s", "");
}

static void show_workers(struct screen *screen, const struct sample *before,
                         const struct sample *now, apr_pool_t *pool)
{
    row(screen, "\033[7m", "%10s %8s %6s %10s %8s %6s %6s %8s %12s", "WORKER", "PID", "CPU",
        "MEMORY", "CONNS", "TLS", "BUSY", "THREADS", "REQUESTS");
    for (int i = 0; i < now->worker_count; i++) {
        const struct sampled_worker *w = &now->workers[i];

        row(screen, "", "%10s %8d %6s %10s %8u %6u %6u %8u %12" PRIu64,
            apr_psprintf(pool, "%" PRIu64 ".%u", w->generation, w->index), w->pid,
            percent(sample_cpu(before, now, w), pool), bytes((double)w->rss, pool), w->connections,
            w->tls, w->busy, w->threads, w->requests);
    }
}

static void show(const struct request *r, const struct sample *before, const struct sample *now,
                 apr_pool_t *pool)
{
    struct screen screen = { .rows = 24, .columns = 80, .colour = r->cli.colour };
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 && size.ws_col > 10) {
        screen.rows = size.ws_row;
        screen.columns = size.ws_col;
    }
    (void)fputs("\033[H", stdout);
    show_head(&screen, before, now, pool);
    show_generations(&screen, now, pool);
    show_workers(&screen, before, now, pool);
    (void)fputs("\033[J", stdout);
    (void)printf("\033[%u;1Hq: quit", screen.rows);
    (void)fflush(stdout);
}

/* ---- The verb ---------------------------------------------------------------- */

/* Samples live in two pools in turn: the one before is still needed. */
struct series {
    apr_pool_t *pools[2];
    int turn;
    struct sample *before, *now;
};

static bool sample_next(struct series *series, const struct whereabouts *w)
{
    apr_pool_t *pool = series->pools[series->turn];

    apr_pool_clear(pool);
    series->before = series->now;
    series->now = sample_take(w, pool);
    series->turn = !series->turn;
    return series->now != NULL;
}

static int gone(const struct request *r)
{
    return ctl_ended
               ? VERB_DONE
               : cli_problem(&r->cli, VERB_NOT_RUNNING, "the server does not answer any more");
}

static int run_plain(struct request *r, const struct whereabouts *w, struct series *series)
{
    apr_pool_t *pool;

    plain_head();
    for (int i = 0; r->count < 0 || i < r->count; i++) {
        (void)ctl_wait(r->interval, false);
        if (ctl_ended) {
            return VERB_DONE;
        }
        if (!sample_next(series, w)) {
            return gone(r);
        }
        (void)apr_pool_create(&pool, r->cli.pool);
        plain_line(series->before, series->now, pool);
        apr_pool_destroy(pool);
    }
    return VERB_DONE;
}

static bool screen_turn(struct request *r, const struct whereabouts *w, struct series *series)
{
    apr_pool_t *pool;
    int key;

    (void)apr_pool_create(&pool, r->cli.pool);
    show(r, series->before, series->now, pool);
    apr_pool_destroy(pool);
    do {
        key = ctl_wait(r->interval, true);
        if (key == 'q' || key == 'Q' || ctl_ended) {
            ctl_ended = 1;
            return false;
        }
        if (stopped) {
            sleep_in_background();
        }
    } while (key != 0);
    return sample_next(series, w);
}

static int run_screen(struct request *r, const struct whereabouts *w, struct series *series)
{
    struct sigaction stop = { .sa_handler = on_stop };

    (void)sigaction(SIGTSTP, &stop, NULL);
    screen_open();
    /* The first figures need two samples; they come soon. */
    (void)ctl_wait(0.2, false);
    if (sample_next(series, w)) {
        while (screen_turn(r, w, series)) {
        }
    }
    screen_close();
    return gone(r);
}

int do_top(struct request *r, const struct whereabouts *w)
{
    struct series series = { .turn = 0 };

    (void)apr_pool_create(&series.pools[0], r->cli.pool);
    (void)apr_pool_create(&series.pools[1], r->cli.pool);
    ctl_catch_end();
    if (!sample_next(&series, w)) {
        return gone(r);
    }
    if (r->count < 0 && isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &cooked) == 0) {
        return run_screen(r, w, &series);
    }
    return run_plain(r, w, &series);
}
