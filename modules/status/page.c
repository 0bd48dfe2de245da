/* SPDX-License-Identifier: Apache-2.0 */
/* The page for people: plain HTML and CSS, light and dark, no script. With ?refresh=N it loads
 * itself again every N seconds. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "view.h"

enum { SHOWN_GENERATIONS = 16, REFRESH_MAX = 3600 };

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--back:#fff;"
    "--card:#f6f8fa;--starting:#9a6700;--serving:#1a7f37;--draining:#0969da;--failed:#cf222e;"
    "--exited:#8c959f}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;"
    "--back:#0d1117;--card:#151b23;--starting:#d29922;--serving:#3fb950;--draining:#4493f8;"
    "--failed:#f85149;--exited:#656c76}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;padding:1rem;max-width:64rem;background:var(--back);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "p{margin:.25rem 0}.soft{color:var(--soft)}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.75rem;"
    "margin:1rem 0;padding:0}"
    ".tiles div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;"
    "padding:.6rem .75rem}"
    ".tiles dt{color:var(--soft);font-size:.85rem}"
    ".tiles dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums}"
    ".line{list-style:none;margin:0;padding:0}.line li{padding:.5rem 0;border-top:1px solid "
    "var(--line)}"
    ".state{display:inline-block;padding:0 .5rem;border-radius:1rem;color:#fff;font-size:.85rem;"
    "font-weight:600}"
    "@media(prefers-color-scheme:dark){.state{color:#0d1117}}"
    ".bar,.axis{position:relative;height:.8rem;margin:.35rem 0;background:var(--card);"
    "border-radius:.4rem;overflow:hidden}"
    ".bar span{position:absolute;top:0;bottom:0;min-width:3px}"
    ".axis{height:1.4rem;background:none;color:var(--soft);font-size:.8rem;overflow:visible}"
    ".axis span{position:absolute;transform:translateX(-50%);white-space:nowrap}"
    ".axis span:last-child{transform:translateX(-100%)}"
    ".starting,.building,.probing{background:var(--starting)}.serving{background:var(--serving)}"
    ".draining{background:var(--draining)}.failed{background:var(--failed)}"
    ".exited{background:var(--exited)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);"
    "white-space:nowrap}.text td:first-child{white-space:normal}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}th{color:var(--soft);"
    "font-weight:600}"
    "pre{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem;"
    "overflow-x:auto;font-size:.85rem;margin:.5rem 0}"
    ".bad{color:var(--failed);font-weight:600}.good{color:var(--serving);font-weight:600}";

/* ---- Words -------------------------------------------------------------- */

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static const char *span(ins_request *r, int64_t us)
{
    long long ms = us / 1000, s = ms / 1000;

    if (us < 0) {
        return "0 s";
    }
    if (us < 10000) {
        return ins_sprintf(r, "%lld.%lld ms", ms, (long long)us / 100 % 10);
    }
    if (s < 1) {
        return ins_sprintf(r, "%lld ms", ms);
    }
    if (s < 60) {
        return ins_sprintf(r, "%lld.%lld s", s, ms / 100 % 10);
    }
    if (s < 3600) {
        return ins_sprintf(r, "%lld min %lld s", s / 60, s % 60);
    }
    if (s < 86400) {
        return ins_sprintf(r, "%lld h %lld min", s / 3600, s / 60 % 60);
    }
    return ins_sprintf(r, "%lld d %lld h", s / 86400, s / 3600 % 24);
}

static const char *time_words(ins_request *r, apr_time_t when)
{
    time_t seconds = (time_t)(when / 1000000);
    char text[64];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
    return ins_strdup(r, text);
}

/* ---- The time line ------------------------------------------------------ */

/* Sixteenths of a binary logarithm: enough for a picture. */
static int64_t log16(uint64_t value)
{
    int whole = 63 - __builtin_clzll(value | 1);
    uint64_t below = (uint64_t)1 << whole;

    return (int64_t)whole * 16 + (int64_t)((value - below) * 16 / below);
}

/* Where a moment is on the line, in 1000ths of its length: now is at the right end, and the
 * further back, the closer together, so that both the last seconds and the first day are seen. */
