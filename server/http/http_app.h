/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a generation's config comes to on the HTTP side: hosts by address and
 * name, sections by path, routes, hooks, access logs. Built once by the
 * generation (http_app_*), then read-only but for caches that belong to the
 * loop's thread; found by the worker for each request.
 */
#ifndef HTTP_HTTP_APP_H
#define HTTP_HTTP_APP_H

#include <stdbool.h>
#include <sys/socket.h>

#include <apr_pools.h>

#include "http/http_conf.h"
#include "instar.h"
#include "util/diag.h"
#include "util/listener.h"

struct access_logs;
struct conf_node;
struct host_listener;
struct host_map;
struct host_table; /* the virtual hosts of one local address and port */
struct log_set;
struct regex_scratch;
struct route_set;
struct section_cache;

struct phase_hook {
    ins_handler_fn run;
    const ins_module *module;
};

struct http_app {
    apr_pool_t *pool;
    uint64_t generation; /* of the worker that serves it: for log lines */
    uint32_t worker;
    ins_server *servers; /* the main server first */
    int module_count;
    ins_module **modules;
    /* by phase, ordered; hooks[p][n].run == NULL ends it; NULL where a phase has none */
    struct phase_hook *hooks[INS_PHASE_COUNT];
    bool any_hooks; /* in a phase up to handler */
    const struct listener_set *listeners;
    struct host_listener *by_listener; /* one an entry of listeners */
    struct host_map *hosts;
    struct section_cache *sections;
    struct route_set *routes;
    struct access_logs *access_logs;
    struct regex_scratch *scratch; /* of the loop's thread */
};

/* ---- Building (generation) -------------------------------------------- */

enum http_section { HTTP_LOCATION, HTTP_LOCATION_MATCH };

/* listeners may be NULL (a config test): then there are no host tables. */
struct http_app *http_app_create(ins_server *main_server, ins_module **modules, int module_count,
                                 const struct listener_set *listeners, apr_pool_t *pool);
/* <VirtualHost addr...>: addresses are the node's arguments. Hosts come in file
 * order, before http_app_finish(); a default port is the main server's at this
 * moment, as httpd has it. */
void http_app_add_host(struct http_app *app, ins_server *s, const struct conf_node *node,
                       struct diags *diags);
/* A <Location> or <LocationMatch> of s (or of the main server), in file order,
 * with the config vector that its directives filled (an entry may be NULL where
 * no directive of that module stood in it). <Location ~ REGEX> may be passed
 * as it stands: HTTP_LOCATION and "~"; the node has the expression. A section
 * inside another is reported as an error here, as httpd does. */
void http_app_add_section(struct http_app *app, ins_server *s, enum http_section kind,
                          const char *pattern, void **config, const struct conf_node *node,
                          struct diags *diags);
/* When everything is read and merged: hooks sorted, routes compiled and
 * checked (two equal ones, unknown or ambiguous handlers), host tables, logs. */
void http_app_finish(struct http_app *app, const struct log_set *logs, struct diags *diags);
/* -S: the virtual hosts, to standard output. */
void http_app_dump(const struct http_app *app);
/* What would answer, and why, to standard output; without a path all routes. */
struct route_question {
    const char *path, *method, *host; /* method is always there */
    bool json;
};
void http_explain(struct http_app *app, const struct route_question *question);

/* ---- Finding (worker) ------------------------------------------------- */

/* The hosts behind a listener. local is the connection's own address, NULL on a unix
 * socket. */
const struct host_table *http_hosts(const struct http_app *app, int listener,
                                    const struct sockaddr *local);
/* By Host or SNI (any case, no port, no trailing dot); the default where name
 * is NULL or unknown. Never NULL. Any thread. */
ins_server *http_find_server(const struct host_table *hosts, const char *name, size_t len);

/* The location configs for a path: lookup_defaults where no section matches;
 * merged vectors are remembered per set of sections, up to a bound. path starts
 * with '/'. Loop's thread alone. pool: the request's. */
void **http_locate(struct http_app *app, ins_server *s, const char *path, apr_pool_t *pool);

/* Does http_locate() remember what it finds now, so that it stays when the request is over? */
bool http_locations_last(const struct http_app *app);

/* ---- Routes ------------------------------------------------------------ */

enum { ROUTE_PARAMS_MAX = 16 };

struct route_param {
    const char *name;
    const char *value; /* decoded, NUL-terminated, in the request's pool or path */
};

/* One Route line. */
struct route {
    const char *method, *pattern;    /* as written: "GET|POST", "/users/{id}" */
    ins_handler_fn handle;           /* NULL for a WebSocket's: */
    const struct ins_socket *socket; /* its endpoint */
    const ins_module *module;
    const char *handler_name;     /* without its module */
    const struct conf_node *node; /* may be NULL */
    unsigned index;       /* unique in the app: workers keep their notes (slow, fast) beside it */
    apr_table_t *options; /* key=value, NULL none */
};

struct route_match {
    const struct route *route; /* NULL: see allow */
    int param_count;
    struct route_param params[ROUTE_PARAMS_MAX];
    const char *allow; /* "GET, HEAD, OPTIONS" where only the method is wrong (405, or 200 to
                          OPTIONS); NULL: no pattern matches (404) */
    bool upgrade;      /* and a WebSocket would be there (426 to GET) */
};

/* The method by which WebSockets are found. */
#define HTTP_ROUTE_WS "WS"

/* path is the normalised one and must live as long as the match: a segment is
 * matched decoded, an encoded slash never splits one (404 already). match is
 * written whole. Loop's thread alone. */
void http_route(const struct http_app *app, const ins_server *s, const char *method,
                const char *path, struct route_match *match, apr_pool_t *pool);
/* Indexes are below this. */
unsigned http_route_count(const struct http_app *app);
/* Where its Route line stands: the line, 0 where that is not known, and *file. */
unsigned http_route_line(const struct route *route, const char **file);
/* NULL where there is none of this index. */
const struct route *http_route_at(const struct http_app *app, unsigned index);

/* ---- Access log -------------------------------------------------------- */

struct request;
/* The lines of q's CustomLogs, into this process's buffers; access_log_flush()
 * (request.h) writes them. Loop's thread alone. */
void access_log_request(struct request *q, apr_time_t now);

#endif
