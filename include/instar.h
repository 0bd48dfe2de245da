/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instar.h: all that a module sees of the server, module API version 1.
 *
 * Kept lean on purpose: a module's compile time is mostly its headers, so the
 * APR types are only named here. A module that wants to use APR itself
 * includes <apr_tables.h>, <apr_strings.h> and so on.
 *
 * Ownership: every string and structure reached through a request lives in
 * r->pool and dies when the answer has been sent and logged. What the server
 * hands to a module is never freed by the module.
 *
 * Threads: a handler is ordinary blocking code. While it runs it owns its
 * request and its connection; different requests run at the same time on
 * different threads, so a module guards what they share.
 */
#ifndef INSTAR_H
#define INSTAR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct apr_pool_t apr_pool_t;
typedef struct apr_table_t apr_table_t;
typedef int64_t apr_time_t; /* microseconds since the epoch */
typedef int apr_status_t;

#define INS_API_VERSION 1
#define INS_MAGIC 0x494e5354u /* "INST" */
#define INS_EXPORT __attribute__((visibility("default")))
#ifndef INS_API
#define INS_API
#endif
#define INS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* What handlers and hooks return, beside an HTTP status from 400 up, which the
 * server turns into an error answer. */
#define INS_OK 0          /* done: the answer is in the request           */
#define INS_DECLINED (-1) /* not mine: ask the next hook; 404 from a handler */
#define INS_DONE (-2)     /* hooks: the answer is complete, skip the rest */

typedef struct ins_request ins_request;
typedef struct ins_connection ins_connection;
typedef struct ins_server ins_server;
typedef struct ins_module ins_module;
typedef struct ins_cmd ins_cmd;
struct ins_socket; /* <instar/websocket.h> */

/* One TCP, TLS or unix connection, as its current request sees it. Strings
 * live as long as that request. */
struct ins_connection {
    const char *client_ip; /* "192.0.2.7", "2001:db8::1"; "unix:" on a unix socket */
    int client_port;
    const char *local_ip;
    int local_port;
    int secure;     /* 1 under TLS */
    int keepalives; /* requests answered on it before this one */
    uint64_t id;    /* unique among the living connections of a server's life */
};

/* A virtual host, or the main server. Immutable while a generation lives. */
struct ins_server {
    const char *server_hostname; /* ServerName without its port */
    int port;                    /* from ServerName, else 0 */
    const char *server_admin;
    int is_virtual;
    const char *defn_name; /* file and line of its <VirtualHost>, for messages */
    unsigned defn_line_number;
    void **module_config;   /* see ins_server_config() */
    void **lookup_defaults; /* location configs outside every <Location> */
    ins_server *next;       /* the main server first, then hosts in file order */
};

/* One request. Field names are httpd's. Strings are NUL-terminated; a field is
 * NULL where the request has no such thing. */
struct ins_request {
    apr_pool_t *pool; /* cleared when the answer is sent and logged */
    ins_connection *connection;
    ins_server *server;

    const char *the_request; /* the request line as it came */
    const char *method;      /* "GET"; for a HEAD that a GET route answers, "HEAD" */
    const char *protocol;    /* "HTTP/1.1" */
    int proto_num;           /* 1001 for HTTP/1.1 */
    int header_only;         /* 1 for HEAD */
    const char *hostname;    /* Host without its port, lower case */
    apr_time_t request_time; /* when its first byte was read */

    const char *unparsed_uri; /* the target as it came */
    const char *uri;          /* path: decoded, dot segments removed */
    const char *args;         /* query, undecoded; NULL where there is no '?' */
    const char *filename;     /* for modules that map a URI to a file */
    const char *path_info;

    apr_table_t *headers_in;
    apr_table_t *headers_out;
    apr_table_t *err_headers_out; /* sent with error answers too */
    apr_table_t *subprocess_env;
    apr_table_t *notes;

    int status;               /* 200 unless set */
    const char *status_line;  /* NULL: the standard words for status */
    const char *content_type; /* set with ins_set_type() */
    const char *handler;      /* the route's handler name */
    const char *user;
    const char *ap_auth_type;
    const char *useragent_ip; /* the client's address as access rules see it */

    int64_t clength;       /* request body length, -1 where it is chunked, 0 none */
    int64_t bytes_sent;    /* body bytes sent so far */
    void **per_dir_config; /* see ins_location_config() */
    void **request_config; /* one slot a module, NULL at first */

    const char *log_id; /* unique; %L of the access log, [id ...] in the error log */
};

