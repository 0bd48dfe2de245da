/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the application. The order is the security model: private keys are
 * read as root, then root is given up, then the first line of module code runs.
 * Everything that can still be checked after an error is checked, so that one
 * run reports it all.
 */
#include "generation/app.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "generation/guard.h"
#include "generation/loading.h"
#include "generation/privileges.h"
#include "tls/tls.h"

static struct loading *begin(const struct launch *launch, struct diags *diags, apr_pool_t *pool)
{
    struct loading *l = apr_pcalloc(pool, sizeof(*l));
    int count = FIRST_LOADED + launch->conf->process.modules->nelts;

    l->app = apr_pcalloc(pool, sizeof(*l->app));
    l->app->pool = pool;
    l->app->launch = launch;
    l->app->module_count = count;
    l->app->modules = apr_pcalloc(pool, sizeof(ins_module *) * (size_t)count);
    l->launch = launch;
    l->diags = diags;
    l->slot = launch->board ? sb_generation_find(launch->board, launch->number) : NULL;
    l->pool = pool;
    (void)apr_pool_create(&l->temp_pool, pool);
    l->rows = apr_hash_make(pool);
    l->hosts = apr_array_make(pool, 8, sizeof(struct host));
    l->sections = apr_array_make(pool, 8, sizeof(struct section *));
    l->pending = apr_array_make(l->temp_pool, 64, sizeof(struct pending));
    return l;
}

/* False: module code would run as root. */
static bool give_up_root(struct loading *l)
{
    const struct conf_process *process = &l->launch->conf->process;
    int rv;

    privileges_prepare_cores(process);
    if (l->launch->build_dir >= 0 && fchdir(l->launch->build_dir) != 0) {
        diags_add(l->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "cannot enter BuildDirectory %s: %s", process->build_directory, strerror(errno));
    }
    rv = privileges_drop(process);
    if (rv != 0) {
        diags_add(l->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "cannot become User %s: %s",
                  process->user_name, strerror(rv));
    }
    return rv == 0;
}

/* The http part sees hosts and sections in file order. */
static void join_http(struct loading *l)
{
    struct app *app = l->app;

    app->http = http_app_create(app->servers, app->modules, app->module_count, l->launch->listeners,
                                l->pool);
    for (int i = 0; i < l->hosts->nelts; i++) {
        const struct host *h = &APR_ARRAY_IDX(l->hosts, i, struct host);

        http_app_add_host(app->http, h->server, h->node, l->diags);
    }
    for (int i = 0; i < l->sections->nelts; i++) {
        const struct section *s = APR_ARRAY_IDX(l->sections, i, struct section *);

        http_app_add_section(app->http, s->server, s->kind, s->pattern, s->config, s->node,
                             l->diags);
    }
}

/* Module code may loop for ever, and then nobody listens to the master's pair. */
static void die_with_master(const struct loading *l, int sig)
{
    if (l->launch->master_fd >= 0) {
        (void)prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0);
    }
}

static void load_as_user(struct loading *l)
{
    guard_start();
    die_with_master(l, SIGKILL);
    privileges_limit_processes();
    modules_load(l);
    privileges_leave_directory(&l->launch->conf->process);
    apply_pending(l);
    join_http(l);
    if (l->all_loaded) {
        http_app_finish(l->app->http, l->launch->logs, l->diags);
    }
    /* a config test leaves no traces, so it sets nothing up, as in httpd */
    if (l->all_loaded && l->diags->errors == 0 && !l->launch->check_only) {
        modules_set_up(l);
    }
    privileges_unlimit_processes();
    die_with_master(l, 0);
}

struct app *app_load(const struct launch *launch, struct diags *diags, apr_pool_t *pool)
{
    struct loading *l = begin(launch, diags, pool);
    struct app *app = l->app;
    const struct tls_shared shared = { .tickets = launch->tickets, .staples = launch->staples };

    diags_append(diags, launch->scan);
    loading_doing(l, "reading the config");
    apply_core(l);
    app->tls = tls_app_create(app->servers, launch->conf->process.listens,
                              launch->conf->process.server_root, &shared, diags, pool);
    if (give_up_root(l)) {
        load_as_user(l);
    }
    apr_pool_destroy(l->temp_pool);
    return diags->errors == 0 ? app : NULL;
}
