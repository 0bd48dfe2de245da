/* SPDX-License-Identifier: Apache-2.0 */
#include "master/log_commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/logs.h"
#include "master/children.h"
#include "master/image.h"
#include "master/log_command_state.h"
#include "master/memory.h"
#include "master/state.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "master"

enum {
    PIPE_BYTES = 1 << 20, /* asked for; the kernel may give less */
    LIVED_LONG_MS = 1000,
    PAUSE_MS = 50,
    PAUSE_MAX_MS = 5000,
    LAST_TRIES = 3, /* for what is left in the pipe of a command that is not wanted any more */
    END_MS = 3000,
    TERM_MS = 500,
    STEP_MS = 10
};

/* ---- Running ------------------------------------------------------------ */

/* In the child: to the exec, or the errno of what failed. */
static int become(const struct log_command *c, char *const argv[], int log)
{
    if (dup2(c->read_fd, STDIN_FILENO) < 0 || (log >= 0 && dup2(log, STDERR_FILENO) < 0)) {
        return errno;
    }
    if (chdir(c->folder) != 0) {
        return errno;
    }
    (void)execvp(argv[0], argv);
    return errno;
}

/* Where it may complain: the error log, unless that is a command, too. */
static int complaints(void)
{
    struct log_sink sink;

    sink_init(&sink, "", log_fd());
    return sink.kind == SINK_FILE ? log_fd() : -1;
}

static bool make_argv(const struct log_command *c, char ***argv, apr_pool_t *pool)
{
    if (c->shell == NULL) {
        return apr_tokenize_to_argv(c->text, argv, pool) == APR_SUCCESS && (*argv)[0] != NULL;
    }
    *argv = apr_pcalloc(pool, 4 * sizeof(**argv));
    (*argv)[0] = c->shell;
    (*argv)[1] = apr_pstrdup(pool, "-c");
    (*argv)[2] = c->text;
    return true;
}

/* 0, or errno of the fork or the exec: a pipe that closes by exec tells them apart. */
static int run_argv(struct log_command *c, char *const argv[])
{
    int said[2], error = 0, log = complaints();
    pid_t pid;

    if (pipe2(said, O_CLOEXEC) != 0) {
        return errno;
    }
    pid = fork_role("instar: log command", (const int[]){ c->read_fd, said[1], log }, 3, true);
    if (pid == 0) {
        error = become(c, argv, log);
        (void)!write(said[1], &error, sizeof(error));
        _exit(127);
    }
    error = pid < 0 ? errno : 0;
    (void)close(said[1]);
    while (pid > 0 && read(said[0], &error, sizeof(error)) < 0 && errno == EINTR) {
    }
    (void)close(said[0]);
    if (pid > 0 && error != 0) {
        (void)waitpid(pid, NULL, 0);
    }
    else if (pid > 0) {
        c->pid = pid;
        c->started = loop_now_ms();
    }
    return error;
}

static int run(struct log_command *c)
{
    apr_pool_t *pool = memory_pool(0);
    char **argv = NULL;
    int error = make_argv(c, &argv, pool) ? run_argv(c, argv) : EINVAL;

    apr_pool_destroy(pool);
    return error;
}

/* ---- One's life --------------------------------------------------------- */

