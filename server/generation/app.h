/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application: what a generation's config and modules come to. Made once
 * by the generation, shared read-only by its workers (copy on write).
 */
#ifndef GENERATION_APP_H
#define GENERATION_APP_H

#include <apr_pools.h>

#include "instar.h"
#include "ipc/launch.h"
#include "util/diag.h"

/* The core's own parts are modules too, without a file: core_module (http),
 * ssl_module (tls), websocket_module. They come first in the list. */
struct app {
    apr_pool_t *pool;
    const struct launch *launch;
    int module_count;
    ins_module **modules;
    ins_server *servers;   /* the main server first */
    struct http_app *http; /* http/http_app.h: routes, hosts, locations, hooks */
    struct tls_app *tls;   /* tls/tls.h; NULL where no server has SSLEngine on */
};

/* In order: core directives and TLS (private keys) as root; drop to User;
 * dlopen; modules' directives; post_config. Each step reports to diags; the app
 * is NULL where errors were found. */
struct app *app_load(const struct launch *launch, struct diags *diags, apr_pool_t *pool);

#endif
