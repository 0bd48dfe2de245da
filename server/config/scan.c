/* SPDX-License-Identifier: Apache-2.0 */
/* Process settings from their defaults to their final form. Setters store what
 * was written; once all is read, relative paths, users, flags and log files are
 * worked out here, because what they depend on may stand behind them. */
#include "config/scan.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/paths.h"

/* httpd's own, so that harnesses written for it find the files */
#define DEFAULT_RUNTIME_DIR "logs"
#define DEFAULT_PID_FILE "httpd.pid"
#define DEFAULT_CONTROL_SOCKET "instar.sock"
#define DEFAULT_BUILD_DIRECTORY "build"
#define DEFAULT_ERROR_LOG "logs/error_log"

static int online_cpus(void)
{
    cpu_set_t set;
    long count;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return CPU_COUNT(&set);
    }
    count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

static void set_numbers(struct conf_process *process)
{
    process->workers = online_cpus();
    process->threads_per_worker = 128;
    process->max_connections = 65536;
    process->listen_backlog = 511;
    process->start_timeout = 10000;
    process->graceful_shutdown_timeout = 30000;
    process->max_draining_generations = 2;
    process->handler_timeout = 60 * 1000;
    process->keep_generations = KEEP_GENERATIONS_DEFAULT;
    process->probation_time = 10000;
    process->probation_crashes = 3;
    process->build_timeout = 60000;
    process->build_memory_limit = INT64_C(2) << 30;
    process->log_level = INS_WARNING;
    process->ticket_key_rotation = 3600000;
    process->syslog_socket = "/dev/log";
    process->log_flush_interval = 1000;
    process->log_buffer_size = 1 << 20;
}

void scan_start(struct conf *conf, struct outside *outside, struct diags *diags,
                apr_pool_t *temp_pool)
{
    struct conf_process *process = &conf->process;
    struct conf_scan *scan = apr_pcalloc(temp_pool, sizeof(*scan));

    scan->conf = conf;
    scan->outside = outside;
    scan->pool = temp_pool;
    scan->diags = diags;
    scan->listens = apr_hash_make(temp_pool);
    scan->log_nodes = apr_array_make(temp_pool, 8, sizeof(const struct conf_node *));
    set_numbers(process);
    process->scan = scan;
    process->server_root =
        outside_absolute(outside, conf->options->server_root ? conf->options->server_root : "/");
    process->module_compiler = "cc";
    process->listens = apr_array_make(conf->pool, 4, sizeof(struct conf_listen));
    process->modules = apr_array_make(conf->pool, 16, sizeof(struct conf_module));
    process->logs = apr_array_make(conf->pool, 4, sizeof(struct conf_log));
    process->probes = apr_array_make(conf->pool, 2, sizeof(struct conf_probe));
    process->part_levels = apr_array_make(conf->pool, 2, sizeof(struct log_part_level));
    process->host_levels = apr_array_make(conf->pool, 0, sizeof(struct conf_host_level));
    modules_start(scan);
}

/* ---- Logs --------------------------------------------------------------- */

void scan_log(struct conf *conf, const struct conf_node *node)
{
    /* what is wrong with its arguments, the http part says */
    if (node->argc > 0) {
        APR_ARRAY_PUSH(conf->process.scan->log_nodes, const struct conf_node *) = node;
    }
}

/* Its key; NULL: the http part says what is wrong with it. */
static const char *add_log(struct conf_scan *scan, apr_hash_t *seen, const char *text,
                           const struct conf_node *node)
{
    struct conf_process *process = &scan->conf->process;
    struct conf_log log = { .node = node };

    if (log_spec_read(&log.spec, process->server_root, text, scan->conf->pool)) {
        return NULL;
    }
    if (!apr_hash_get(seen, log.spec.key, APR_HASH_KEY_STRING)) {
        apr_hash_set(seen, log.spec.key, APR_HASH_KEY_STRING, log.spec.key);
        APR_ARRAY_PUSH(process->logs, struct conf_log) = log;
    }
    return log.spec.key;
}

static void finish_logs(struct conf_scan *scan)
{
    struct conf_process *process = &scan->conf->process;
    const apr_array_header_t *nodes = scan->log_nodes;
    apr_hash_t *seen = apr_hash_make(scan->pool);
    const struct conf_node *main_log = NULL;

    for (int i = 0; i < nodes->nelts; i++) {
        const struct conf_node *node = APR_ARRAY_IDX(nodes, i, const struct conf_node *);

        if (node->parent == scan->conf->root && conf_is(node, "ErrorLog")) {
            main_log = node;
        }
    }
    process->error_log = main_log ? add_log(scan, seen, main_log->argv[0], main_log) : NULL;
    if (process->error_log == NULL) {
        process->error_log = add_log(scan, seen, DEFAULT_ERROR_LOG, NULL);
    }
    for (int i = 0; i < nodes->nelts; i++) {
        const struct conf_node *node = APR_ARRAY_IDX(nodes, i, const struct conf_node *);

        /* of several in the main server the last one counts */
        if (node->parent != scan->conf->root || !conf_is(node, "ErrorLog")) {
            (void)add_log(scan, seen, node->argv[0], node);
        }
    }
}

/* ---- Paths -------------------------------------------------------------- */

static const char *in_runtime_dir(const struct conf_scan *scan, const char *set, const char *name)
{
    const struct conf *conf = scan->conf;

    return set ? conf_path(conf, set, conf->pool)
               : apr_pstrcat(conf->pool, conf->process.runtime_dir, "/", name, NULL);
}

static void finish_paths(struct conf_scan *scan)
{
    struct conf *conf = scan->conf;
    struct conf_process *p = &conf->process;

    p->runtime_dir =
        conf_path(conf, p->runtime_dir ? p->runtime_dir : DEFAULT_RUNTIME_DIR, conf->pool);
    p->pid_file = in_runtime_dir(scan, p->pid_file, DEFAULT_PID_FILE);
    p->control_socket = in_runtime_dir(scan, p->control_socket, DEFAULT_CONTROL_SOCKET);
    p->build_directory = in_runtime_dir(scan, p->build_directory, DEFAULT_BUILD_DIRECTORY);
    if (p->core_dump_directory) {
        p->core_dump_directory = conf_path(conf, p->core_dump_directory, conf->pool);
    }
}

void scan_finish(struct conf *conf)
{
    struct conf_scan *scan = conf->process.scan;

    finish_paths(scan);
    finish_logs(scan);
    modules_finish(scan);
    log_level_finish(scan);
    users_finish(scan);
    /* where nothing could be read, its lack of a Listen is no news */
    if (conf->files->nelts > 0) {
        listen_finish(scan);
    }
    conf->process.scan = NULL;
}
