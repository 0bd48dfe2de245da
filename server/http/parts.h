/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of http_app_finish(), one a file. */
#ifndef HTTP_PARTS_H
#define HTTP_PARTS_H

#include "http/http_app.h"

/* Names and addresses that were left out; limits that nobody set. */
void core_finish(struct http_app *app);
void hooks_collect(struct http_app *app);
void hosts_finish(struct http_app *app);
void access_logs_finish(struct http_app *app, const struct log_set *logs, struct diags *diags);

struct host_map *host_map_create(apr_pool_t *pool);

#endif
