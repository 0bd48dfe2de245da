/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's life: made, started, looped, taken down. The first start is a
 * reload like every later one; what is special about it is only that there is
 * nobody to go on serving when it fails, and somebody who waits for the word.
 */
#include "master/life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <apr_strings.h>
#include <apr_time.h>

#include "builder/builder.h"
#include "master/board.h"
#include "master/certs.h"
#include "master/control.h"
#include "master/folders.h"
#include "master/generations.h"
#include "master/image.h"
#include "master/job.h"
#include "master/log_commands.h"
#include "master/manifest.h"
#include "master/memory.h"
#include "master/notify.h"
#include "master/numbers.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/reopen.h"
#include "master/report.h"
#include "master/scratch.h"
#include "master/signals.h"
#include "master/state.h"
#include "master/stop.h"
#include "master/store.h"
#include "master/verbs.h"
#include "scoreboard/scoreboard.h"
#include "util/diag.h"
#include "util/log.h"
#include "util/staple_board.h"

#define LOG_PART "master"

/* ---- Telling who started us --------------------------------------------- */

static void write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno != EINTR) {
            return;
        }
        text += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
}

/* To the pipe of -k start; else a failure to stderr, JSON to stdout. */
static void tell(const struct master_options *options, int code, const char *text)
{
    char line[16];

    if (options->report_fd >= 0) {
        (void)snprintf(line, sizeof(line), "%d\n", code);
        write_all(options->report_fd, line);
        write_all(options->report_fd, text);
        (void)close(options->report_fd);
    }
    else if (options->json) {
        write_all(STDOUT_FILENO, text);
    }
    else if (code != VERB_DONE) {
        write_all(STDERR_FILENO, text);
    }
}

static void tell_outcome(const struct master_options *options, const struct outcome *outcome)
{
    tell(options, outcome->ok ? VERB_DONE : VERB_REFUSED,
         options->json ? report_json(outcome, outcome->pool)
                       : report_text(outcome, options->colour, outcome->pool));
}

/* ---- Making ------------------------------------------------------------ */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    /* The soft limit also bounds the descriptors in flight of the whole uid. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int master_make(struct master *m, const struct master_options *options,
                const struct launch_ops *ops, const struct image *from)
{
    int error;

    memset(m, 0, sizeof(*m));
    m->options = options;
    m->ops = ops;
    m->pool = memory_pool(0);
    m->started = apr_time_now();
    m->signals.fd = -1;
    m->certs.inotify.fd = -1;
    error = loop_open(&m->loop);
    if (error != 0) {
        return error;
    }
    error = signals_open(m);
    if (error != 0) {
        return error;
    }
    m->board_fd = from != NULL ? from->board_fd : -1;
    m->board = from != NULL ? sb_attach(m->board_fd)
                            : sb_create(&m->board_fd); /* the mapping is what children inherit */
    if (m->board == NULL) {
        return errno;
    }
    error = ticket_keys_open(&m->tickets, from != NULL ? from->tickets_fd : -1, loop_now_ms());
    if (error != 0) {
        return error;
    }
    error = sink_make_locks();
    if (error != 0) {
        return error;
    }
    sink_count_losses(&m->board->master.counter[SB_MASTER_log_lost_aside]);
    m->staples_fd = from != NULL ? from->staples_fd : -1;
    m->staples = staple_board_open(&m->staples_fd);
    if (m->staples == NULL) {
        return errno;
    }
    m->builder = builder_create(m->pool);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    raise_descriptor_limit();
    return 0;
}

void master_run_loop(struct master *m)
{
    while (!stop_is_complete(m)) {
        loop_turn(m, &m->loop);
        board_publish(m);
    }
}

void master_take_down(struct master *m)
{
    if (m->job != NULL || m->waiting != NULL || m->rollbacks != NULL || m->checks != NULL) {
        reload_abandon(m, "the server was stopped");
    }
    while (m->generations != NULL) {
        generation_forget(m, m->generations);
    }
    manifest_drop(m, m->first);
    reopen_abandon(m);
    log_commands_end(m);
    outcome_destroy(m->last_reload);
    /* Before anybody is told: the child that writes it down may hold our sockets for its first
     * moment, and a new start reads what it wrote. */
    store_close(m);
    pidfile_release(m->pid_file);
    m->pid_file = NULL;
    control_close(m);
    certs_watch_close(m);
    ticket_keys_close(&m->tickets);
    source_close(&m->loop, &m->signals);
    loop_close(&m->loop);
    (void)close(m->board_fd);
    scratch_close();
    apr_pool_destroy(m->pool);
}

/* ---- The first start --------------------------------------------------- */

/* What must be there before the first generation: found in the config, but
 * held for life. It is read a second time as the first reload's manifest. */
struct ground {
    const char *step, *path;
    int error;
    pid_t other;
};

static bool fail(struct ground *g, const char *step, const char *path, int error)
{
    g->step = step;
    g->path = path;
    g->error = error;
    return error == 0;
}

static bool claim(struct master *m, const struct conf *conf, struct ground *g)
{
    const struct conf_process *p = &conf->process;
    bool stale;

    if (!fail(g, "make the folder of", p->pid_file, folder_make_parent(p->pid_file)) ||
        !fail(g, "make", p->runtime_dir, folder_make(p->runtime_dir)) ||
        !fail(g, "make the folder of", p->control_socket, folder_make_parent(p->control_socket))) {
        return false;
    }
    m->pid_file = pidfile_claim(p->pid_file, &g->error, &g->other, &stale);
    if (m->pid_file == NULL) {
        return fail(g, "write", p->pid_file, g->error);
    }
    m->retry_bind = stale;
    m->number_file = apr_pstrcat(m->pool, p->runtime_dir, "/generation", NULL);
    m->last_number = numbers_read(m->number_file);
    if (m->alone) {
        return true; /* -X has no loop that would answer */
    }
    if (store_highest(m) > m->last_number) {
        m->last_number = store_highest(m); /* the number's file was lost */
    }
    return fail(g, "open", p->control_socket, control_open(m, p->control_socket, conf->path)) &&
           fail(g, "write beside", p->pid_file,
                pidfile_note_control(m->pid_file, p->control_socket));
}

