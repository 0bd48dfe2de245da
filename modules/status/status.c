/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's status: a page for people, JSON, and Prometheus' text format. In the configuration:
 *
 *     LoadModule status_module libexec/instar/modules/status
 *     Route GET /server-status status
 *     Route GET /metrics metrics
 *     StatusAllow local 192.0.2.0/24
 *
 * The page tells who serves what and what the compiler said: only clients on this machine see it,
 * unless StatusAllow names others.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <apr_pools.h>
#include <apr_strings.h>

#include "view.h"

INS_MODULE(status_module);

/* ---- Who may look ------------------------------------------------------- */

struct network {
    struct network *next;
    int family;
    unsigned bits;
    unsigned char address[16];
};

struct status_conf {
    int is_set, local, all;
    struct network *networks;
};

static void *create(apr_pool_t *pool, const char *path)
{
    (void)path;
    return apr_pcalloc(pool, sizeof(struct status_conf));
}

static void *merge(apr_pool_t *pool, void *base, void *over)
{
    struct status_conf *inner = over;

    (void)pool;
    return inner->is_set ? over : base;
}

/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32". */
static int parse_network(const char *text, struct network *n)
{
    char address[64];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned most;
    char *end;

    if (len == 0 || len >= sizeof(address)) {
        return 0;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    n->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    most = n->family == AF_INET6 ? 128 : 32;
    n->bits = most;
    if (slash) {
        unsigned long bits = strtoul(slash + 1, &end, 10);

        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > most) {
            return 0;
        }
        n->bits = (unsigned)bits;
    }
    return inet_pton(n->family, address, n->address) == 1;
}

static const char *set_allow(ins_cmd *cmd, void *config, const char *arg)
{
    struct status_conf *conf = config;
    struct network *n;

    conf->is_set = 1;
    if (strcmp(arg, "local") == 0 || strcmp(arg, "all") == 0) {
        *(arg[0] == 'l' ? &conf->local : &conf->all) = 1;
        return NULL;
    }
    n = apr_pcalloc(cmd->pool, sizeof(*n));
    if (!parse_network(arg, n)) {
        return apr_psprintf(cmd->temp_pool,
                            "\"%s\" is neither local, all, an address nor a network like "
                            "192.0.2.0/24",
                            arg);
    }
    n->next = conf->networks;
    conf->networks = n;
    return NULL;
}

static int same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 &&
           (rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest) & 0xff) == 0);
}

static int is_in(const struct network *n, const char *ip)
{
    unsigned char address[16];

    return inet_pton(n->family, ip, address) == 1 && same_bits(n->address, address, n->bits);
}

/* A proxy on this machine speaks for others, and says so. */
static int is_local(ins_request *r)
{
    static const struct network v4 = { .family = AF_INET, .bits = 8, .address = { 127 } };
    const char *ip = r->useragent_ip;

    if (ins_header(r, "X-Forwarded-For") || ins_header(r, "Forwarded") || ins_header(r, "Via")) {
        return 0;
    }
    return strcmp(ip, "unix:") == 0 || strcmp(ip, "::1") == 0 || is_in(&v4, ip);
}

static int is_allowed(ins_request *r)
{
    const struct status_conf *conf = ins_location_config(r, &status_module);

    if (conf->all || ((conf->local || !conf->is_set) && is_local(r))) {
        return 1;
    }
    for (const struct network *n = conf->networks; n; n = n->next) {
        if (is_in(n, r->useragent_ip)) {
            return 1;
        }
    }
    return 0;
}

/* ---- Handlers ----------------------------------------------------------- */

/* NULL: answered already. */
static const ins_status *look(ins_request *r)
{
    const ins_status *s;

    if (!is_allowed(r)) {
        ins_error(
            r, 403,
            "Only clients on the server's own machine may see this; StatusAllow names others.");
        return NULL;
    }
    ins_set_header(r, "Cache-Control", "no-store");
    s = ins_status_read(r, INS_STATUS_VERSION);
    if (!s) {
        ins_error(r, 501, "This server is older than its status module.");
    }
    return s;
}

int64_t status_quantile(const ins_status *s, unsigned permille)
{
    uint64_t sum = 0, seen = 0;

    for (int i = 0; i < s->duration_count; i++) {
        sum += s->durations[i];
    }
    if (sum == 0) {
        return -1;
    }
    for (int i = 0; i < s->duration_count - 1; i++) {
        seen += s->durations[i];
        if (seen * 1000 >= sum * permille) {
            return s->duration_bounds_us[i];
        }
    }
    return INT64_MAX;
}

static int wants_json(ins_request *r)
{
    const char *accept = ins_header(r, "Accept");

    return ins_query(r, "json") ||
           (accept && strstr(accept, "application/json") && !strstr(accept, "text/html"));
}

static int status(ins_request *r)
{
    const ins_status *s = look(r);

    if (!s) {
        return INS_OK;
    }
    ins_set_header(r, "Vary", "Accept");
    return wants_json(r) ? status_json(r, s) : status_page(r, s);
}

static int metrics(ins_request *r)
{
    const ins_status *s = look(r);

    return s ? status_metrics(r, s) : INS_OK;
}

static const ins_handler handlers[] = { { "status", status }, { "metrics", metrics }, { 0 } };

static const ins_directive directives[] = {
    { .name = "StatusAllow",
      .args = INS_ARGS_ITERATE,
      .where = INS_IN_SERVER | INS_IN_LOCATION,
      .set = { .one = set_allow },
      .syntax = "local|all|ADDRESS[/BITS]...",
      .initial = "local",
      .help = "who may see the server's status; local: clients on this machine" },
    { 0 },
};

INS_MODULE(status_module) = {
    INS_MODULE_HEADER,         .handlers = handlers,    .directives = directives,
    .create_location = create, .merge_location = merge,
};
