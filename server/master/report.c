/* SPDX-License-Identifier: Apache-2.0 */
/* How a reload went, in words and in JSON. The words of the compiler and of
 * the config reader come through unchanged; only the last line is ours. */
#include "master/report.h"

#include <inttypes.h>
#include <string.h>

#include <apr_strings.h>

#include "util/diag.h"
#include "util/json_out.h"
#include "util/log.h"

#define LOG_PART "master"

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static int64_t rounded_ms(const struct outcome *outcome)
{
    return (outcome->took_us + 500) / 1000;
}

static const char *success_line(const struct outcome *outcome, apr_pool_t *pool)
{
    const char *line = apr_psprintf(
        pool,
        "generation %" PRIu64 " serving in %" PRId64 " ms: %d module%s compiled, %d unchanged",
        outcome->generation, rounded_ms(outcome), outcome->compiled->nelts,
        plural(outcome->compiled->nelts), outcome->unchanged);

    for (int i = 0; i < outcome->draining->nelts; i++) {
        const struct draining_note *d = &APR_ARRAY_IDX(outcome->draining, i, struct draining_note);

        line = apr_psprintf(pool, "%s; generation %" PRIu64 " draining, %u connection%s", line,
                            d->generation, d->connections, plural(d->connections));
    }
    for (int i = 0; i < outcome->notes->nelts; i++) {
        line = apr_psprintf(pool, "%s; %s", line, APR_ARRAY_IDX(outcome->notes, i, const char *));
    }
    return line;
}

static const char *failure_line(const struct outcome *outcome, apr_pool_t *pool)
{
    const char *line =
        apr_psprintf(pool, "%s failed at stage %s after %" PRId64 " ms: %u error%s", outcome->what,
                     diag_stage_name(diags_stage(outcome->diags)), rounded_ms(outcome),
                     outcome->diags->errors, plural(outcome->diags->errors));

    if (outcome->generation != 0) {
        return apr_psprintf(pool, "%s; generation %" PRIu64 " serves on", line,
                            outcome->generation);
    }
    return line;
}

static bool is_check(const struct outcome *outcome)
{
    return strcmp(outcome->what, "configtest") == 0;
}

const char *report_line(const struct outcome *outcome, apr_pool_t *pool)
{
    if (!outcome->ok) {
        return failure_line(outcome, pool);
    }
    return is_check(outcome) ? "Syntax OK" : success_line(outcome, pool);
}

const char *report_text(const struct outcome *outcome, bool colour, apr_pool_t *pool)
{
    return apr_pstrcat(pool, diags_text(outcome->diags, colour, pool), report_line(outcome, pool),
                       "\n", NULL);
}

/* ---- JSON -------------------------------------------------------------- */

static void number_or_null(struct jout *j, const char *name, uint64_t value)
{
    jout_key(j, name);
    if (value != 0) {
        jout_uint(j, value);
    }
    else {
        jout_null(j);
    }
}

void report_diags(struct jout *j, const char *name, const struct diags *diags,
                  enum diag_severity severity)
{
    const struct diag *e;

    jout_key(j, name);
    jout_array_begin(j);
    for (e = diags->first; e != NULL; e = e->next) {
        if (e->severity != severity) {
            continue;
        }
        jout_object_begin(j);
        jout_key(j, "file");
        jout_string(j, e->file);
        number_or_null(j, "line", e->line);
        number_or_null(j, "column", e->column);
        jout_key(j, "message");
        jout_string(j, e->message);
        jout_object_end(j);
    }
    jout_array_end(j);
}

static void draining_list(struct jout *j, const struct outcome *outcome)
{
    jout_key(j, "draining");
    jout_array_begin(j);
    for (int i = 0; i < outcome->draining->nelts; i++) {
        const struct draining_note *d = &APR_ARRAY_IDX(outcome->draining, i, struct draining_note);

        jout_object_begin(j);
        jout_key(j, "generation");
        jout_uint(j, d->generation);
        jout_key(j, "connections");
        jout_uint(j, d->connections);
        jout_object_end(j);
    }
    jout_array_end(j);
}

static void string_list(struct jout *j, const char *name, const apr_array_header_t *list)
{
    jout_key(j, name);
    jout_array_begin(j);
    for (int i = 0; i < list->nelts; i++) {
        jout_string(j, APR_ARRAY_IDX(list, i, const char *));
    }
    jout_array_end(j);
}

void report_members(struct jout *j, const struct outcome *outcome)
{
    jout_key(j, "ok");
    jout_bool(j, outcome->ok);
    number_or_null(j, "generation", outcome->generation);
    if (outcome->rolled_back_to != 0) {
        jout_key(j, "rolled_back_to");
        jout_uint(j, outcome->rolled_back_to);
    }
    string_list(j, "compiled", outcome->compiled);
    jout_key(j, "unchanged");
    jout_int(j, outcome->unchanged);
    jout_key(j, "ms");
    jout_int(j, rounded_ms(outcome));
    draining_list(j, outcome);
    if (outcome->notes->nelts > 0) {
        string_list(j, "notes", outcome->notes);
    }
    if (!outcome->ok) {
        jout_key(j, "stage");
        jout_string(j, diag_stage_name(diags_stage(outcome->diags)));
        report_diags(j, "errors", outcome->diags, DIAG_ERROR);
    }
    if (outcome->diags->warnings > 0) {
        report_diags(j, "warnings", outcome->diags, DIAG_WARNING);
    }
}

const char *report_json(const struct outcome *outcome, apr_pool_t *pool)
{
    struct jout *j = jout_create(pool);

    jout_object_begin(j);
    report_members(j, outcome);
    jout_object_end(j);
    return apr_pstrcat(pool, jout_text(j, NULL), "\n", NULL);
}

const char *report_stopped(bool json, const char *words)
{
    return json ? "{\"ok\": true, \"generation\": null, \"compiled\": [], \"unchanged\": 0, "
                  "\"ms\": 0, \"draining\": []}\n"
                : words;
}

/* ---- The error log ----------------------------------------------------- */

static void log_each_line(const struct outcome *outcome)
{
    char *text = apr_pstrdup(outcome->pool, diags_text(outcome->diags, false, outcome->pool));
    char *rest = NULL, *line;

    for (line = apr_strtok(text, "\n", &rest); line != NULL; line = apr_strtok(NULL, "\n", &rest)) {
        log_error("INS01118", "%s", line);
    }
}

void report_log(const struct outcome *outcome)
{
    if (!outcome->ok) {
        log_each_line(outcome);
        log_error("INS01119", "%s", report_line(outcome, outcome->pool));
    }
    else {
        log_notice("INS01120", "%s", report_line(outcome, outcome->pool));
    }
}
