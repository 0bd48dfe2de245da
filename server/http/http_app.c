/* SPDX-License-Identifier: Apache-2.0 */
/* The http side of a generation, put together in the order that its parts need:
 * names before the hosts that are found by them, sections before the routes inside. */
#include "http/http_app.h"

#include "http/parts.h"
#include "http/regex.h"
#include "http/routes.h"
#include "http/sections.h"

struct http_app *http_app_create(ins_server *main_server, ins_module **modules, int module_count,
                                 const struct listener_set *listeners, apr_pool_t *pool)
{
    struct http_app *app = apr_pcalloc(pool, sizeof(*app));

    app->pool = pool;
    app->servers = main_server;
    app->modules = modules;
    app->module_count = module_count;
    app->listeners = listeners;
    app->hosts = host_map_create(pool);
    app->sections = section_cache_create(pool);
    app->scratch = regex_scratch_create(pool);
    return app;
}

void http_app_finish(struct http_app *app, const struct log_set *logs, struct diags *diags)
{
    core_finish(app);
    hooks_collect(app);
    hosts_finish(app);
    sections_finish(app);
    routes_build(app, diags);
    access_logs_finish(app, logs, diags);
}
