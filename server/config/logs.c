/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the log files of a config, each once, however many servers name it. */
#include "config/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "config/paths.h"

static const char standard_error[] = "stderr";

const char *logs_path(const char *server_root, const char *text, apr_pool_t *pool)
{
    return strcmp(text, standard_error) == 0 ? standard_error : path_under(server_root, text, pool);
}

/* A FIFO must neither hold up the opening nor, later, a worker whose reader sleeps:
 * it stays non-blocking and loses lines instead. */
static int open_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode)) {
        int flags = fcntl(fd, F_GETFL);

        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    return fd;
}

static int open_log(const char *path)
{
    if (strcmp(path, standard_error) == 0) {
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    return open_file(path);
}

static const char *reason(int error, const char *path, apr_pool_t *pool)
{
    if (error == ENXIO) {
        return apr_psprintf(pool, "%s: a FIFO that nobody reads", path);
    }
    return apr_psprintf(pool, "%s: cannot be opened for writing: %s", path, strerror(error));
}

static void report(const struct conf *conf, const struct conf_log *log, int error,
                   struct diags *diags)
{
    const char *words = reason(error, log->path, diags->pool);

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

struct log_set *logs_open(const struct conf *conf, struct diags *diags, apr_pool_t *pool)
{
    const apr_array_header_t *logs = conf->process.logs;
    struct log_set *set = apr_pcalloc(pool, sizeof(*set));

    set->server_root = apr_pstrdup(pool, conf->process.server_root);
    set->list = apr_pcalloc(pool, ((size_t)logs->nelts + 1) * sizeof(*set->list));
    apr_pool_cleanup_register(pool, set, close_all, apr_pool_cleanup_null);
    for (int i = 0; i < logs->nelts; i++) {
        const struct conf_log *log = &APR_ARRAY_IDX(logs, i, struct conf_log);
        int fd = open_log(log->path);

        if (fd < 0) {
            report(conf, log, errno, diags);
            continue;
        }
        set->list[set->count].path = apr_pstrdup(pool, log->path);
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

void logs_check(const struct conf *conf, struct diags *diags)
{
    const apr_array_header_t *logs = conf->process.logs;

    for (int i = 0; i < logs->nelts; i++) {
        const struct conf_log *log = &APR_ARRAY_IDX(logs, i, struct conf_log);
        int error = *log->path == '/' ? check_place(conf, log->path, diags->pool) : 0;

        if (error != 0) {
            report(conf, log, error, diags);
        }
    }
}

int logs_find(const struct log_set *set, const char *path)
{
    apr_pool_t *pool;
    struct log_entry key = { .fd = -1 };
    const struct log_entry *found;

    (void)apr_pool_create(&pool, NULL);
    key.path = logs_path(set->server_root, path, pool);
    found = set->count > 0
                ? bsearch(&key, set->list, (size_t)set->count, sizeof(*set->list), by_path)
                : NULL;
    apr_pool_destroy(pool);
    return found ? found->fd : -1;
}
