/* SPDX-License-Identifier: Apache-2.0 */
/* The generation process from its birth to its exit. */
#include "generation/generation.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config/conf.h"
#include "config/logs.h"
#include "generation/api_status.h"
#include "generation/dump.h"
#include "generation/guard.h"
#include "generation/minding.h"
#include "ipc/ipc.h"
#include "util/log.h"
#include "util/role.h"
#include "worker/worker.h"

#define LOG_PART "generation"

static void use_log(const struct launch *launch)
{
    const char *path = launch->conf->process.error_log;
    struct log_sink *sink = launch->logs && path ? logs_sink(launch->logs, path) : NULL;

    if (sink) {
        log_set_sink(sink);
    }
    log_set_json(launch->conf->process.error_log_json != 0);
    conf_apply_log_levels(&launch->conf->process);
}

/* Signals that are sent to all processes by name are the master's business; a log that has reached
 * a limit of its size (SIGXFSZ) is written to no more, and ends nobody. */
static void ignore_signals(void)
{
    static const int ignored[] = { SIGPIPE,  SIGHUP,  SIGUSR1, SIGUSR2,
                                   SIGWINCH, SIGQUIT, SIGINT,  SIGXFSZ };

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
}

/* The master's to report: who asked may wait there. */
static void send_failure(const struct launch *launch, const struct diags *diags)
{
    int fd = memfd_create("instar-diags", MFD_CLOEXEC),
        rv = fd < 0 ? errno : diags_write(diags, fd);

    if (rv == 0) {
        rv = ipc_send(launch->master_fd, launch->number, IPC_GEN_FAILED, NULL, 0, &fd, 1);
    }
    if (rv != 0) {
        log_error("INS01307", "cannot tell the master what is wrong: %s", strerror(rv));
    }
}

static void log_warnings(const struct diags *diags)
{
    for (const struct diag *d = diags->first; d; d = d->next) {
        if (d->severity == DIAG_WARNING) {
            log_warning("INS01308", "%s:%u: %s", d->file ? d->file : "-", d->line, d->message);
        }
    }
}

static int count_workers(const struct conf_process *process)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (process->workers > 0) {
        return process->workers;
    }
    return cores > 0 ? (int)cores : 1;
}

static int serve(const struct launch *launch, struct app *app, struct diags *diags)
{
    struct minding m = { .launch = launch, .app = app, .state = MIND_STARTING };

    m.slot = sb_generation_find(launch->board, launch->number);
    if (m.slot) {
        sb_doing(m.slot, "starting workers");
    }
    m.count = count_workers(&launch->conf->process);
    m.total = m.count + (m.count > LEAVING_MIN ? m.count : LEAVING_MIN);
    m.wards = apr_pcalloc(app->pool, sizeof(*m.wards) * (size_t)m.total);
    for (int i = 0; i < m.total; i++) {
        m.wards[i].index = (uint32_t)i;
        m.wards[i].fd = -1;
    }
    worker_keep_descriptors(&m);
    return minding_run(&m, diags);
}

static int run(const struct launch *launch)
{
    apr_pool_t *pool;
    struct diags *diags;
    struct app *app;
    int status;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 1;
    }
    diags = diags_create(pool);
    app = app_load(launch, diags, pool);
    if (!app) {
        /* first: the master ends this process as soon as it knows */
        guard_end_strays();
        send_failure(launch, diags);
        return 1;
    }
    if (launch->check_only) {
        dump_print(launch, app);
        (void)ipc_send(launch->master_fd, launch->number, IPC_GEN_READY, NULL, 0, NULL, 0);
        return 0;
    }
    log_warnings(diags);
    status = serve(launch, app, diags);
    if (diags->errors > 0) {
        send_failure(launch, diags);
    }
    return status;
}

void generation_run(const struct launch *launch)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "instar: generation %" PRIu64, launch->number);
    role_set_name(name);
    ignore_signals();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    use_log(launch);
    api_status_use(launch->board);
    _exit(run(launch));
}

int generation_run_single(const struct launch *launch)
{
    const struct conf_process *process = &launch->conf->process;
    struct worker_start start = { .generation = launch->number,
                                  .workers = 1,
                                  .generation_fd = -1,
                                  .master_fd = -1,
                                  .listeners = launch->listeners,
                                  .threads_max = process->threads_per_worker,
                                  .connections_max = process->max_connections,
                                  .child_init = worker_child_init,
                                  .child_exit = worker_child_exit };
    apr_pool_t *pool;
    struct diags *diags;
    struct app *app;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    use_log(launch);
    api_status_use(launch->board);
    diags = diags_create(pool);
    app = app_load(launch, diags, pool);
    (void)fputs(diags_text(diags, isatty(STDERR_FILENO), pool), stderr);
    start.slot = sb_worker_take(launch->board, launch->number, 0);
    if (!app || !start.slot) {
        return 1;
    }
    start.http = app->http;
    start.tls = app->tls;
    start.ctx = app;
    return worker_run(&start);
}
