/* SPDX-License-Identifier: Apache-2.0 */
/* The table of directives, their setters, and how sections are merged. */
#include "websocket/settings.h"

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "websocket/origin.h"

enum { UNSET = -1, SIZE_LIMIT = 1 << 30 };

enum { COMPRESSION_OFF, COMPRESSION_ON, COMPRESSION_KEEPS };

struct ws_conf {
    int64_t max_message, max_frame, max_queue;
    int64_t ping, timeout;
    int drop_oldest;
    int compression, bits;
    apr_array_header_t *origins; /* const char *; NULL: not set */
};

static void *create(apr_pool_t *pool, const char *path)
{
    struct ws_conf *conf = apr_pcalloc(pool, sizeof(*conf));

    (void)path;
    conf->max_message = conf->max_frame = conf->max_queue = UNSET;
    conf->ping = conf->timeout = UNSET;
    conf->drop_oldest = conf->compression = conf->bits = UNSET;
    return conf;
}

static void *merge(apr_pool_t *pool, void *base_conf, void *over_conf)
{
    const struct ws_conf *base = base_conf, *over = over_conf;
    struct ws_conf *conf = apr_pmemdup(pool, over, sizeof(*over));

#define INHERIT(field) conf->field = over->field == UNSET ? base->field : over->field
    INHERIT(max_message);
    INHERIT(max_frame);
    INHERIT(max_queue);
    INHERIT(drop_oldest);
    INHERIT(ping);
    INHERIT(timeout);
    INHERIT(compression);
    INHERIT(bits);
#undef INHERIT
    conf->origins = over->origins ? over->origins : base->origins;
    return conf;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value == UNSET ? otherwise : value;
}

static const struct ws_conf *conf_of(const ins_request *r)
{
    return r->per_dir_config[websocket_module.index];
}

void ws_settings_read(const ins_request *r, struct ws_settings *settings)
{
    const struct ws_conf *conf = conf_of(r);
    int64_t compression = or_default(conf->compression, COMPRESSION_ON);

    settings->max_message = or_default(conf->max_message, 1 << 20);
    settings->max_frame = or_default(conf->max_frame, settings->max_message);
    settings->max_queue = or_default(conf->max_queue, 1 << 20);
    settings->drop_oldest = conf->drop_oldest == 1;
    settings->ping = or_default(conf->ping, 30000);
    settings->timeout = or_default(conf->timeout, 90000);
    settings->wish.on = compression != COMPRESSION_OFF && ws_deflate_available();
    /* A message that others refer back to cannot be dropped. */
    settings->wish.keep_context = compression == COMPRESSION_KEEPS && !settings->drop_oldest;
    settings->wish.bits = (int)or_default(conf->bits, WS_WINDOW_MAX);
}

bool ws_origin_allowed(const ins_request *r, const char *origin, const char *host)
{
    const apr_array_header_t *list = conf_of(r)->origins;

    if (origin == NULL) {
        return true;
    }
    if (list == NULL) {
        return ws_origin_matches("same", origin, host);
    }
    for (int i = 0; i < list->nelts; i++) {
        if (ws_origin_matches(APR_ARRAY_IDX(list, i, const char *), origin, host)) {
            return true;
        }
    }
    return false;
}

/* ---- Setters --------------------------------------------------------------- */

static const char *set_size(ins_cmd *cmd, void *conf, const char *arg)
{
    size_t offset = (size_t)(uintptr_t)cmd->info;
    int64_t size;

    if (!conf_size(arg, &size) || size < WS_CONTROL_MAX || size > SIZE_LIMIT) {
        return "it wants a number of bytes from 125 to 1G";
    }
    memcpy((char *)conf + offset, &size, sizeof(size));
    return NULL;
}

static const char *set_time(ins_cmd *cmd, void *conf, const char *arg)
{
    size_t offset = (size_t)(uintptr_t)cmd->info;
    int64_t time;

    if (!conf_time(arg, &time)) {
        return "it wants a time: 30, or 500ms; 0: never";
    }
    memcpy((char *)conf + offset, &time, sizeof(time));
    return NULL;
}

static const char *set_queue(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct ws_conf *c = conf;
    bool drops = argc == 2 && strcasecmp(argv[1], "drop-oldest") == 0;

    if (!conf_size(argv[0], &c->max_queue) || c->max_queue < 1 || c->max_queue > SIZE_LIMIT) {
        conf_cmd_at(cmd, 0);
        return "it wants a number of bytes from 1 to 1G";
    }
    if (argc == 2 && !drops && strcasecmp(argv[1], "close") != 0) {
        conf_cmd_at(cmd, 1);
        return "behind the bytes stands close or drop-oldest";
    }
    c->drop_oldest = drops;
    return NULL;
}

