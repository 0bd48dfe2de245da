/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_module: the http part's settings as a module without a file. Here are its configs:
 * made with the defaults for the main server, with markers for "not set" in a
 * virtual host, and merged.
 */
#include "http/http_conf.h"

#include <unistd.h>

#include <apr_strings.h>

#include "http/core_directives.h"
#include "http/parts.h"

enum { HOST_NAME_SIZE = 256 };

static const struct read_timeout unset_read = { HTTP_UNSET, HTTP_UNSET, HTTP_UNSET };
const char http_no_admin[] = "[no address given]";
static const int64_t default_body_limit = 1073741824;

static void set_defaults(struct http_server_conf *conf, apr_pool_t *pool)
{
    conf->timeout = 60000;
    conf->keep_alive_timeout = 5000;
    conf->own_keep_alive_timeout = HTTP_UNSET;
    conf->keep_alive = 1;
    conf->max_keep_alive_requests = 100;
    conf->read_handshake = (struct read_timeout){ 0, 0, 0 };
    conf->read_header = (struct read_timeout){ 20000, 40000, 500 };
    conf->read_body = (struct read_timeout){ 20000, 0, 500 };
    conf->limits = (struct h1_limits){ .line = 8190, .fields = 100, .field_size = 8190 };
    conf->server_header = core_server_header("Full", pool);
}

static void set_unset(struct http_server_conf *conf)
{
    conf->timeout = HTTP_UNSET;
    conf->keep_alive_timeout = HTTP_UNSET;
    conf->own_keep_alive_timeout = HTTP_UNSET;
    conf->keep_alive = HTTP_UNSET;
    conf->max_keep_alive_requests = HTTP_UNSET;
    conf->read_handshake = unset_read;
    conf->read_header = unset_read;
    conf->read_body = unset_read;
    conf->limits.line = (unsigned)HTTP_UNSET;
    conf->limits.fields = (unsigned)HTTP_UNSET;
    conf->limits.field_size = (unsigned)HTTP_UNSET;
}

static void *create_server(apr_pool_t *pool, ins_server *s)
{
    struct http_server_conf *conf = apr_pcalloc(pool, sizeof(*conf));

    conf->log = log_process;
    if (s->is_virtual) {
        set_unset(conf);
    }
    else {
        set_defaults(conf, pool);
    }
    return conf;
}

static int64_t choose(int64_t over, int64_t base)
{
    return over == HTTP_UNSET ? base : over;
}

static unsigned choose_limit(unsigned over, unsigned base)
{
    return over == (unsigned)HTTP_UNSET ? base : over;
}

static struct read_timeout choose_read(struct read_timeout over, struct read_timeout base)
{
    return over.initial == HTTP_UNSET ? base : over;
}

/* Names, formats and routes stay the host's own: those who look them up ask the main
 * server too, where that is wanted. */
static void *merge_server(apr_pool_t *pool, void *base_conf, void *over_conf)
{
    const struct http_server_conf *base = base_conf;
    const struct http_server_conf *over = over_conf;
    struct http_server_conf *conf = apr_pmemdup(pool, over, sizeof(*over));

    conf->timeout = choose(over->timeout, base->timeout);
    conf->own_keep_alive_timeout = over->keep_alive_timeout;
    conf->keep_alive_timeout = choose(over->keep_alive_timeout, base->keep_alive_timeout);
    conf->keep_alive = (int)choose(over->keep_alive, base->keep_alive);
    conf->max_keep_alive_requests =
        (int)choose(over->max_keep_alive_requests, base->max_keep_alive_requests);
    conf->read_handshake = choose_read(over->read_handshake, base->read_handshake);
    conf->read_header = choose_read(over->read_header, base->read_header);
    conf->read_body = choose_read(over->read_body, base->read_body);
    conf->limits.line = choose_limit(over->limits.line, base->limits.line);
    conf->limits.fields = choose_limit(over->limits.fields, base->limits.fields);
    conf->limits.field_size = choose_limit(over->limits.field_size, base->limits.field_size);
    conf->server_header = base->server_header;
    if (conf->request_id_header == NULL) {
        conf->request_id_header = base->request_id_header;
        conf->request_id_trust = base->request_id_trust;
    }
    if (conf->custom_logs == NULL) {
        conf->custom_logs = base->custom_logs;
    }
    return conf;
}

static void *create_location(apr_pool_t *pool, const char *path)
{
    struct http_location_conf *conf = apr_pcalloc(pool, sizeof(*conf));

    (void)path;
    conf->limit_request_body = HTTP_UNSET;
    return conf;
}

static void *merge_location(apr_pool_t *pool, void *base_conf, void *over_conf)
{
    const struct http_location_conf *base = base_conf;
    const struct http_location_conf *over = over_conf;
    struct http_location_conf *conf = apr_palloc(pool, sizeof(*conf));

    conf->limit_request_body = choose(over->limit_request_body, base->limit_request_body);
    conf->section = over->section;
    return conf;
}

static const char *system_name(apr_pool_t *pool)
{
    char name[HOST_NAME_SIZE];

    if (gethostname(name, sizeof(name)) != 0) {
        return "localhost";
    }
    name[sizeof(name) - 1] = '\0';
    return apr_pstrdup(pool, *name ? name : "localhost");
}

void core_finish(struct http_app *app)
{
    ins_server *main_server = app->servers;

    if (main_server->server_hostname == NULL) {
        main_server->server_hostname = system_name(app->pool);
    }
    if (main_server->server_admin == NULL) {
        main_server->server_admin = http_no_admin;
    }
    for (ins_server *s = main_server; s; s = s->next) {
        struct http_location_conf *conf = s->lookup_defaults[core_module.index];

        if (conf->limit_request_body == HTTP_UNSET) {
            conf->limit_request_body = default_body_limit;
        }
        if (s->server_hostname == NULL) {
            s->server_hostname = main_server->server_hostname;
        }
        if (s->server_admin == NULL) {
            s->server_admin = main_server->server_admin;
        }
    }
}

ins_module core_module = {
    INS_MODULE_HEADER,
    .directives = core_directives,
    .create_server = create_server,
    .merge_server = merge_server,
    .create_location = create_location,
    .merge_location = merge_location,
};