static void close_end(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void destroy(struct master *m, struct log_command *c)
{
    struct log_command **at;

    for (at = &m->log_commands; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    timer_clear(&m->loop, &c->timer);
    close_end(&c->read_fd);
    close_end(&c->write_fd);
    free(c->key);
    free(c->text);
    free(c->shell);
    free(c->folder);
    free(c);
}

static struct log_command *create(struct master *m, const struct log_spec *spec)
{
    struct log_command *c = calloc(1, sizeof(*c));
    int ends[2] = { -1, -1 };

    if (c == NULL) {
        return NULL;
    }
    c->key = strdup(spec->key);
    c->text = strdup(spec->command);
    c->shell = spec->shell ? strdup(spec->shell) : NULL;
    c->folder = strdup(m->log_folder ? m->log_folder : "/");
    c->next = m->log_commands;
    m->log_commands = c;
    if (c->key == NULL || c->text == NULL || c->folder == NULL ||
        (spec->shell && c->shell == NULL) || pipe2(ends, O_CLOEXEC) != 0) {
        c->read_fd = c->write_fd = -1;
        destroy(m, c);
        return NULL;
    }
    c->read_fd = ends[0];
    c->write_fd = ends[1];
    /* The flag is the writing end's alone. */
    (void)fcntl(c->write_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(c->write_fd, F_SETPIPE_SZ, PIPE_BYTES);
    return c;
}

static bool is_empty(const struct log_command *c)
{
    int bytes = 0;

    return c->read_fd < 0 || ioctl(c->read_fd, FIONREAD, &bytes) != 0 || bytes == 0;
}

void log_command_start_again(struct master *m, void *ctx)
{
    struct log_command *c = ctx;
    int error = run(c);

    if (error == 0) {
        log_info("INS01230", "the log command \"%s\" runs again (pid %d)", c->text, (int)c->pid);
        return;
    }
    log_error("INS01231", "the log command \"%s\" cannot be run: %s; its lines wait", c->text,
              strerror(error));
    c->pause = c->pause < PAUSE_MAX_MS ? c->pause * 2 + PAUSE_MS : PAUSE_MAX_MS;
    if (c->write_fd < 0 && --c->last_tries <= 0) {
        destroy(m, c);
        return;
    }
    timer_set(&m->loop, &c->timer, loop_now_ms() + c->pause, log_command_start_again, c);
}

/* At once the first time; if it dies soon, again and again, each time later. */
static void restart_later(struct master *m, struct log_command *c)
{
    int64_t now = loop_now_ms();

    if (now - c->started >= LIVED_LONG_MS) {
        c->pause = 0;
    }
    timer_set(&m->loop, &c->timer, now + c->pause, log_command_start_again, c);
    c->pause = c->pause * 2 + PAUSE_MS;
    c->pause = c->pause < PAUSE_MAX_MS ? c->pause : PAUSE_MAX_MS;
}

/* Its end of input comes when the last generation that wrote to it is gone, too. */
static void leave(struct master *m, struct log_command *c)
{
    close_end(&c->write_fd);
    c->last_tries = LAST_TRIES;
    if (c->pid != 0) {
        return;
    }
    if (is_empty(c)) {
        destroy(m, c);
    }
    else {
        timer_set(&m->loop, &c->timer, loop_now_ms(), log_command_start_again, c);
    }
}

bool log_command_exited(struct master *m, pid_t pid, int status)
{
    struct log_command *c = m->log_commands;
    char words[CHILD_WORDS];

    while (c != NULL && c->pid != pid) {
        c = c->next;
    }
    if (c == NULL) {
        return false;
    }
    c->pid = 0;
    if (c->write_fd < 0 && (is_empty(c) || --c->last_tries <= 0)) {
        log_info("INS01232", "the log command \"%s\" (pid %d) has ended", c->text, (int)pid);
        destroy(m, c);
        return true;
    }
    log_warning("INS01233", "the log command \"%s\" (pid %d) %s; it is started again", c->text,
                (int)pid, child_words(status, words));
    restart_later(m, c);
    return true;
}

/* ---- Shares ------------------------------------------------------------- */

static struct log_command *find(struct master *m, const char *key)
{
    struct log_command *c = m->log_commands;

    while (c != NULL && (c->write_fd < 0 || strcmp(c->key, key) != 0)) {
        c = c->next;
    }
    return c;
}

static void sweep(struct master *m)
{
    struct log_command *c, *next;

    for (c = m->log_commands; c != NULL; c = next) {
        next = c->next;
        if (c->shares == 0 && c->write_fd >= 0) {
            leave(m, c);
        }
    }
}

/* 0 or errno; *out NULL then. */
static int make_and_run(struct master *m, const struct log_spec *spec, struct log_command **out)
{
    int error;

    *out = create(m, spec);
    if (*out == NULL) {
        return errno;
    }
    error = run(*out);
    if (error != 0) {
        destroy(m, *out);
        *out = NULL;
    }
    return error;
}

int log_command_open(void *ctx, const struct log_spec *spec, const char **why, apr_pool_t *pool)
{
    struct master *m = ctx;
    struct log_command *c = find(m, spec->key);
    int fd, error = 0;

    if (c == NULL) {
        error = make_and_run(m, spec, &c);
    }
    if (c == NULL) {
        *why = apr_psprintf(pool, "%s: cannot be run: %s", spec->command, strerror(error));
        return -1;
    }
    fd = fcntl(c->write_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0) {
        *why = apr_psprintf(pool, "%s: no pipe for it: %s", spec->command, strerror(errno));
    }
    return fd;
}

/* One piece of memory: the list, then the keys. */
static struct log_hold *make_hold(int count, size_t keys_size, char **keys)
{
    struct log_hold *hold =
        calloc(1, sizeof(*hold) + (size_t)count * sizeof(struct log_held) + keys_size);

    if (hold != NULL) {
        hold->count = count;
        *keys = (char *)&hold->list[count];
    }
    return hold;
}

static char *fill_held(struct master *m, struct log_held *held, const char *key, bool is_file,
                       char *keys)
{
    size_t len = strlen(key) + 1;

    held->key = memcpy(keys, key, len);
    held->is_file = is_file;
    held->command = is_file ? NULL : find(m, key);
    if (held->command != NULL) {
        held->command->shares++;
    }
    return keys + len;
}

struct log_hold *log_hold_take(struct master *m, const struct log_set *set)
{
    struct log_hold *hold;
    size_t size = 0;
    char *keys;

    for (int i = 0; i < set->count; i++) {
        size += strlen(set->list[i].path) + 1;
    }
    hold = make_hold(set->count, size, &keys);
    for (int i = 0; hold != NULL && i < set->count; i++) {
        const struct log_entry *entry = &set->list[i];

        keys = fill_held(m, &hold->list[i], entry->path, entry->spec->kind == LOG_FILE, keys);
    }
    sweep(m);
    return hold;
}

struct log_hold *log_hold_adopt(struct master *m, const apr_array_header_t *logs)
{
    struct log_hold *hold;
    size_t size = 0;
    char *keys;

    for (int i = 0; i < logs->nelts; i++) {
        size += strlen(APR_ARRAY_IDX(logs, i, struct image_log).key) + 1;
    }
    hold = make_hold(logs->nelts, size, &keys);
    for (int i = 0; hold != NULL && i < logs->nelts; i++) {
        const struct image_log *log = &APR_ARRAY_IDX(logs, i, struct image_log);

        keys = fill_held(m, &hold->list[i], log->key, log->is_file, keys);
    }
    return hold;
}

void log_hold_drop(struct master *m, struct log_hold *hold)
{
    if (hold == NULL) {
        return;
    }
    for (int i = 0; i < hold->count; i++) {
        if (hold->list[i].command != NULL) {
            hold->list[i].command->shares--;
        }
    }
    free(hold);
    sweep(m);
}

/* ---- The end of the server ---------------------------------------------- */

static bool any_runs(struct master *m)
{
    bool any = false;

    for (struct log_command *c = m->log_commands; c != NULL; c = c->next) {
        if (c->pid != 0 && waitpid(c->pid, NULL, WNOHANG) == c->pid) {
            c->pid = 0;
        }
        any = any || c->pid != 0;
    }
    return any;
}

static void wait_for_all(struct master *m, int ms)
{
    const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };

    for (; any_runs(m) && ms > 0; ms -= STEP_MS) {
        (void)nanosleep(&step, NULL);
    }
}

void log_commands_end(struct master *m)
{
    if (m->log_commands == NULL) {
        return;
    }
    log_drop_sink();
    for (struct log_command *c = m->log_commands; c != NULL; c = c->next) {
        close_end(&c->write_fd);
        if (c->pid == 0 && !is_empty(c)) {
            (void)run(c);
        }
    }
    wait_for_all(m, END_MS);
    for (struct log_command *c = m->log_commands; c != NULL; c = c->next) {
        if (c->pid != 0) {
            (void)kill(-c->pid, SIGTERM);
        }
    }
    wait_for_all(m, TERM_MS);
    while (m->log_commands != NULL) {
        destroy(m, m->log_commands);
    }
}
