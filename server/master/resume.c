/* SPDX-License-Identifier: Apache-2.0 */
/* A master's life that begins with another binary's state, behind an upgrade. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "config/conf.h"
#include "master/children.h"
#include "master/image.h"
#include "master/job.h"
#include "master/life.h"
#include "master/memory.h"
#include "master/notify.h"
#include "master/reload.h"
#include "master/rollback.h"
#include "master/verbs.h"
#include "util/log.h"

#define LOG_PART "master"

static void close_at_exec(const struct image *image)
{
    for (int i = 0; i < image->fds->nelts; i++) {
        (void)fcntl(APR_ARRAY_IDX(image->fds, i, int), F_SETFD, FD_CLOEXEC);
    }
}

static void options_of(struct master_options *options, const struct image *image,
                       const char *prefix, char *const *argv)
{
    options->conf = (struct conf_options){ .server_root = image->server_root,
                                           .config_file = image->config_file,
                                           .defines = image->defines,
                                           .directives = image->directives,
                                           .prefix = prefix };
    options->foreground = image->foreground;
    options->json = image->json;
    options->colour = image->colour;
    options->binary = image->binary;
    options->argv = argv;
    options->report_fd = -1;
}

/* The reload that the upgrade is for. Whoever waits is added to it. */
static struct job *upgraded(const struct image *image)
{
    struct job *job = job_create(JOB_RELOAD, "upgrade");

    job->upgraded = true;
    job->cut = image->cut;
    job->began_us = image->upgrade_began_us;
    outcome_note(job->outcome, "the binary was upgraded from instar %s to %s", image->version,
                 INSTAR_VERSION);
    return job;
}

static void ask_again(struct master *m, const struct image *image)
{
    for (int i = 0; i < image->rollbacks->nelts; i++) {
        const struct image_rollback *r = &APR_ARRAY_IDX(image->rollbacks, i, struct image_rollback);

        rollback_by_itself(m, r->target, r->guilty, r->words);
    }
}

int master_resume(int fd, const char *prefix, char *const *argv, const struct launch_ops *ops)
{
    static struct master_options options;
    static struct master m;
    apr_pool_t *pool = memory_pool(0); /* for life: the options are in it */
    const char *why;
    const struct image *image = image_read(fd, &why, pool);
    int error;

    (void)close(fd);
    if (image == NULL) {
        log_emerg("INS01344", "the upgrade failed behind the exec: %s", why);
        return VERB_REFUSED;
    }
    close_at_exec(image);
    if (image->log_fd >= 0) {
        log_set_fd(image->log_fd);
    }
    options_of(&options, image, prefix, argv);
    error = master_make(&m, &options, ops, image);
    if (error != 0) {
        log_emerg("INS01345", "the upgrade failed behind the exec: %s", strerror(error));
        return VERB_REFUSED;
    }
    m.job = upgraded(image);
    if (!image_restore(&m, image)) {
        return VERB_REFUSED;
    }
    if (image->log_fd >= 0 && log_fd() != image->log_fd) {
        (void)close(image->log_fd);
    }
    log_notice("INS01343", "instar %s goes on where instar %s was", INSTAR_VERSION, image->version);
    notify_open(&m);
    children_reap(&m);
    ask_again(&m, image);
    reload_resume(&m);
    master_run_loop(&m);
    if (m.exit_status == 0) {
        log_notice("INS01346", "the server has stopped");
    }
    master_take_down(&m);
    return m.exit_status;
}
