/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of hosts, sections, routes and logs share: an http_app from the
 * text of a config, with modules of the test's own. */
#ifndef TEST_HTTP_FIXTURE_H
#define TEST_HTTP_FIXTURE_H

#include <stdbool.h>

#include <apr_pools.h>

#include "config/logs.h"
#include "http/http_app.h"

int http_setup(void **state);
int http_teardown(void **state);

struct http_case {
    struct http_app *app;
    ins_server *main_server;
    struct diags *diags;
    apr_time_t apply_time, finish_time; /* CPU time: directives; http_app_finish() */
};

/* listeners: "0.0.0.0:80 [::]:80 127.0.0.1:81 unix:"; NULL none. modules: of the
 * test, ended by NULL; they follow core_module. */
struct http_case http_text(apr_pool_t *pool, const char *text, const char *listeners,
                           ins_module *const modules[], const struct log_set *logs);
/* As http_text(), and nothing may be wrong with it. */
struct http_case http_good(apr_pool_t *pool, const char *text, const char *listeners,
                           ins_module *const modules[], const struct log_set *logs);
/* "3: words\n" for each diagnostic. */
const char *http_words(const struct diags *diags, apr_pool_t *pool);

/* A socket address from "127.0.0.1:80" or "[::1]:80". */
const struct sockaddr *http_sockaddr(const char *text, struct sockaddr_storage *out,
                                     socklen_t *len);

#endif
