/* SPDX-License-Identifier: Apache-2.0 */
/* The module's three ways to tell the same. */
#ifndef STATUS_VIEW_H
#define STATUS_VIEW_H

#include <instar.h>
#include <instar/status.h>

int status_page(ins_request *r, const ins_status *s);
int status_json(ins_request *r, const ins_status *s);
int status_metrics(ins_request *r, const ins_status *s);

/* The bound, in microseconds, below which so many in 1000 requests stayed; -1: there were none,
 * INT64_MAX: above the last bound. */
int64_t status_quantile(const ins_status *s, unsigned permille);

#endif