static int place(const ins_status *s, apr_time_t oldest, apr_time_t when)
{
    int64_t all = s->now > oldest ? s->now - oldest : 0, ago = s->now > when ? s->now - when : 0;
    int64_t most = log16((uint64_t)all / 100000 + 1);

    if (most == 0) {
        return 0;
    }
    return (int)(1000 - 1000 * log16((uint64_t)ago / 100000 + 1) / most);
}

static void piece(ins_request *r, const char *state, int from, int to)
{
    ins_printf(r, "<span class=\"%s\" style=\"left:%d.%d%%;width:%d.%d%%\"></span>", state,
               from / 10, from % 10, (to - from) / 10, (to - from) % 10);
}

static apr_time_t first_of(apr_time_t a, apr_time_t b, apr_time_t c)
{
    return a ? a : b ? b : c;
}

static void bar(ins_request *r, const ins_status *s, const ins_status_generation *g,
                apr_time_t oldest)
{
    apr_time_t end = first_of(g->ended, s->now, 0);
    apr_time_t drains = first_of(g->draining, end, 0);
    apr_time_t serves = first_of(g->serving, g->draining, end);

    ins_puts(r, "<div class=\"bar\" aria-hidden=\"true\">");
    piece(r, strcmp(g->state, "failed") == 0 ? "failed" : "starting", place(s, oldest, g->started),
          place(s, oldest, serves));
    if (g->serving) {
        piece(r, "serving", place(s, oldest, g->serving), place(s, oldest, drains));
    }
    if (g->draining) {
        piece(r, "draining", place(s, oldest, g->draining), place(s, oldest, end));
    }
    ins_puts(r, "</div>");
}

static void axis(ins_request *r, const ins_status *s, apr_time_t oldest)
{
    static const struct {
        int64_t seconds;
        const char *words;
    } ticks[] = { { 7 * 86400, "7 d" }, { 86400, "1 d" }, { 3600, "1 h" }, { 600, "10 min" },
                  { 60, "1 min" },      { 10, "10 s" },   { 1, "1 s" } };

    ins_puts(r, "<div class=\"axis\" aria-hidden=\"true\">");
    for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
        apr_time_t when = s->now - ticks[i].seconds * 1000000;
        int at = place(s, oldest, when);

        if (when > oldest && at > 40 && at < 930) {
            ins_printf(r, "<span style=\"left:%d.%d%%\">%s</span>", at / 10, at % 10,
                       ticks[i].words);
        }
    }
    ins_puts(r, "<span style=\"left:100%\">now</span></div>");
}

/* ---- Generations -------------------------------------------------------- */

/* Why it began, what it waits for, and until when. */
static void drain_words(ins_request *r, const ins_status *s, const ins_status_generation *g)
{
    unsigned plain = g->connections > g->tls ? g->connections - g->tls : 0;

    ins_printf(r, "<p>Drains since %s", time_words(r, g->draining));
    if (g->why[0]) {
        ins_printf(r, " (%s)", ins_escape_html(r, g->why));
    }
    if (g->connections == 0) {
        ins_puts(r, ", has no connection left");
    }
    else {
        ins_printf(r, ", waits for %u plain and %u TLS connection%s", plain, g->tls,
                   plural(g->tls));
        if (g->busy > 0) {
            ins_printf(r, ", %u of them with a request in flight", g->busy);
        }
    }
    if (g->deadline) {
        ins_printf(r, "; cut in %s, at %s.</p>", span(r, g->deadline - s->now),
                   time_words(r, g->deadline));
    }
    else {
        ins_puts(r, "; no deadline.</p>");
    }
}

