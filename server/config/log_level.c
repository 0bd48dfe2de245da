/* SPDX-License-Identifier: Apache-2.0 */
/* LogLevel [PART:]LEVEL...: one level for the process or a virtual host, others for parts
 * of the server and modules. As in httpd, a level without a part resets all parts. */
#include "config/scan.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "util/log.h"

/* What log lines call the server's own parts. */
static const char *const server_parts[] = { "core",       "config", "master", "builder",
                                            "generation", "worker", "http",   "ssl",
                                            "tls",        "ipc",    "util",   "signals" };

static const char *bad_level(ins_cmd *cmd, const char *level)
{
    return apr_psprintf(cmd->temp_pool,
                        "%s is no level: emerg, alert, crit, error, warn, notice, info, debug, "
                        "trace1 ... trace8",
                        *level ? level : "this");
}

/* "mod_ssl.c" is what httpd calls it too */
static const char *part_name(const char *text, const char *colon, apr_pool_t *pool)
{
    size_t length = (size_t)(colon - text);

    if (length > 6 && strncmp(text, "mod_", 4) == 0 && strncmp(colon - 2, ".c", 2) == 0) {
        return apr_pstrmemdup(pool, text + 4, length - 6);
    }
    return apr_pstrmemdup(pool, text, length);
}

static const char *set_one(ins_cmd *cmd, int *level_of_all, apr_array_header_t *parts,
                           const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *name = colon ? colon + 1 : text;
    int level = log_level_from_name(name);
    struct log_part_level *part;

    if (level < 0) {
        return bad_level(cmd, name);
    }
    if (!colon) {
        *level_of_all = level;
        apr_array_clear(parts);
        return NULL;
    }
    if (colon == text) {
        return "a part's or module's name must stand before the ':'";
    }
    part = apr_array_push(parts);
    part->part = part_name(text, colon, cmd->pool);
    part->level = (ins_level)level;
    return NULL;
}

static const char *set_all(ins_cmd *cmd, int *level_of_all, apr_array_header_t *parts, int argc,
                           const char *const argv[])
{
    for (int i = 0; i < argc; i++) {
        const char *words = set_one(cmd, level_of_all, parts, argv[i]);

        if (words) {
            conf_cmd_at(cmd, i);
            return words;
        }
    }
    return NULL;
}

static struct conf_host_level *find_host(const struct conf_process *process,
                                         const struct conf_node *host)
{
    struct conf_host_level *list = (struct conf_host_level *)(void *)process->host_levels->elts;

    for (int i = process->host_levels->nelts - 1; i >= 0; i--) {
        if (list[i].host == host) {
            return &list[i];
        }
    }
    return NULL;
}

static struct conf_host_level *add_host(const struct conf_process *process,
                                        const struct conf_node *host)
{
    struct conf_host_level *levels = apr_array_push(process->host_levels);

    levels->host = host;
    levels->level = -1;
    levels->parts = apr_array_make(process->host_levels->pool, 2, sizeof(struct log_part_level));
    return levels;
}

const char *set_log_level(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct conf_process *process = conf;
    const struct conf_node *node = conf_cmd_node(cmd);
    struct conf_host_level *host;
    const char *words;
    int level;

    if (node->parent != process->scan->conf->root) {
        host = find_host(process, node->parent);
        host = host ? host : add_host(process, node->parent);
        host->node = node;
        return set_all(cmd, &host->level, host->parts, argc, argv);
    }
    process->scan->log_level = node;
    level = (int)process->log_level;
    words = set_all(cmd, &level, process->part_levels, argc, argv);
    process->log_level = (ins_level)level;
    return words;
}

const struct log_levels *conf_host_log_levels(const struct conf *conf, const struct conf_node *host,
                                              apr_pool_t *pool)
{
    const struct conf_process *process = &conf->process;
    const struct conf_host_level *own = find_host(process, host);
    const apr_array_header_t *parts;
    struct log_levels *levels;

    if (!own) {
        return NULL;
    }
    parts = own->level < 0 ? apr_array_append(pool, process->part_levels, own->parts) : own->parts;
    levels = apr_palloc(pool, sizeof(*levels));
    levels->level = own->level < 0 ? process->log_level : (ins_level)own->level;
    levels->part_count = parts->nelts;
    levels->parts = (const struct log_part_level *)(const void *)parts->elts;
    return levels;
}

static bool known_part(const struct conf_scan *scan, const char *name)
{
    for (size_t i = 0; i < sizeof(server_parts) / sizeof(server_parts[0]); i++) {
        if (strcasecmp(server_parts[i], name) == 0) {
            return true;
        }
    }
    return modules_have(scan, name) ||
           modules_have(scan, apr_pstrcat(scan->pool, name, "_module", NULL));
}

static void check_parts(struct conf_scan *scan, const apr_array_header_t *levels,
                        const struct conf_node *node)
{
    for (int i = 0; i < levels->nelts; i++) {
        const char *part = APR_ARRAY_IDX(levels, i, struct log_part_level).part;

        if (!known_part(scan, part)) {
            conf_warn(scan->diags, node, -1,
                      "%s is neither a part of the server nor a loaded module", part);
        }
    }
}

void log_level_finish(struct conf_scan *scan)
{
    const struct conf_process *process = &scan->conf->process;

    check_parts(scan, process->part_levels, scan->log_level);
    for (int i = 0; i < process->host_levels->nelts; i++) {
        const struct conf_host_level *host =
            &APR_ARRAY_IDX(process->host_levels, i, struct conf_host_level);

        check_parts(scan, host->parts, host->node);
    }
}

void conf_apply_log_levels(const struct conf_process *process)
{
    log_reset_levels();
    log_set_level(process->log_level);
    for (int i = 0; i < process->part_levels->nelts; i++) {
        const struct log_part_level *part =
            &APR_ARRAY_IDX(process->part_levels, i, struct log_part_level);

        log_set_part_level(part->part, part->level);
    }
}