/* ---- Modules ---------------------------------------------------------- */

typedef int (*ins_handler_fn)(ins_request *r);

typedef struct ins_handler {
    const char *name; /* as Route names it */
    ins_handler_fn handle;
} ins_handler;

/* The phases of a request, in httpd's order and by its names. Each hook
 * returns INS_OK or INS_DECLINED to go on, INS_DONE when the answer is
 * complete, or an HTTP status. access_checker, auth_checker and type_checker
 * run all their hooks as httpd does; log_transaction's result is ignored. */
typedef enum ins_phase {
    INS_PHASE_post_read_request,
    INS_PHASE_translate_name,
    INS_PHASE_header_parser,
    INS_PHASE_access_checker,
    INS_PHASE_auth_checker,
    INS_PHASE_type_checker,
    INS_PHASE_fixups,
    INS_PHASE_insert_filter,
    INS_PHASE_handler, /* runs before the route's handler; INS_DECLINED lets it go on */
    INS_PHASE_log_transaction,
    INS_PHASE_COUNT
} ins_phase;

enum {
    INS_REALLY_FIRST = -10,
    INS_FIRST = 0,
    INS_MIDDLE = 10,
    INS_LAST = 20,
    INS_REALLY_LAST = 30
};

typedef struct ins_hook {
    ins_handler_fn run;
    ins_phase phase;
    int order; /* INS_FIRST ... INS_LAST; equal orders run in LoadModule order */
} ins_hook;

#define INS_HOOK(phase, fn, order)                                                                 \
    {                                                                                              \
        fn, INS_PHASE_##phase, order                                                               \
    }

/* Where a directive may stand. A directive that may stand in a location is
 * given the location config (outside every <Location>: the server's base
 * location config); any other is given the server config. */
#define INS_IN_SERVER 1u   /* main server and <VirtualHost> */
#define INS_IN_LOCATION 2u /* <Location>, <LocationMatch> */
#define INS_IN_GLOBAL 4u   /* main server alone */

/* What a setter sees of the directive that is being read. */
struct ins_cmd {
    apr_pool_t *pool;      /* lives as long as the generation */
    apr_pool_t *temp_pool; /* until the config has been read */
    ins_server *server;
    const char *path; /* the <Location> around it, else NULL */
    const char *name; /* the directive as the table spells it */
    const char *file; /* where it stands */
    unsigned line;
    void *info; /* the row's info */
};

/* Setters return NULL, or words that complete "file:line: NAME: ...". */
typedef const char *(*ins_set_none)(ins_cmd *cmd, void *conf);
typedef const char *(*ins_set_one)(ins_cmd *cmd, void *conf, const char *arg);
typedef const char *(*ins_set_two)(ins_cmd *cmd, void *conf, const char *a, const char *b);
typedef const char *(*ins_set_flag)(ins_cmd *cmd, void *conf, int on);
typedef const char *(*ins_set_argv)(ins_cmd *cmd, void *conf, int argc, const char *const argv[]);

typedef enum ins_args {
    INS_ARGS_NONE,
    INS_ARGS_ONE,
    INS_ARGS_TWO,
    INS_ARGS_FLAG,        /* On or Off, to a setter */
    INS_ARGS_ITERATE,     /* one or more; the setter is called for each */
    INS_ARGS_ARGV,        /* min_args to max_args (0: no maximum), all at once */
    INS_ARGS_INT_FIELD,   /* a number from min to max, stored at offset as int */
    INS_ARGS_FLAG_FIELD,  /* On or Off, stored at offset as int */
    INS_ARGS_STRING_FIELD /* stored at offset as const char * */
} ins_args;

typedef struct ins_directive {
    const char *name;
    ins_args args;
    unsigned where;
    union {
        ins_set_none none;
        ins_set_one one;
        ins_set_two two;
        ins_set_flag flag;
        ins_set_argv argv;
    } set;
    const char *syntax;  /* of the arguments: "On|Off", "PATH [key=value...]" */
    const char *initial; /* its default as text, NULL where it has none */
    const char *help;    /* one line */
    size_t offset;       /* *_FIELD */
    int64_t min, max;    /* INT_FIELD: the bounds; ARGV: argument counts */
    void *info;
} ins_directive;

#define INS_FLAG(nm, type, field, at, words)                                                       \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_FLAG_FIELD, .where = at, .syntax = "On|Off",                  \
        .initial = "Off", .help = words, .offset = offsetof(type, field)                           \
    }