static void generation(ins_request *r, const ins_status *s, const ins_status_generation *g,
                       apr_time_t oldest)
{
    apr_time_t since = first_of(g->ended, g->draining, g->serving ? g->serving : g->started);

    ins_printf(r, "<li><strong>Generation %llu</strong> <span class=\"state %s\">%s</span> ",
               (unsigned long long)g->number, g->state, g->state);
    if (g->ended) {
        ins_printf(r, "%s ago, lived %s", span(r, s->now - g->ended),
                   span(r, g->ended - g->started));
    }
    else {
        ins_printf(r, "for %s, pid %d, %u worker%s, %u connection%s (%u TLS), %u busy",
                   span(r, s->now - since), g->pid, g->workers, plural(g->workers), g->connections,
                   plural(g->connections), g->tls, g->busy);
    }
    bar(r, s, g, oldest);
    if (strcmp(g->state, "draining") == 0) {
        drain_words(r, s, g);
    }
    if (strcmp(g->state, "starting") == 0 && g->doing[0]) {
        ins_printf(r, "<p class=\"soft\">It is %s</p>", ins_escape_html(r, g->doing));
    }
    ins_puts(r, "</li>\n");
}

static void generations(ins_request *r, const ins_status *s)
{
    int count = s->generation_count < SHOWN_GENERATIONS ? s->generation_count : SHOWN_GENERATIONS;
    apr_time_t oldest = s->now;

    for (int i = 0; i < count; i++) {
        oldest = s->generations[i].started < oldest ? s->generations[i].started : oldest;
    }
    ins_puts(r,
             "<section aria-labelledby=\"generations\"><h2 id=\"generations\">Generations</h2>\n");
    if (s->rollback_of) {
        ins_printf(r,
                   "<p><span class=\"state failed\">rolled back</span> What serves is what "
                   "generation %llu served, not the configuration on disk.</p>\n",
                   (unsigned long long)s->rollback_of);
    }
    if (s->step) {
        ins_printf(r, "<p><span class=\"state starting\">reload</span> %s, for %s</p>\n",
                   ins_escape_html(r, s->step), span(r, s->now - s->step_since));
    }
    axis(r, s, oldest);
    ins_puts(r, "<ol class=\"line\">\n");
    for (int i = 0; i < count; i++) {
        generation(r, s, &s->generations[i], oldest);
    }
    ins_puts(r, "</ol></section>\n");
}

/* ---- Workers, reload, counters ------------------------------------------- */

static void workers(ins_request *r, const ins_status *s)
{
    ins_puts(r,
             "<section aria-labelledby=\"workers\"><h2 id=\"workers\">Workers</h2>\n"
             "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Worker</th>"
             "<th scope=\"col\" class=\"n\">Pid</th><th scope=\"col\" class=\"n\">Connections</th>"
             "<th scope=\"col\" class=\"n\">TLS</th><th scope=\"col\" class=\"n\">Busy</th>"
             "<th scope=\"col\" class=\"n\">Threads</th><th scope=\"col\" class=\"n\">Requests</th>"
             "<th scope=\"col\" class=\"n\">Up</th></tr></thead><tbody>\n");
    for (int i = 0; i < s->worker_count; i++) {
        const ins_status_worker *w = &s->workers[i];

        ins_printf(
            r,
            "<tr><th scope=\"row\">%llu.%u%s</th><td class=\"n\">%d</td><td class=\"n\">%u</td>"
            "<td class=\"n\">%u</td><td class=\"n\">%u</td><td class=\"n\">%u</td>"
            "<td class=\"n\">%llu</td><td class=\"n\">%s</td></tr>\n",
            (unsigned long long)w->generation, w->index, w->leaving ? " (leaving)" : "", w->pid,
            w->connections, w->tls, w->busy, w->threads, (unsigned long long)w->requests,
            span(r, s->now - w->started));
    }
    ins_puts(r, "</tbody></table></div></section>\n");
}

static void last_reload(ins_request *r, const ins_status *s)
{
    const ins_status_reload *reload = &s->reload;

    if (reload->when == 0) {
        return;
    }
    ins_puts(r, "<section aria-labelledby=\"reload\"><h2 id=\"reload\">Last reload</h2>\n");
    ins_printf(r, "<p>%s, %s: <span class=\"%s\">%s%s</span></p>\n<pre>%s</pre></section>\n",
               ins_escape_html(r, reload->what), time_words(r, reload->when),
               reload->ok ? "good" : "bad", reload->ok ? "it went well" : "refused at stage ",
               ins_escape_html(r, reload->stage), ins_escape_html(r, reload->words));
}

