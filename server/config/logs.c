/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the logs of a config, each once, however many servers name it. */
#include "config/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "config/paths.h"

/* What is no file yet, or is one, can also be read: a full disk may leave half a
 * line, which is looked for and cut off. */
static int open_regular(const char *path)
{
    struct stat st;
    int fd;

    if (stat(path, &st) == 0 ? !S_ISREG(st.st_mode) : errno != ENOENT) {
        return -1;
    }
    fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, O_APPEND);
    }
    return fd;
}

/* A FIFO must neither hold up the opening nor, later, a worker whose reader sleeps:
 * it stays non-blocking and loses lines instead. */
int logs_open_file(const char *path)
{
    int fd = open_regular(path);

    return fd >= 0 ? fd
                   : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                          0644);
}

/* A pipe is opened as one of our own: what reads the server's output must not be able to stop it,
 * and the flag is not set for those who share the old one. */
static int open_stderr(void)
{
    struct stat st;
    int fd = -1;

    if (fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode)) {
        fd = open("/proc/self/fd/2", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    }
    return fd >= 0 ? fd : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static const char *reason(int error, const struct log_spec *spec, apr_pool_t *pool)
{
    if (error == ENXIO) {
        return apr_psprintf(pool, "%s: a FIFO that nobody reads", spec->key);
    }
    return apr_psprintf(pool, "%s: cannot be opened for writing: %s", spec->key, strerror(error));
}

/* -1: *why. */
static int open_log(const struct log_spec *spec, log_command_fn command, void *ctx,
                    const char **why, apr_pool_t *pool)
{
    int fd = -1;

    switch (spec->kind) {
    case LOG_FILE:
        fd = logs_open_file(spec->key);
        break;
    case LOG_STDERR:
        fd = open_stderr();
        break;
    case LOG_SYSLOG:
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        break;
    case LOG_COMMAND:
        *why = "commands are not run here";
        return command ? command(ctx, spec, why, pool) : -1;
    }
    if (fd < 0) {
        *why = reason(errno, spec, pool);
    }
    return fd;
}

static void report(const struct conf *conf, const struct conf_log *log, const char *words,
                   struct diags *diags)
{
    if (log->node) {
        conf_report(diags, DIAG_START, DIAG_ERROR, log->node, 0, "%s", words);
    }
    else {
        diags_add(diags, DIAG_START, DIAG_ERROR, conf->path, 0, 0, "ErrorLog (by default): %s",
                  words);
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct log_entry *)a)->path, ((const struct log_entry *)b)->path);
}

static apr_status_t close_all(void *data)
{
    struct log_set *set = data;

    for (int i = 0; i < set->count; i++) {
        (void)close(set->list[i].fd);
        set->list[i].fd = -1;
    }
    return APR_SUCCESS;
}

static struct log_set *make_set(const struct conf *conf, apr_pool_t *pool)
{
    const struct conf_process *process = &conf->process;
    struct log_set *set = apr_pcalloc(pool, sizeof(*set));

    set->server_root = apr_pstrdup(pool, process->server_root);
    set->syslog_socket = apr_pstrdup(pool, process->syslog_socket);
    set->buffered = process->buffered_logs != 0;
    set->flush_ms = process->log_flush_interval;
    set->buffer_bytes = (size_t)process->log_buffer_size;
    set->list = apr_pcalloc(pool, ((size_t)process->logs->nelts + 1) * sizeof(*set->list));
    apr_pool_cleanup_register(pool, set, close_all, apr_pool_cleanup_null);
    return set;
}

struct log_set *logs_open(const struct conf *conf, log_command_fn command, void *ctx,
                          struct diags *diags, apr_pool_t *pool)
{
    const apr_array_header_t *logs = conf->process.logs;
    struct log_set *set = make_set(conf, pool);

    for (int i = 0; i < logs->nelts; i++) {
        const struct conf_log *log = &APR_ARRAY_IDX(logs, i, struct conf_log);
        const char *why = NULL;
        int fd = open_log(&log->spec, command, ctx, &why, diags->pool);

        if (fd < 0) {
            report(conf, log, why, diags);
            continue;
        }
        set->list[set->count].path = log->spec.key;
        set->list[set->count].spec = &log->spec;
        set->list[set->count++].fd = fd;
    }
    qsort(set->list, (size_t)set->count, sizeof(*set->list), by_path);
    return set;
}