static int refuse(struct master *m, const struct ground *g)
{
    struct outcome *outcome = outcome_create("start");
    int code = g->error == EEXIST ? VERB_RUNNING : VERB_REFUSED;

    if (code == VERB_RUNNING) {
        diags_add(outcome->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the server is running already (pid %d, %s)", (int)g->other, g->path);
    }
    else {
        diags_add(outcome->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "could not %s %s: %s",
                  g->step, g->path, strerror(g->error));
    }
    tell(m->options, code,
         m->options->json ? report_json(outcome, outcome->pool)
                          : report_text(outcome, m->options->colour, outcome->pool));
    outcome_destroy(outcome);
    return code;
}

/* StartFrom stands in the config that may be broken: what can be read of that
 * counts, and where it says nothing, what the last good one said. */
static bool wants_last(const struct master *m, const struct conf *conf, const struct diags *diags)
{
    enum start_from from = conf->process.start_from;

    return from == START_FROM_LAST ||
           (from == START_FROM_NOT_SAID && diags->errors > 0 && store_prefers_last(m));
}

static int claim_or_refuse(struct master *m, const struct conf *conf)
{
    struct ground ground = { 0 };

    return claim(m, conf, &ground) ? 0 : refuse(m, &ground);
}

/* 0: go on. */
static int prepare(struct master *m)
{
    struct outcome *scan = outcome_create("start");
    struct manifest *manifest = manifest_read(m, scan->diags);
    int code = 0;

    if (!m->alone) {
        store_open(m, manifest->conf->process.runtime_dir);
        m->first =
            wants_last(m, manifest->conf, scan->diags) ? store_load_last(m, scan->pool) : NULL;
    }
    if (m->first != NULL) {
        code = claim_or_refuse(m, m->first->conf);
    }
    else if (manifest->conf->files->nelts == 0) {
        tell_outcome(m->options, scan);
        code = VERB_REFUSED;
    }
    else if (scan->diags->errors > 0) {
        /* What such a text says about places is not to be trusted: nothing is
         * made, and the first reload says all that is wrong. */
        store_close(m);
        m->alone = true;
    }
    else {
        code = claim_or_refuse(m, manifest->conf);
    }
    manifest_drop(m, manifest);
    outcome_destroy(scan);
    return code;
}

static void wait_for_first(struct master *m)
{
    notify_open(m);
    reload_first(m);
    while (m->last_reload == NULL && !stop_is_complete(m)) {
        loop_turn(m, &m->loop);
        board_publish(m);
    }
    if (m->last_reload != NULL) {
        if (!m->last_reload->ok) {
            /* Whoever hears of it may start the next one at once. */
            control_close(m);
            store_close(m);
            pidfile_release(m->pid_file);
            m->pid_file = NULL;
        }
        tell_outcome(m->options, m->last_reload);
    }
    else {
        tell(m->options, VERB_REFUSED, m->options->json ? "{\"ok\":false}\n" : "stopped\n");
        m->exit_status = VERB_REFUSED;
    }
}

int master_run(const struct master_options *options, const struct launch_ops *ops)
{
    static struct master m;
    int code = master_make(&m, options, ops, NULL);

    if (code != 0) {
        log_emerg("INS01121", "the master could not be made: %s", strerror(code));
        return VERB_REFUSED;
    }
    code = prepare(&m);
    if (code == 0) {
        wait_for_first(&m);
        master_run_loop(&m);
        code = m.exit_status;
        if (code == 0) {
            log_notice("INS01122", "the server has stopped");
        }
    }
    master_take_down(&m);
    return code;
}

/* ---- instar -t --------------------------------------------------------- */

int master_check(const struct master_options *options, const struct launch_ops *ops,
                 enum launch_dump dump)
{
    static struct master m;
    int error = master_make(&m, options, ops, NULL);

    if (error != 0) {
        log_emerg("INS01123", "the check could not be made: %s", strerror(error));
        return VERB_REFUSED;
    }
    m.alone = true;
    m.exit_status = VERB_REFUSED; /* until there is a verdict */
    reload_check(&m, dump, NULL);
    master_run_loop(&m);
    if (m.last_reload != NULL && (dump == DUMP_NOTHING || !m.last_reload->ok)) {
        const char *text = options->json
                               ? report_json(m.last_reload, m.last_reload->pool)
                               : report_text(m.last_reload, options->colour, m.last_reload->pool);

        write_all(options->json ? STDOUT_FILENO : STDERR_FILENO, text);
    }
    master_take_down(&m);
    return m.exit_status;
}

/* ---- -X ---------------------------------------------------------------- */

int master_single(const struct master_options *options, const struct launch_ops *ops)
{
    static struct master m;
    int code = master_make(&m, options, ops, NULL);

    if (code != 0) {
        log_emerg("INS01124", "the server could not be made: %s", strerror(code));
        return VERB_REFUSED;
    }
    m.alone = true;
    code = prepare(&m);
    if (code == 0) {
        reload_single(&m);
        master_run_loop(&m);
        code = m.exit_status;
        if (m.last_reload != NULL && !m.last_reload->ok) {
            tell_outcome(options, m.last_reload);
        }
    }
    master_take_down(&m);
    return code;
}
