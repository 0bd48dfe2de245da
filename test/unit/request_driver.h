/* SPDX-License-Identifier: Apache-2.0 */
/* A worker without sockets: an app made from a config's text, and a connection
 * whose bytes come from memory. Used by unit tests and fuzzers. */
#ifndef TEST_REQUEST_DRIVER_H
#define TEST_REQUEST_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include <apr_pools.h>

#include "http/http_app.h"
#include "instar.h"

/* Directives of the core, <VirtualHost> and <Location> without nesting. NULL where the config is
 * wrong. */
struct http_app *driver_app(const char *text, ins_module *module, apr_pool_t *pool);

struct driver {
    struct http_app *app;
    const char *sni; /* under TLS, for that host */
    size_t step;     /* bytes that arrive at once; 0: all */
    bool draining;   /* the worker wants to close */

    /* results */
    char *out; /* NUL-terminated; the caller frees it */
    size_t out_len;
    bool closed;  /* by the server */
    bool blocked; /* a handler waited */
    int requests;

    /* the input */
    char *in;
    size_t in_len, in_come, in_at;
    size_t out_cap;
    bool vanished;  /* sending fails */
    bool timed_out; /* receiving does, at the end of the input */
};

/* All requests in input, until it ends or the server closes. */
void driver_serve(struct driver *d, const char *input, size_t len);
void driver_free(struct driver *d);

#endif
