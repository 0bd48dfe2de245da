/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes and status as text for a person and as JSON for a program. Both end
 * with a newline and live in pool. */
#ifndef MASTER_REPORT_H
#define MASTER_REPORT_H

#include "master/state.h"
#include "util/diag.h"

struct jout;

const char *report_text(const struct outcome *outcome, bool colour, apr_pool_t *pool);
const char *report_json(const struct outcome *outcome, apr_pool_t *pool);
/* What a stop answers: words, or an outcome that leaves nothing serving. */
const char *report_stopped(bool json, const char *words);
/* To the error log: what went wrong line by line, then the outcome. */
void report_log(const struct outcome *outcome);
/* The members ok, generation ... errors, into an open object. */
void report_members(struct jout *j, const struct outcome *outcome);
/* A member that lists the diagnostics of this severity. */
void report_diags(struct jout *j, const char *name, const struct diags *diags,
                  enum diag_severity severity);
/* "generation 7 serving in 63 ms: ...", without a newline. */
const char *report_line(const struct outcome *outcome, apr_pool_t *pool);

/* In status.c: what status and generations answer. */
const char *status_text(struct master *m, apr_pool_t *pool);
const char *status_json(struct master *m, apr_pool_t *pool);
const char *generations_text(struct master *m, apr_pool_t *pool);
const char *generations_json(struct master *m, apr_pool_t *pool);

#endif