/* A start makes DefaultRuntimeDir and all above it. */
static bool is_made_at_start(const struct conf *conf, const char *folder)
{
    const char *made = conf->process.runtime_dir;
    size_t len = strlen(folder);

    return strncmp(made, folder, len) == 0 && (made[len] == '/' || made[len] == '\0');
}

/* What this user may not see is for the one who starts the server. */
static int check_place(const struct conf *conf, const char *path, apr_pool_t *pool)
{
    const char *folder = apr_pstrndup(pool, path, (size_t)(strrchr(path, '/') - path));
    struct stat st;

    if (stat(path, &st) == 0) {
        return S_ISDIR(st.st_mode) ? EISDIR : 0;
    }
    if (*folder == '\0' || is_made_at_start(conf, folder)) {
        return 0;
    }
    if (stat(folder, &st) != 0) {
        return errno == ENOENT || errno == ENOTDIR ? errno : 0;
    }
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

/* Of a command without a shell: where PATH leads to. */
static int check_program(const char *command, const char *server_root, apr_pool_t *pool)
{
    char **argv;
    const char *path = getenv("PATH");
    char *state = NULL;

    if (apr_tokenize_to_argv(command, &argv, pool) != APR_SUCCESS || argv[0] == NULL) {
        return EINVAL;
    }
    if (strchr(argv[0], '/')) {
        return access(path_under(server_root, argv[0], pool), X_OK) == 0 ? 0 : errno;
    }
    for (char *at = apr_strtok(apr_pstrdup(pool, path ? path : ""), ":", &state); at;
         at = apr_strtok(NULL, ":", &state)) {
        if (access(apr_pstrcat(pool, at, "/", argv[0], NULL), X_OK) == 0) {
            return 0;
        }
    }
    return ENOENT;
}

static const char *check_log(const struct conf *conf, const struct log_spec *spec, apr_pool_t *pool)
{
    int error = 0;

    if (spec->kind == LOG_FILE) {
        error = check_place(conf, spec->key, pool);
    }
    else if (spec->kind == LOG_COMMAND && spec->shell == NULL) {
        error = check_program(spec->command, conf->process.server_root, pool);
        return error ? apr_psprintf(pool, "%s: cannot be run: %s", spec->command, strerror(error))
                     : NULL;
    }
    return error ? reason(error, spec, pool) : NULL;
}

void logs_check(const struct conf *conf, struct diags *diags)
{
    const apr_array_header_t *logs = conf->process.logs;

    for (int i = 0; i < logs->nelts; i++) {
        const struct conf_log *log = &APR_ARRAY_IDX(logs, i, struct conf_log);
        const char *words = check_log(conf, &log->spec, diags->pool);

        if (words) {
            report(conf, log, words, diags);
        }
    }
}

/* ---- Finding ------------------------------------------------------------ */

static struct log_entry *by_key(const struct log_set *set, const char *key)
{
    struct log_entry wanted = { .path = key };

    return set->count > 0
               ? bsearch(&wanted, set->list, (size_t)set->count, sizeof(*set->list), by_path)
               : NULL;
}

static struct log_entry *find(const struct log_set *set, const char *text)
{
    struct log_entry *found = by_key(set, text);
    struct log_spec spec;
    apr_pool_t *pool;

    if (found == NULL) {
        (void)apr_pool_create(&pool, NULL);
        found = log_spec_read(&spec, set->server_root, text, pool) ? NULL : by_key(set, spec.key);
        apr_pool_destroy(pool);
    }
    return found;
}

int logs_find(const struct log_set *set, const char *text)
{
    const struct log_entry *found = find(set, text);

    return found ? found->fd : -1;
}

struct log_sink *logs_sink(const struct log_set *set, const char *text)
{
    struct log_entry *found = find(set, text);

    if (found == NULL) {
        return NULL;
    }
    if (found->sink.name == NULL && found->spec && found->spec->kind == LOG_SYSLOG) {
        const struct sink_syslog syslog = { .socket = set->syslog_socket,
                                            .tag = found->spec->tag,
                                            .facility = found->spec->facility };

        sink_init_syslog(&found->sink, found->path, found->fd, &syslog);
    }
    else if (found->sink.name == NULL) {
        sink_init(&found->sink, found->path, found->fd);
    }
    return &found->sink;
}

bool logs_replace(const struct log_set *set, const char *key, int fd)
{
    struct log_entry *found = by_key(set, key);

    if (found == NULL || dup3(fd, found->fd, O_CLOEXEC) < 0) {
        return false;
    }
    atomic_store(&found->sink.torn, false);
    return true;
}