static void counters(ins_request *r, const ins_status *s)
{
    ins_puts(r, "<section aria-labelledby=\"counters\"><h2 id=\"counters\">Counters</h2>\n"
                "<p class=\"soft\">Since the server's start, over reloads and all workers.</p>\n"
                "<div class=\"wide\"><table class=\"text\"><tbody>\n");
    for (int i = 0; i < s->counter_count; i++) {
        const ins_status_counter *c = &s->counters[i];
        const char *quote = strchr(c->labels, '"');
        int len = quote ? (int)strcspn(quote + 1, "\"") : 0;

        ins_printf(r, "<tr><td>%s%s%.*s</td><td class=\"n\">%llu</td></tr>\n", c->words,
                   quote ? ": " : "", len, quote ? quote + 1 : "", (unsigned long long)c->value);
    }
    ins_puts(r, "</tbody></table></div></section>\n");
}

/* ---- The page ----------------------------------------------------------- */

static const char *at_most(ins_request *r, int64_t us)
{
    return us < 0 ? "-" : us == INT64_MAX ? "&gt; 10 s" : ins_sprintf(r, "&le; %s", span(r, us));
}

static uint64_t value_of(const ins_status *s, const char *name)
{
    for (int i = 0; i < s->counter_count; i++) {
        if (strcmp(s->counters[i].name, name) == 0) {
            return s->counters[i].value;
        }
    }
    return 0;
}

static void tiles(ins_request *r, const ins_status *s)
{
    unsigned connections = 0;

    for (int i = 0; i < s->worker_count; i++) {
        connections += s->workers[i].connections;
    }
    ins_printf(r,
               "<dl class=\"tiles\"><div><dt>Generation</dt><dd>%llu</dd></div>"
               "<div><dt>Up</dt><dd>%s</dd></div><div><dt>Requests</dt><dd>%llu</dd></div>"
               "<div><dt>Connections</dt><dd>%u</dd></div>",
               (unsigned long long)s->serving, span(r, s->now - s->started),
               (unsigned long long)value_of(s, "requests"), connections);
    ins_printf(r,
               "<div><dt>Median time</dt><dd>%s</dd></div>"
               "<div><dt>99th percentile</dt><dd>%s</dd></div>"
               "<div><dt>Reloads (failed)</dt><dd>%llu (%llu)</dd></div></dl>\n",
               at_most(r, status_quantile(s, 500)), at_most(r, status_quantile(s, 990)),
               (unsigned long long)value_of(s, "reloads_ok"),
               (unsigned long long)value_of(s, "reloads_failed"));
}

static void refresh(ins_request *r)
{
    const char *text = ins_query(r, "refresh");
    long seconds = text ? strtol(text, NULL, 10) : 0;

    if (seconds > 0 && seconds <= REFRESH_MAX) {
        ins_printf(r, "<meta http-equiv=\"refresh\" content=\"%ld\">\n", seconds);
    }
}

int status_page(ins_request *r, const ins_status *s)
{
    ins_set_type(r, "text/html; charset=utf-8");
    ins_set_header(r, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    ins_set_header(r, "X-Content-Type-Options", "nosniff");
    ins_puts(r, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    refresh(r);
    ins_printf(r, "<title>Instar on %s</title>\n<style>%s</style>\n</head>\n<body>\n",
               ins_escape_html(r, r->server->server_hostname ? r->server->server_hostname : "?"),
               style);
    ins_printf(r,
               "<header><h1>Instar on %s</h1>\n<p class=\"soft\">Instar/%s, pid %d, "
               "%s</p></header>\n<main>\n",
               ins_escape_html(r, r->server->server_hostname ? r->server->server_hostname : "?"),
               s->server_version, s->pid, time_words(r, s->now));
    tiles(r, s);
    generations(r, s);
    workers(r, s);
    last_reload(r, s);
    counters(r, s);
    ins_puts(r, "</main>\n</body>\n</html>\n");
    return INS_OK;
}
