/* SPDX-License-Identifier: Apache-2.0 */
/* Process settings while they are being read: what the setters need to find
 * doubles and to say where something stood. */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include <apr_hash.h>

#include "config/conf.h"
#include "config/outside.h"

struct module_names; /* modules.c */

struct conf_scan {
    struct conf *conf;
    struct outside *outside;
    struct diags *diags;
    apr_pool_t *pool; /* until conf_read() returns */
    struct module_names *names;
    apr_hash_t *listens;           /* "host:port" -> const struct conf_node * */
    bool listen_seen;              /* a good or a bad one */
    apr_array_header_t *log_nodes; /* const struct conf_node * */
    const struct conf_node *user, *group, *build_user, *log_level; /* NULL: not set */
};

void scan_start(struct conf *conf, struct outside *outside, struct diags *diags,
                apr_pool_t *temp_pool);
/* What can only be worked out or judged when all is known. */
void scan_finish(struct conf *conf);

/* ErrorLog or CustomLog, of any server: keeps its path. */
void scan_log(struct conf *conf, const struct conf_node *node);

/* Where a directive stands: "line 3", or "file:3" where that is another file than at's. */
const char *scan_place(const struct conf_node *node, const struct conf_node *at, apr_pool_t *pool);

/* modules.c */
void modules_start(struct conf_scan *scan);
void modules_finish(struct conf_scan *scan);
/* By LoadModule's name or by the name of a source file. */
bool modules_have(const struct conf_scan *scan, const char *name);
const char *set_load_module(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);
const char *set_module_flags(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);
const char *set_module_libs(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);

/* listen.c */
const char *set_listen(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);
void listen_finish(struct conf_scan *scan);

/* probe.c */
const char *set_probe(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);

/* users.c: "name" or "#id". */
const char *set_user(ins_cmd *cmd, void *conf, const char *arg);
const char *set_group(ins_cmd *cmd, void *conf, const char *arg);
const char *set_build_user(ins_cmd *cmd, void *conf, const char *arg);
void users_finish(struct conf_scan *scan);

/* log_level.c */
const char *set_log_level(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);
void log_level_finish(struct conf_scan *scan);

#endif
