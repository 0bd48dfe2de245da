/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of app_load() share while a generation is being made. */
#ifndef GENERATION_LOADING_H
#define GENERATION_LOADING_H

#include <stdbool.h>

#include <apr_hash.h>
#include <apr_tables.h>

#include "config/conf.h"
#include "generation/app.h"
#include "http/http_app.h"
#include "scoreboard/scoreboard.h"

/* The core's own modules come first: these indices. */
enum { CORE_INDEX, SSL_INDEX, WEBSOCKET_INDEX, FIRST_LOADED };

/* A <Location> or <LocationMatch>. */
struct section {
    ins_server *server;
    enum http_section kind;
    const char *pattern;
    void **config;
    const struct conf_node *node;
};

struct host {
    ins_server *server;
    const struct conf_node *node;
};

/* Where a directive stands; section NULL: outside every <Location>. */
struct place {
    ins_server *server;
    struct section *section;
};

/* A directive that the core's own modules do not know. */
struct pending {
    const struct conf_node *node;
    struct place at;
};

struct loading {
    struct app *app;
    const struct launch *launch;
    struct diags *diags;
    struct sb_generation *slot; /* NULL where the board has none */
    apr_pool_t *pool, *temp_pool;
    apr_hash_t *rows;             /* lower case name -> struct known_row, see apply_config.c */
    apr_array_header_t *hosts;    /* struct host */
    apr_array_header_t *sections; /* struct section * */
    apr_array_header_t *pending;  /* struct pending */
    ins_server *last_server;
    bool all_loaded; /* every LoadModule could be loaded */
};

/* What it is doing, for the words about a crash. */
__attribute__((format(printf, 2, 3))) void loading_doing(struct loading *l, const char *format,
                                                         ...);

/* LoadModule's line of the module with that index. */
const struct conf_module *loading_module(const struct launch *launch, int index);
/* Behind each step of module code: true where the module left a thread or a
 * process behind; that is reported then. */
bool loading_left_behind(struct loading *l, int index, enum diag_stage stage, const char *when);

/* apply_config.c: the core's directives now, those of modules once they are loaded. */
void apply_core(struct loading *l);
void apply_pending(struct loading *l);

/* module_configs.c: configs are made and merged as httpd does. */
void **configs_create(struct loading *l);
void configs_create_main(struct loading *l, int from, int to);
void configs_create_own(struct loading *l, ins_server *server, int from, int to);
void configs_merge_hosts(struct loading *l, int from, int to);
/* The config that a directive of module index is for, made when it is first needed. */
void *configs_for(struct loading *l, int index, const struct place *at, bool location);

/* load_modules.c: dlopen() and checks; as User, in BuildDirectory. */
void modules_load(struct loading *l);
/* set_up.c: post_config in order, up to the first that refuses. */
void modules_set_up(struct loading *l);

#endif