#define INS_INT(nm, type, field, lo, hi, dflt, at, words)                                          \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_INT_FIELD, .where = at, .syntax = "NUMBER", .initial = dflt,  \
        .help = words, .offset = offsetof(type, field), .min = lo, .max = hi                       \
    }
#define INS_STRING(nm, type, field, dflt, at, words)                                               \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_STRING_FIELD, .where = at, .syntax = "TEXT", .initial = dflt, \
        .help = words, .offset = offsetof(type, field)                                             \
    }
#define INS_TAKE1(nm, fn, at, words)                                                               \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_ONE, .where = at, .set = { .one = fn }, .syntax = "VALUE",    \
        .help = words                                                                              \
    }
#define INS_TAKE2(nm, fn, at, words)                                                               \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_TWO, .where = at, .set = { .two = fn },                       \
        .syntax = "VALUE VALUE", .help = words                                                     \
    }
#define INS_TAKE_ARGV(nm, fn, lo, hi, form, at, words)                                             \
    {                                                                                              \
        .name = nm, .args = INS_ARGS_ARGV, .where = at, .set = { .argv = fn }, .syntax = form,     \
        .help = words, .min = lo, .max = hi                                                        \
    }

/* A module is one exported, named structure. Every member behind the header
 * may be left out. Configs are created in a pool that lives as long as the
 * generation; create must set the defaults (or markers for "not set" where
 * merge needs them), merge returns a new config of base overlaid by over. */
struct ins_module {
    uint32_t magic;
    uint32_t api_version;
    uint32_t size; /* sizeof(ins_module) when it was compiled */
    int index;     /* given at load */
    const char *source_file;
    const char *name; /* "hello_module", given at load */

    const ins_handler *handlers;      /* ended by { 0 } */
    const ins_directive *directives;  /* ended by { 0 } */
    const ins_hook *hooks;            /* ended by { 0 } */
    const struct ins_socket *sockets; /* <instar/websocket.h>; ended by { 0 } */

    void *(*create_server)(apr_pool_t *pool, ins_server *s);
    void *(*merge_server)(apr_pool_t *pool, void *base, void *over);
    void *(*create_location)(apr_pool_t *pool, const char *path);
    void *(*merge_location)(apr_pool_t *pool, void *base, void *over);

    /* Once a generation, after the config has been read, before the workers
     * are forked. It may not leave a thread or a process behind. Not INS_OK
     * refuses the generation; say why with ins_log(). */
    int (*post_config)(apr_pool_t *pool, ins_server *main_server);
    /* In each worker, before its first request. Threads are welcome here. */
    void (*child_init)(apr_pool_t *pool, ins_server *main_server);
    /* In each worker, when it has drained or the server stops; not where a
     * handler still runs then. */
    void (*child_exit)(apr_pool_t *pool, ins_server *main_server);
};

#define INS_MODULE(name) INS_EXPORT ins_module name
#define INS_MODULE_HEADER                                                                          \
    .magic = INS_MAGIC, .api_version = INS_API_VERSION, .size = sizeof(ins_module), .index = -1,   \
    .source_file = __FILE__, .name = NULL

/* The module's own configs, as create and merge made them. */
static inline void *ins_server_config(const ins_server *s, const ins_module *m)
{
    return s->module_config[m->index];
}
static inline void *ins_location_config(const ins_request *r, const ins_module *m)
{
    return r->per_dir_config[m->index];
}

/* ---- Reading a request ------------------------------------------------ */

/* A parameter of the route's pattern, decoded; NULL where there is none. */
INS_API const char *ins_param(ins_request *r, const char *name);
/* A key=value of the Route line; NULL where it is not there. */
INS_API const char *ins_option(ins_request *r, const char *key);
/* A header field's value; several are joined with ", ". Any case. */
INS_API const char *ins_header(ins_request *r, const char *name);
/* A query parameter, decoded, the first of that name. */
INS_API const char *ins_query(ins_request *r, const char *name);
/* A field of an application/x-www-form-urlencoded body, decoded. */
INS_API const char *ins_form(ins_request *r, const char *name);
INS_API const char *ins_cookie(ins_request *r, const char *name);
/* Call fn for each parameter until it returns 0. */
typedef int (*ins_pair_fn)(void *ctx, const char *name, const char *value);
INS_API void ins_query_each(ins_request *r, ins_pair_fn fn, void *ctx);
INS_API void ins_form_each(ins_request *r, ins_pair_fn fn, void *ctx);

