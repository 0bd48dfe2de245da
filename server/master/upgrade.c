/* SPDX-License-Identifier: Apache-2.0 */
/* The old binary's side of an upgrade, and the child that checks. */
#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/children.h"
#include "master/image.h"
#include "master/job.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/reload.h"
#include "master/store.h"
#include "util/diag.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "master"

enum { SAID_MAX = 2048, REST_MS = 10, REST_MAX_MS = 10000 };

static const char good_answer[] = "instar: the state can be read";

/* One at a time. */
static struct {
    const struct job *job; /* NULL: none */
    pid_t pid;             /* of the child that checks; 0 none */
    int said_fd;
    int64_t give_up; /* ms: waiting for what still moves */
    struct timer timer;
} check = { .said_fd = -1 };

void upgrade_request(struct master *m, struct control_client *client)
{
    struct job *job;

    for (job = m->rollbacks; job != NULL; job = job->next) {
        if (job->kind == JOB_UPGRADE) {
            job_add_client(job, client); /* asked for already, and not begun */
            return;
        }
    }
    job = job_create(JOB_UPGRADE, "upgrade");
    job_add_client(job, client);
    reload_queue(m, job);
}

static void refuse(struct master *m, const char *words)
{
    diags_add(m->job->outcome->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "%s: %s",
              m->options->binary, words);
    upgrade_stop(m, m->job);
    reload_upgrade_failed(m);
}

/* ---- The exec ---------------------------------------------------------------- */

