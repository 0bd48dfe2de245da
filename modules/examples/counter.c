/* SPDX-License-Identifier: Apache-2.0 */
/* Counts its own requests: directives of a module's own, and state that
 * requests share. In the configuration:
 *
 *     LoadModule counter_module modules/examples/counter.c
 *     CounterStart 100
 *     CounterStep 5
 *     Route GET /counter counter
 *
 * Each worker process counts for itself, and a reload begins anew.
 */
#include <limits.h>
#include <stdatomic.h>

#include <apr_pools.h>
#include <instar.h>

enum { NOT_SET = INT_MIN, MOST = 1000000 };

struct counter_conf {
    int start, step;
};

/* Requests run at the same time on several threads: what they share is atomic. */
static atomic_llong answered;

INS_MODULE(counter_module);

static int counter(ins_request *r)
{
    const struct counter_conf *conf = ins_server_config(r->server, &counter_module);
    int start = conf->start != NOT_SET ? conf->start : 0;
    int step = conf->step != NOT_SET ? conf->step : 1;

    ins_set_type(r, "text/plain");
    ins_printf(r, "%lld\n", start + step * atomic_fetch_add(&answered, 1));
    return INS_OK;
}

/* For the main server, and for each virtual host that has one of our directives. */
static void *create(apr_pool_t *pool, ins_server *server)
{
    struct counter_conf *conf = apr_palloc(pool, sizeof(*conf));

    (void)server;
    conf->start = NOT_SET;
    conf->step = NOT_SET;
    return conf;
}

/* A virtual host's settings, where it has them, over the main server's. */
static void *merge(apr_pool_t *pool, void *base, void *over)
{
    const struct counter_conf *outer = base, *inner = over;
    struct counter_conf *conf = apr_palloc(pool, sizeof(*conf));

    conf->start = inner->start != NOT_SET ? inner->start : outer->start;
    conf->step = inner->step != NOT_SET ? inner->step : outer->step;
    return conf;
}

static const ins_handler handlers[] = { { "counter", counter }, { 0 } };

static const ins_directive directives[] = {
    INS_INT("CounterStart", struct counter_conf, start, -MOST, MOST, "0", INS_IN_SERVER,
            "the first number"),
    INS_INT("CounterStep", struct counter_conf, step, -MOST, MOST, "1", INS_IN_SERVER,
            "how far it is from one number to the next"),
    { 0 },
};

INS_MODULE(counter_module) = {
    INS_MODULE_HEADER,       .handlers = handlers,  .directives = directives,
    .create_server = create, .merge_server = merge,
};
