/* SPDX-License-Identifier: Apache-2.0 */
/* Inside explain*.c: what a request would meet, put together before it is told as text or JSON. */
#ifndef HTTP_EXPLAIN_H
#define HTTP_EXPLAIN_H

#include "http/routes.h"

/* A route that was looked at. */
struct tried {
    const struct route_def *def;
    bool own;          /* the virtual host's; else the main server's */
    const char *why;   /* it does not answer; NULL: it does */
    unsigned segments; /* so many of its segments fit: how near it came */
};

/* What a request on some addresses comes to. */
struct explained {
    struct explained *next;
    const char *addresses; /* "192.0.2.1:80, *:8080" */
    ins_server *server;
    const char *chosen; /* why this server */
    struct route_match match;
    const struct conf_node **sections;
    unsigned section_count;
    struct tried *tried; /* in file order, all that there are */
    unsigned tried_count;
};

/* Of a path that has no route, or of one that another route answers. */
const char *explain_why_not(const struct http_app *app, const struct route_def *def,
                            const struct route_question *question, const char *path,
                            unsigned *segments, apr_pool_t *pool);

void explain_text(const struct http_app *app, const struct route_question *question,
                  const char *path, const struct explained *list);
void explain_json(const struct http_app *app, const struct route_question *question,
                  const char *path, const struct explained *list, apr_pool_t *pool);
void explain_all_text(const struct http_app *app);
void explain_all_json(const struct http_app *app, apr_pool_t *pool);

/* "etc/instar.conf:12" of a line; "" where it has none. */
const char *explain_place(const struct conf_node *node, apr_pool_t *pool);
/* "~ " before an expression, its section before a pattern inside one. */
const char *explain_pattern(const struct route_def *def, apr_pool_t *pool);

#endif