static void keep_open(const struct image_bytes *image, int state, bool keep)
{
    for (int i = 0; i < image->fds->nelts; i++) {
        (void)fcntl(APR_ARRAY_IDX(image->fds, i, int), F_SETFD, keep ? 0 : FD_CLOEXEC);
    }
    (void)fcntl(state, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* Returns only where it fails, with errno, and then nothing has changed. All signals
 * are blocked, as always in the master: what is sent meanwhile waits for the new one. */
static int execute(struct master *m)
{
    apr_pool_t *pool = memory_pool(0);
    struct image_bytes image = image_pack(image_take(m, pool), pool);
    int state = image_write(&image), error = errno;
    char text[16];

    if (state >= 0) {
        (void)snprintf(text, sizeof(text), "%d", state);
        error = setenv(UPGRADE_VARIABLE, text, 1) != 0 ? errno : 0;
    }
    if (state >= 0 && error == 0) {
        log_notice("INS01342", "executing %s", m->options->binary);
        keep_open(&image, state, true);
        (void)execve(m->options->binary, m->options->argv, environ);
        error = errno;
        keep_open(&image, state, false);
    }
    (void)unsetenv(UPGRADE_VARIABLE);
    if (state >= 0) {
        (void)close(state);
    }
    apr_pool_destroy(pool);
    return error;
}

/* What is half done elsewhere is waited for, rather than taken along. */
static void when_at_rest(struct master *m, void *ctx)
{
    (void)ctx;
    if (m->reopen == NULL && !m->certs.running && store_is_at_rest(m)) {
        refuse(m, apr_psprintf(m->job->outcome->pool, "could not be executed: %s",
                               strerror(execute(m))));
    }
    else if (loop_now_ms() > check.give_up) {
        refuse(m, "what goes on (reopen, certs, writing down what serves) does not come to an end");
    }
    else {
        timer_set(&m->loop, &check.timer, loop_now_ms() + REST_MS, when_at_rest, NULL);
    }
}

/* ---- The check ----------------------------------------------------------------- */

/* In the child. */
__attribute__((noreturn)) static void become_reader(const struct master *m, int state, int said)
{
    char number[16];
    char option[] = "--read-state";
    char *const argv[] = { m->options->argv[0], option, number, NULL };

    (void)snprintf(number, sizeof(number), "%d", state);
    (void)fcntl(state, F_SETFD, 0);
    (void)dup2(said, STDOUT_FILENO);
    (void)dup2(said, STDERR_FILENO);
    (void)execv(m->options->binary, argv);
    (void)dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(127);
}

static int run_reader(struct master *m)
{
    apr_pool_t *pool = memory_pool(0);
    struct image_bytes image = image_pack(image_take(m, pool), pool);
    int said[2], state = image_write(&image), error = state < 0 ? errno : 0;

    apr_pool_destroy(pool);
    if (error == 0 && pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0) {
        error = errno;
        (void)close(state);
    }
    if (error != 0) {
        return error;
    }
    (void)lseek(state, 0, SEEK_SET);
    check.pid = fork_role("instar: upgrade check", (const int[]){ state, said[1] }, 2, true);
    if (check.pid == 0) {
        become_reader(m, state, said[1]);
    }
    error = check.pid < 0 ? errno : 0;
    check.pid = check.pid < 0 ? 0 : check.pid;
    (void)close(state);
    (void)close(said[1]);
    check.said_fd = said[0];
    return error;
}

static void overdue(struct master *m, void *ctx)
{
    (void)ctx;
    refuse(m, apr_psprintf(m->job->outcome->pool,
                           "did not say within %d s (StartTimeout) whether it can go on",
                           (int)(m->serving->manifest->conf->process.start_timeout / 1000)));
}

void upgrade_begin(struct master *m, struct job *job)
{
    int error;

    job->step = STEP_CHECKING;
    check.job = job;
    error = run_reader(m);
    if (error != 0) {
        refuse(m, apr_psprintf(job->outcome->pool, "could not be checked: %s", strerror(error)));
        return;
    }
    timer_set(&m->loop, &check.timer,
              loop_now_ms() + m->serving->manifest->conf->process.start_timeout, overdue, NULL);
}

void upgrade_stop(struct master *m, const struct job *job)
{
    if (check.job != job) {
        return;
    }
    timer_clear(&m->loop, &check.timer);
    if (check.pid > 0) {
        (void)kill(-check.pid, SIGKILL); /* reaped as nobody's */
    }
    if (check.said_fd >= 0) {
        (void)close(check.said_fd);
    }
    check.job = NULL;
    check.pid = 0;
    check.said_fd = -1;
}

/* Why it did not say what it should have. */
static const char *complaint(int status, const char *said, apr_pool_t *pool)
{
    char words[CHILD_WORDS];

    if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && *said != '\0') {
        return said; /* the exec's own error */
    }
    if (status == 0) {
        return "it does not know how to take over a running server";
    }
    return apr_psprintf(pool, "it cannot take over: it %s%s%s", child_words(status, words),
                        *said != '\0' ? ": " : "", said);
}

bool upgrade_check_exited(struct master *m, pid_t pid, int status)
{
    char said[SAID_MAX] = "";
    ssize_t n;

    if (check.pid != pid || pid <= 0) {
        return false;
    }
    check.pid = 0;
    n = read(check.said_fd, said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    said[strcspn(said, "\n")] = '\0';
    if (status != 0 || strcmp(said, good_answer) != 0) {
        refuse(m, complaint(status, said, m->job->outcome->pool));
        return true;
    }
    check.give_up = loop_now_ms() + REST_MAX_MS;
    when_at_rest(m, NULL);
    return true;
}

int master_read_state(int fd)
{
    static struct master nobody;
    apr_pool_t *pool = memory_pool(0);
    struct diags *diags = diags_create(pool);
    const char *why;
    const struct image *image = image_read(fd, &why, pool);
    struct manifest *manifest = manifest_create(&nobody);

    if (image == NULL) {
        (void)fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    if (!image_manifest(image, manifest, diags)) {
        (void)fprintf(stderr, "%s\n", diags_text(diags, false, pool));
        return EXIT_FAILURE;
    }
    (void)puts(good_answer);
    return EXIT_SUCCESS;
}
