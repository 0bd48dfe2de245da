/* SPDX-License-Identifier: Apache-2.0 */
/* The http part's own settings: core_module's server and location configs.
 * Times in milliseconds, sizes in bytes. The main server's config starts with
 * the defaults; in a virtual host's, HTTP_UNSET (NULL for pointers) means that
 * merge takes the main server's. Behind http_app_finish() nothing is unset. */
#ifndef HTTP_HTTP_CONF_H
#define HTTP_HTTP_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_tables.h>

#include "http/h1_parser.h"
#include "instar.h"
#include "util/log.h"

enum { HTTP_UNSET = -1 };

/* RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500 */
struct read_timeout {
    int64_t initial;  /* 0: no limit */
    int64_t maximum;  /* 0: no extension limit */
    int64_t min_rate; /* bytes per second; 0: initial alone counts */
};

struct conf_node;
struct log_sink;
struct log_target;
struct route_list;
struct route_table;
struct section;
struct section_table;

/* LogFormat [escape=json] FORMAT NICKNAME */
struct log_nickname {
    const char *name, *format;
    bool json;
};

/* CustomLog FILE FORMAT|NICKNAME [env=[!]NAME] */
struct custom_log {
    const char *path, *format;
    const char *env; /* NULL: always */
    bool env_not;
    const struct conf_node *node;
};

struct http_server_conf {
    int64_t timeout, keep_alive_timeout;
    int64_t own_keep_alive_timeout; /* what stands in this very server, HTTP_UNSET: nothing */
    int keep_alive, max_keep_alive_requests; /* 0: without limit */
    struct read_timeout read_handshake, read_header, read_body;
    struct h1_limits limits;
    const char *server_header;        /* "Instar", "Instar/1.0.0" ... by ServerTokens */
    apr_array_header_t *server_alias; /* const char *: lower case, wildcards too */
    apr_array_header_t *log_formats;  /* struct log_nickname */
    apr_array_header_t *custom_logs;  /* struct custom_log; empty: the main server's */
    const char *error_log;            /* this host's own, NULL: the main one's */
    const struct conf_node *error_log_node;
    const char *request_id_header; /* RequestIDHeader; NULL: none, "": set to none */
    bool request_id_trust;
    struct log_host log;            /* what it has of its own */
    struct route_list *route_lines; /* never inherited: see route_table */

    /* By http_app_finish(). A virtual host's tables hold its own entries alone;
     * whoever looks up takes the main server's together with them. */
    struct section_table *sections; /* NULL none */
    struct route_table *routes;     /* NULL none */
    struct log_target *log_targets; /* of CustomLog, its own or the main server's */
    int log_target_count;
};

struct http_location_conf {
    int64_t limit_request_body;    /* 0: without limit */
    const struct section *section; /* the one whose directives filled it; NULL outside */
};

extern ins_module core_module;
extern const char http_no_admin[]; /* server_admin without ServerAdmin */

static inline struct http_server_conf *http_server_conf(const ins_server *s)
{
    return (struct http_server_conf *)s->module_config[core_module.index];
}
static inline struct http_location_conf *http_location_conf(const ins_request *r)
{
    return (struct http_location_conf *)r->per_dir_config[core_module.index];
}

#endif