/* The whole body: NUL-terminated behind *len bytes, in r->pool. NULL where it
 * is longer than max bytes or the client went away (return ins_body_status()
 * then). Waits where the body has not come yet. */
INS_API const char *ins_body(ins_request *r, size_t max, size_t *len);
/* The next up to size bytes: > 0 that many, 0 at the end, -1 on failure. Waits. */
INS_API int64_t ins_read(ins_request *r, void *buf, size_t size);
/* Why reading failed: 400, 408, 413 or 431 (trailers); INS_OK where it has not. */
INS_API int ins_body_status(ins_request *r);

/* ---- Answering -------------------------------------------------------- */

INS_API void ins_set_status(ins_request *r, int status);
INS_API void ins_set_type(ins_request *r, const char *type); /* copied */
/* Set replaces, add appends; both copy. A name or value that could break the
 * framing (CR, LF, NUL) is refused and logged. */
INS_API void ins_set_header(ins_request *r, const char *name, const char *value);
INS_API void ins_add_header(ins_request *r, const char *name, const char *value);
/* Must come before the first byte of the body where the length is known and
 * the body is larger than the output buffer; else the server counts itself or
 * sends chunks. */
INS_API void ins_set_length(ins_request *r, int64_t length);

/* Append to the body; copied. 0, or -1 when the client is gone. Past the
 * output buffer (64 KiB) these wait until the client has read; prefer
 * ins_stream() for long answers. */
INS_API int ins_write(ins_request *r, const void *data, size_t len);
INS_API int ins_puts(ins_request *r, const char *text);
INS_API int ins_printf(ins_request *r, const char *format, ...) INS_PRINTF(2, 3);
/* Send what has been written so far, without waiting for the handler's end. */
INS_API int ins_flush(ins_request *r);

/* A body that the server pulls when the client can take more: next() fills buf
 * with up to size bytes and returns how many; 0 ends the body, -1 breaks the
 * connection off. state belongs to the module, in r->pool at best. Call as
 * the last thing in a handler, then return INS_OK. */
typedef int64_t (*ins_next_fn)(ins_request *r, void *state, char *buf, size_t size);
INS_API int ins_stream(ins_request *r, ins_next_fn next, void *state);

/* Replace whatever was written by an error page with this status and, where
 * words is not NULL, these words (escaped). Returns INS_OK. */
INS_API int ins_error(ins_request *r, int status, const char *words);
/* 302 by default; status one of 301, 302, 303, 307, 308. Returns INS_OK. */
INS_API int ins_redirect(ins_request *r, int status, const char *location);

typedef struct ins_cookie_options {
    const char *path, *domain;
    const char *same_site; /* "Lax", "Strict", "None" */
    int64_t max_age;       /* seconds; -1: until the browser closes */
    int secure, http_only;
} ins_cookie_options;
INS_API void ins_set_cookie(ins_request *r, const char *name, const char *value,
                            const ins_cookie_options *options); /* NULL: path=/, HttpOnly, Lax */

/* ---- Blocking --------------------------------------------------------- */

/* Tell the server that what follows will block, so that the loop moves on at
 * once instead of after some milliseconds. Never needed, only faster. */
INS_API void ins_will_block(ins_request *r);

/* ---- Pools, text, time, log ------------------------------------------- */

INS_API void *ins_alloc(ins_request *r, size_t size); /* zeroed, in r->pool */
INS_API char *ins_strdup(ins_request *r, const char *text);
INS_API char *ins_sprintf(ins_request *r, const char *format, ...) INS_PRINTF(2, 3);
INS_API const char *ins_escape_html(ins_request *r, const char *text);
INS_API apr_time_t ins_now(void);
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), in r->pool. */
INS_API const char *ins_http_date(ins_request *r, apr_time_t when);

typedef enum ins_level {
    INS_EMERG,
    INS_ALERT,
    INS_CRIT,
    INS_ERR,
    INS_WARNING,
    INS_NOTICE,
    INS_INFO,
    INS_DEBUG,
    INS_TRACE1
} ins_level;
/* To the error log, named after the module. Any thread. */
#define ins_log(module, level, ...) ins_log_module(module, level, __VA_ARGS__)
#define ins_rlog(r, module, level, ...) ins_log_request(r, module, level, __VA_ARGS__)
INS_API void ins_log_module(const ins_module *m, ins_level level, const char *format, ...)
    INS_PRINTF(3, 4);
INS_API void ins_log_request(const ins_request *r, const ins_module *m, ins_level level,
                             const char *format, ...) INS_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif

#endif