static const char *set_compression(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    static const char *const words[] = { "Off", "On", "context-takeover" };
    struct ws_conf *c = conf;
    int64_t bits;

    c->compression = COMPRESSION_OFF;
    while (c->compression <= COMPRESSION_KEEPS && strcasecmp(argv[0], words[c->compression]) != 0) {
        c->compression++;
    }
    if (c->compression > COMPRESSION_KEEPS) {
        conf_cmd_at(cmd, 0);
        return "it is one of Off, On and context-takeover";
    }
    if (c->compression != COMPRESSION_OFF && !ws_deflate_available()) {
        return "this server was built without zlib: install it (Debian: zlib1g-dev), then "
               "configure "
               "and build again";
    }
    if (argc == 2 && !conf_int(argv[1], WS_WINDOW_MIN, WS_WINDOW_MAX, &bits)) {
        conf_cmd_at(cmd, 1);
        return "the window's bits are a number from 9 to 15";
    }
    c->bits = argc == 2 ? (int)bits : WS_WINDOW_MAX;
    return NULL;
}

static const char *set_origin(ins_cmd *cmd, void *conf, const char *arg)
{
    struct ws_conf *c = conf;

    if (!ws_origin_pattern_valid(arg)) {
        return apr_psprintf(cmd->temp_pool,
                            "%s is neither same nor any nor HOST, HOST:PORT or *.DOMAIN", arg);
    }
    if (c->origins == NULL) {
        c->origins = apr_array_make(cmd->pool, 2, sizeof(const char *));
    }
    APR_ARRAY_PUSH(c->origins, const char *) = arg;
    return NULL;
}

/* ---- The table --------------------------------------------------------------- */

#define FIELD(name) ((void *)offsetof(struct ws_conf, name))
#define EVERYWHERE (INS_IN_SERVER | INS_IN_LOCATION)

static const ins_directive directives[] = {
    { .name = "WebSocketMaxMessage",
      .args = INS_ARGS_ONE,
      .where = EVERYWHERE,
      .set = { .one = set_size },
      .syntax = "BYTES",
      .initial = "1M",
      .help = "the longest message a client may send, decompressed; beyond it is closed with 1009",
      .info = FIELD(max_message) },
    { .name = "WebSocketMaxFrame",
      .args = INS_ARGS_ONE,
      .where = EVERYWHERE,
      .set = { .one = set_size },
      .syntax = "BYTES",
      .initial = "WebSocketMaxMessage",
      .help = "the longest frame of a message from a client; beyond it is closed with 1009",
      .info = FIELD(max_frame) },
    { .name = "WebSocketMaxQueue",
      .args = INS_ARGS_ARGV,
      .where = EVERYWHERE,
      .set = { .argv = set_queue },
      .syntax = "BYTES [close|drop-oldest]",
      .initial = "1M close",
      .help = "messages that wait for a slow client: when there are more, the connection is closed "
              "with 1013, or the oldest are dropped; one message may always wait",
      .min = 1,
      .max = 2 },
    { .name = "WebSocketPing",
      .args = INS_ARGS_ONE,
      .where = EVERYWHERE,
      .set = { .one = set_time },
      .syntax = "TIME",
      .initial = "30",
      .help = "how long a client may be silent before it is sent a ping; 0: never",
      .info = FIELD(ping) },
    { .name = "WebSocketTimeout",
      .args = INS_ARGS_ONE,
      .where = EVERYWHERE,
      .set = { .one = set_time },
      .syntax = "TIME",
      .initial = "90",
      .help = "how long a client may be silent before it is given up, pongs counted as words; "
              "0: for ever",
      .info = FIELD(timeout) },
    { .name = "WebSocketCompression",
      .args = INS_ARGS_ARGV,
      .where = EVERYWHERE,
      .set = { .argv = set_compression },
      .syntax = "Off|On|context-takeover [BITS]",
      .initial = "On",
      .help = "permessage-deflate: each message by itself, or with the context of those before it "
              "(better, and up to 300 KB a connection); BITS: of the windows, 9 to 15",
      .min = 1,
      .max = 2 },
    { .name = "WebSocketOrigin",
      .args = INS_ARGS_ITERATE,
      .where = EVERYWHERE,
      .set = { .one = set_origin },
      .syntax = "same|any|HOST[:PORT]|*.DOMAIN...",
      .initial = "same",
      .help = "whose pages may open a WebSocket here; clients that are no browsers send no Origin "
              "and always may" },
    { 0 }
};

ins_module websocket_module = {
    INS_MODULE_HEADER,
    .directives = directives,
    .create_location = create,
    .merge_location = merge,
};
