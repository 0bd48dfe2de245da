/* SPDX-License-Identifier: Apache-2.0 */
/* The status as one JSON object (RFC 8259); names are those of `instarctl status --json` where
 * both tell the same. Times are seconds since 1970. */
#include "view.h"

static void escape(ins_request *r, unsigned char c)
{
    if (c == '"' || c == '\\') {
        ins_printf(r, "\\%c", c);
    }
    else if (c == '\n') {
        ins_puts(r, "\\n");
    }
    else {
        ins_printf(r, "\\u%04x", c);
    }
}

/* Texts come through the server, which lets UTF-8 alone pass. */
static void string(ins_request *r, const char *text)
{
    const char *from = text;

    ins_puts(r, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == '"' || c == '\\') {
            ins_write(r, from, (size_t)(text - from));
            escape(r, c);
            from = text + 1;
        }
    }
    ins_write(r, from, (size_t)(text - from));
    ins_puts(r, "\"");
}

static void member(ins_request *r, const char *name, const char *text)
{
    ins_printf(r, "\"%s\": ", name);
    string(r, text);
    ins_puts(r, ", ");
}

static void number(ins_request *r, const char *name, uint64_t value)
{
    ins_printf(r, "\"%s\": %llu, ", name, (unsigned long long)value);
}

static void time_member(ins_request *r, const char *name, apr_time_t when)
{
    if (when > 0) {
        ins_printf(r, "\"%s\": %lld.%06lld, ", name, (long long)when / 1000000,
                   (long long)when % 1000000);
    }
    else {
        ins_printf(r, "\"%s\": null, ", name);
    }
}

static void generation(ins_request *r, const ins_status_generation *g)
{
    ins_puts(r, "{");
    number(r, "generation", g->number);
    member(r, "state", g->state);
    number(r, "pid", (uint64_t)g->pid);
    time_member(r, "started", g->started);
    time_member(r, "serving", g->serving);
    time_member(r, "draining", g->draining);
    time_member(r, "deadline", g->deadline);
    time_member(r, "ended", g->ended);
    member(r, "why", g->why);
    number(r, "workers", g->workers);
    number(r, "connections", g->connections);
    number(r, "tls", g->tls);
    ins_printf(r, "\"busy\": %u}", g->busy);
}

static void worker(ins_request *r, const ins_status_worker *w)
{
    ins_puts(r, "{");
    number(r, "generation", w->generation);
    number(r, "index", w->index);
    number(r, "pid", (uint64_t)w->pid);
    time_member(r, "started", w->started);
    number(r, "connections", w->connections);
    number(r, "tls", w->tls);
    number(r, "busy", w->busy);
    number(r, "threads", w->threads);
    ins_printf(r, "\"requests\": %llu, \"leaving\": %s}", (unsigned long long)w->requests,
               w->leaving ? "true" : "false");
}

static void lists(ins_request *r, const ins_status *s)
{
    ins_puts(r, "\"generations\": [");
    for (int i = 0; i < s->generation_count; i++) {
        ins_puts(r, i > 0 ? ", " : "");
        generation(r, &s->generations[i]);
    }
    ins_puts(r, "], \"worker_list\": [");
    for (int i = 0; i < s->worker_count; i++) {
        ins_puts(r, i > 0 ? ", " : "");
        worker(r, &s->workers[i]);
    }
    ins_puts(r, "], ");
}

static void last_reload(ins_request *r, const ins_status_reload *reload)
{
    if (reload->when == 0) {
        ins_puts(r, "\"last_reload\": null, ");
        return;
    }
    ins_puts(r, "\"last_reload\": {");
    ins_printf(r, "\"ok\": %s, ", reload->ok ? "true" : "false");
    member(r, "what", reload->what);
    time_member(r, "at", reload->when);
    number(r, "ms", (uint64_t)(reload->took_us + 500) / 1000);
    number(r, "generation", reload->generation);
    number(r, "compiled", reload->compiled);
    number(r, "unchanged", reload->unchanged);
    number(r, "errors", reload->errors);
    member(r, "stage", reload->stage);
    ins_puts(r, "\"words\": ");
    string(r, reload->words);
    ins_puts(r, "}, ");
}

static void counters(ins_request *r, const ins_status *s)
{
    ins_puts(r, "\"counters\": {");
    for (int i = 0; i < s->counter_count; i++) {
        ins_printf(r, "%s\"%s\": %llu", i > 0 ? ", " : "", s->counters[i].name,
                   (unsigned long long)s->counters[i].value);
    }
    ins_puts(r, "}, ");
}

static void durations(ins_request *r, const ins_status *s)
{
    ins_printf(r, "\"durations\": {\"sum_us\": %llu, \"bounds_us\": [",
               (unsigned long long)s->duration_us);
    for (int i = 0; i < s->duration_count - 1; i++) {
        ins_printf(r, "%s%lld", i > 0 ? ", " : "", (long long)s->duration_bounds_us[i]);
    }
    ins_puts(r, "], \"counts\": [");
    for (int i = 0; i < s->duration_count; i++) {
        ins_printf(r, "%s%llu", i > 0 ? ", " : "", (unsigned long long)s->durations[i]);
    }
    ins_puts(r, "]}");
}

int status_json(ins_request *r, const ins_status *s)
{
    ins_set_type(r, "application/json");
    ins_puts(r, "{\"ok\": true, ");
    member(r, "version", s->server_version);
    number(r, "pid", (uint64_t)s->pid);
    time_member(r, "now", s->now);
    time_member(r, "started", s->started);
    number(r, "uptime", (uint64_t)(s->now - s->started) / 1000000);
    number(r, "generation", s->serving);
    if (s->rollback_of) {
        number(r, "rollback_of", s->rollback_of);
    }
    else {
        ins_puts(r, "\"rollback_of\": null, ");
    }
    if (s->step) {
        member(r, "step", s->step);
    }
    else {
        ins_puts(r, "\"step\": null, ");
    }
    lists(r, s);
    last_reload(r, &s->reload);
    counters(r, s);
    durations(r, s);
    ins_puts(r, "}\n");
    return INS_OK;
}
