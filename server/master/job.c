/* SPDX-License-Identifier: Apache-2.0 */
/* A job's making and unmaking, and its first half: reading and building. */
#include "master/job.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "master/control.h"
#include "master/manifest.h"
#include "master/probe.h"
#include "master/reload.h"
#include "master/scratch.h"
#include "master/upgrade.h"
#include "util/check.h"
#include "util/diag.h"
#include "util/log.h"

#define LOG_PART "master"

const char *job_step_name(enum job_step step)
{
    static const char *const names[] = {
        [STEP_QUEUED] = "queued",       [STEP_CHECKING] = "checking", [STEP_BUILDING] = "building",
        [STEP_WAITING] = "waiting",     [STEP_STARTING] = "starting", [STEP_PROBING] = "probing",
        [STEP_SWITCHING] = "switching", [STEP_MOVING] = "moving"
    };

    return names[step];
}

struct job *job_create(enum job_kind kind, const char *what)
{
    struct job *job = calloc(1, sizeof(*job));

    INS_CHECK(job != NULL);
    job->kind = kind;
    job->builder.fd = -1;
    job->began_us = loop_now_us();
    job->outcome = outcome_create(what);
    return job;
}

void job_add_client(struct job *job, struct control_client *client)
{
    if (client != NULL) {
        client->next_waiting = job->clients;
        job->clients = client;
    }
}

static void stop_builder(struct master *m, struct job *job)
{
    if (job->builder_pid <= 0) {
        return;
    }
    (void)kill(-job->builder_pid, SIGKILL);
    (void)job_build_finish(m, job);
}

void job_destroy(struct master *m, struct job *job)
{
    stop_builder(m, job);
    probe_end(m, job);
    if (job->query != NULL) {
        (void)close(job->query->output);
    }
    upgrade_stop(m, job);
    timer_clear(&m->loop, &job->timer);
    manifest_drop(m, job->manifest);
    outcome_destroy(job->outcome);
    free(job);
}

/* ---- Reading and building ---------------------------------------------- */

static const char *include_directory(void)
{
#ifdef INSTAR_TREE_INCLUDEDIR
    /* A server that runs from where it was built. */
    if (access(INSTAR_INCLUDEDIR "/instar.h", R_OK) != 0) {
        return INSTAR_TREE_INCLUDEDIR;
    }
#endif
    return INSTAR_INCLUDEDIR;
}

static void built(struct master *m, void *ctx, uint32_t events)
{
    struct job *job = ctx;

    (void)events;
    (void)reload_builder_exited(m, job->builder_pid);
}

static void builder_overdue(struct master *m, void *ctx)
{
    struct job *job = ctx;

    /* The builder keeps BuildTimeout itself; this is for one that cannot. */
    log_error("INS01105", "the builder does not come to an end; killed");
    (void)kill(-job->builder_pid, SIGKILL);
    (void)reload_builder_exited(m, job->builder_pid);
}

static int64_t longest_build(const struct manifest *manifest)
{
    const struct conf_process *p = &manifest->conf->process;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t rounds = manifest->builds->needed / (cores > 0 ? cores : 1) + 2;

    return p->build_timeout * rounds + 10000;
}

static bool start_builder(struct master *m, struct job *job)
{
    struct manifest *manifest = job->manifest;
    int fd = -1, error;

    error = builder_start(m->builder, manifest->builds, manifest->conf, manifest->build_dir,
                          include_directory(), &job->builder_pid, &fd, manifest->pool);
    if (error != 0) {
        job->builder_pid = 0;
        diags_add(job->outcome->diags, DIAG_BUILD, DIAG_ERROR, NULL, 0, 0,
                  "the builder could not be started: %s", strerror(error));
        return false;
    }
    error = source_add(&m->loop, &job->builder, fd, EPOLLIN | EPOLLRDHUP, built, job);
    INS_CHECK(error == 0);
    timer_set(&m->loop, &job->timer, loop_now_ms() + longest_build(manifest), builder_overdue, job);
    return true;
}

enum build_next job_read_and_plan(struct master *m, struct job *job)
{
    struct diags *diags = job->outcome->diags;
    struct manifest *manifest = manifest_read(m, diags);

    job->manifest = manifest;
    /* Then all of it is tried none the less, so that one run tells everything
     * that is wrong, unknown directives of modules too. */
    job->text_is_wrong = diags->errors > 0;
    if (manifest->conf == NULL || manifest->conf->files->nelts == 0) {
        return BUILD_FAILED; /* no text at all */
    }
    if (m->alone) {
        scratch_open(manifest->conf);
    }
    manifest->build_dir = builder_open_directory(manifest->conf, diags);
    if (manifest->build_dir < 0) {
        return BUILD_FAILED;
    }
    manifest->builds = builder_plan(m->builder, manifest->conf, manifest->build_dir,
                                    include_directory(), diags, manifest->pool);
    if (manifest->builds->needed == 0) {
        outcome_count_builds(job->outcome, manifest->builds);
        return diags->errors == 0 || job->text_is_wrong ? BUILD_NOT_NEEDED : BUILD_FAILED;
    }
    return start_builder(m, job) ? BUILD_RUNNING : BUILD_FAILED;
}

bool job_build_finish(struct master *m, struct job *job)
{
    struct manifest *manifest = job->manifest;
    pid_t pid = job->builder_pid;
    int failed, fd = source_take(&m->loop, &job->builder);

    timer_clear(&m->loop, &job->timer);
    job->builder_pid = 0;
    failed = builder_finish(m->builder, manifest->builds, manifest->build_dir, pid, fd,
                            job->outcome->diags, manifest->pool);
    outcome_count_builds(job->outcome, manifest->builds);
    /* A source that is missing was reported by the plan. */
    return job->text_is_wrong || (failed == 0 && job->outcome->diags->errors == 0);
}
