/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes inside the http part. Each server has a trie of its own routes, a level
 * a segment. A request walks its host's trie and the main server's side by
 * side, as one: so a host inherits without a copy, and overriding costs nothing.
 *
 * Literal children of all tries live in one hash table keyed by parent and text:
 * a step costs the same with ten children and with ten thousand.
 */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include <apr_hash.h>

#include "http/http_app.h"
#include "http/regex.h"
#include "http/sections.h"

enum { ROUTE_DEPTH_MAX = 64, ROUTE_METHODS_MAX = 64 };

/* A Route line: made by the directive, completed by route_compile(). */
struct route_def {
    struct route pub;                          /* first */
    struct route_def *next;                    /* of its server, in file order */
    struct route_def *next_here;               /* at the same end of the trie; of ~: in its list */
    const struct http_location_conf *location; /* of the section around it; NULL outside */
    const char *handler;                       /* as written, with its module */
    int pattern_arg, handler_arg;
    int option_count;
    const char *const *options; /* "key=value" */
    bool is_regex;
    unsigned order; /* of the line in the config */
    uint64_t methods;

    int param_count;
    const char **params; /* names */

    /* ~ */
    struct regex *regex;
    const char *prefix; /* every path that matches begins so */
    size_t prefix_len;
    struct route_def *equal;       /* the line before with this expression, for other methods */
    const struct section *section; /* where alone it applies; NULL everywhere */
};

/* The Route lines of a server, in file order. */
struct route_list {
    struct route_def *first, *last;
    unsigned count;
};

/* One cache line: building and matching touch little else. */
struct trie_node {
    struct trie_node *chain; /* of the hash table */
    const struct trie_node *parent;
    const char *text; /* a literal, or an expression */
    uint32_t len : 31;
    uint32_t is_parent : 1; /* of a literal or an expression */
    uint32_t hash;
    struct expression_node *last_expr; /* {x:re} below, a ring; NULL none */
    struct trie_node *any;             /* {x} below */
    struct route_def *end, *tail;      /* patterns that end here, or by {x...} */
};

/* A node that is reached by an expression. In the hash table it stands under
 * the expression's text, with EXPRESSION_BIT in its hash. */
struct expression_node {
    struct trie_node node; /* first */
    struct regex *regex;
    struct expression_node *next; /* in file order; the first behind the last */
    unsigned order;               /* of the line that brought it first */
};
enum { EXPRESSION_BIT = 1 };

struct route_table {
    struct trie_node root;
    /* ~ routes: end and tail are the first and the last of a list in file order. A child has
     * those that can only match below its literal, the first segment; the node itself the others.
     */
    struct trie_node regexes;
};

struct route_set {
    apr_pool_t *pool;
    struct trie_node **buckets;
    uint32_t bucket_count, node_count; /* bucket_count is a power of two */
    unsigned depth;                    /* of the deepest pattern */
    unsigned count;
    const char *methods[ROUTE_METHODS_MAX];
    int method_count;
    struct regex *last_regex;   /* of REGEX_WHOLE, taken last: neighbouring lines often share one */
    apr_hash_t *expressions[2]; /* by enum regex_mode: text -> struct regex * */
    apr_hash_t *regex_routes;   /* text, section and server -> the last struct route_def * */
};

/* ---- Reading (core_directives.c) ---- */

/* The setter of Route; conf is the location config. */
const char *route_read(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);

/* ---- Building ---- */

struct route_set *route_set_create(unsigned lines, apr_pool_t *pool);
/* The bit of a method, taken up where it is new; 0 where there are too many. */
uint64_t route_method_bit(struct route_set *set, const char *name, size_t len);
/* 0 where no route names it. */
uint64_t route_method_find(const struct route_set *set, const char *name);
/* Their bits. WS is no method on the wire: a GET that asks for a WebSocket. */
enum { ROUTE_GET = 1, ROUTE_HEAD = 2, ROUTE_OPTIONS = 4, ROUTE_WS = 8 };

/* All Route lines of app's servers: the tables and app->routes. */
void routes_build(struct http_app *app, struct diags *diags);
/* Puts def into table, or reports why not. */
void route_compile(struct route_set *set, struct route_table *table, struct route_def *def,
                   struct diags *diags);

/* Its parts: for a ~ route; an expression for all that use it; two equal lines. */
void route_compile_regex(struct route_set *set, struct route_table *table, struct route_def *def,
                         struct diags *diags);
struct regex *route_shared_regex(struct route_set *set, const struct route_def *def,
                                 const char *text, size_t len, enum regex_mode mode,
                                 struct diags *diags);
void route_equal_error(struct diags *diags, const struct route_def *def,
                       const struct route_def *other);

/* ---- The trie (route_trie.c) ---- */

uint32_t route_text_hash(const char *text, size_t len);
/* NULL where there is none; text_hash: route_text_hash() of text. */
struct trie_node *route_child(const struct route_set *set, const struct trie_node *parent,
                              const char *text, size_t len, uint32_t text_hash);
struct expression_node *route_expression(const struct route_set *set,
                                         const struct trie_node *parent, const char *text,
                                         size_t len);

struct trie_node *route_add_child(struct route_set *set, struct trie_node *parent, const char *text,
                                  size_t len);
/* Where route_expression() finds none. text lives as long as the set. */
struct trie_node *route_add_expression(struct route_set *set, struct trie_node *parent,
                                       const char *text, size_t len, struct regex *regex,
                                       unsigned order);

/* ---- Handlers ---- */

struct handler_index;
struct handler_index *handler_index_create(struct http_app *app, apr_pool_t *pool);
/* Sets def's handler or socket and its module, or reports why not. */
void handler_resolve(struct handler_index *index, struct route_def *def, struct diags *diags);

#endif
