/* SPDX-License-Identifier: Apache-2.0 */
/* LogLevel [PART:]LEVEL...: one level for the process, others for parts of the
 * server and modules. As in httpd, a level without a part resets all parts. */
#include "config/scan.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "util/log.h"

/* What log lines call the server's own parts. */
static const char *const parts[] = {
    "core", "config", "master", "builder", "generation", "worker",
    "http", "ssl",    "tls",    "ipc",     "util",       "signals"
};

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

static const char *set_one(ins_cmd *cmd, struct conf_process *process, const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *name = colon ? colon + 1 : text;
    int level = log_level_from_name(name);
    struct conf_part_level *part;

    if (level < 0) {
        return bad_level(cmd, name);
    }
    if (!colon) {
        process->log_level = (ins_level)level;
        apr_array_clear(process->part_levels);
        return NULL;
    }
    if (colon == text) {
        return "a part's or module's name must stand before the ':'";
    }
    part = apr_array_push(process->part_levels);
    part->part = part_name(text, colon, cmd->pool);
    part->level = (ins_level)level;
    return NULL;
}

const char *set_log_level(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct conf_process *process = conf;
    const struct conf_node *node = conf_cmd_node(cmd);

    if (node->parent != process->scan->conf->root) {
        conf_warn(conf_cmd_diags(cmd), node, -1,
                  "LogLevel holds for the whole server: this one is ignored, set it outside");
        return NULL;
    }
    process->scan->log_level = node;
    for (int i = 0; i < argc; i++) {
        const char *words = set_one(cmd, process, argv[i]);

        if (words) {
            conf_cmd_at(cmd, i);
            return words;
        }
    }
    return NULL;
}

static bool known_part(const struct conf_scan *scan, const char *name)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcasecmp(parts[i], name) == 0) {
            return true;
        }
    }
    return modules_have(scan, name) ||
           modules_have(scan, apr_pstrcat(scan->pool, name, "_module", NULL));
}

void log_level_finish(struct conf_scan *scan)
{
    const apr_array_header_t *levels = scan->conf->process.part_levels;

    for (int i = 0; i < levels->nelts; i++) {
        const char *part = APR_ARRAY_IDX(levels, i, struct conf_part_level).part;

        if (!known_part(scan, part)) {
            conf_warn(scan->diags, scan->log_level, -1,
                      "%s is neither a part of the server nor a loaded module", part);
        }
    }
}

void conf_apply_log_levels(const struct conf_process *process)
{
    log_reset_levels();
    log_set_level(process->log_level);
    for (int i = 0; i < process->part_levels->nelts; i++) {
        const struct conf_part_level *part =
            &APR_ARRAY_IDX(process->part_levels, i, struct conf_part_level);

        log_set_part_level(part->part, part->level);
    }
}
