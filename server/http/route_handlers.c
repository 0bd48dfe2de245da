/* SPDX-License-Identifier: Apache-2.0 */
/* From a name in a Route to what a module has under it: a handler, or for a WS
 * route a WebSocket endpoint. A name alone must be one module's; "module:name"
 * says whose. */
#include "http/routes.h"

#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "instar/websocket.h"

enum kind { HANDLER, SOCKET, KINDS };

static const char *const kind_words[KINDS] = { "handler", "WebSocket endpoint" };

/* One or the other is set. */
struct item {
    const char *name; /* NULL behind the last */
    const ins_handler *handler;
    const ins_socket *socket;
};

struct handler_entry {
    struct item item;
    const ins_module *module;
    const ins_module *also; /* exports one of this name too; NULL: nobody */
};

struct handler_index {
    apr_pool_t *pool;
    apr_hash_t *names[KINDS]; /* name -> struct handler_entry * */
    const struct http_app *app;
    const char *last_name; /* asked for last: neighbouring lines often share a handler */
    enum kind last_kind;
    const struct handler_entry *last;
};

static struct item item_at(const ins_module *module, enum kind kind, int n)
{
    struct item item = { NULL, NULL, NULL };

    if (kind == HANDLER && module->handlers) {
        item.handler = &module->handlers[n];
        item.name = item.handler->name;
    }
    else if (kind == SOCKET && module->sockets) {
        item.socket = &module->sockets[n];
        item.name = item.socket->name;
    }
    return item;
}

static void learn(struct handler_index *index, enum kind kind, const ins_module *module)
{
    struct item item;

    for (int n = 0; item = item_at(module, kind, n), item.name != NULL; n++) {
        struct handler_entry *entry =
            apr_hash_get(index->names[kind], item.name, APR_HASH_KEY_STRING);

        if (entry) {
            entry->also = module;
            continue;
        }
        entry = apr_pcalloc(index->pool, sizeof(*entry));
        entry->item = item;
        entry->module = module;
        apr_hash_set(index->names[kind], item.name, APR_HASH_KEY_STRING, entry);
    }
}

struct handler_index *handler_index_create(struct http_app *app, apr_pool_t *pool)
{
    struct handler_index *index = apr_pcalloc(pool, sizeof(*index));

    index->pool = pool;
    index->app = app;
    for (int kind = 0; kind < KINDS; kind++) {
        index->names[kind] = apr_hash_make(pool);
        for (int i = 0; i < app->module_count; i++) {
            learn(index, (enum kind)kind, app->modules[i]);
        }
    }
    return index;
}

/* "hello_module" or "hello". */
static bool is_module(const ins_module *module, const char *name, size_t len)
{
    return strncmp(module->name, name, len) == 0 &&
           (module->name[len] == '\0' || strcmp(module->name + len, "_module") == 0);
}

static const ins_module *find_module(const struct handler_index *index, const char *name,
                                     size_t len)
{
    for (int i = 0; i < index->app->module_count; i++) {
        if (is_module(index->app->modules[i], name, len)) {
            return index->app->modules[i];
        }
    }
    return NULL;
}

static enum kind kind_of(const struct route_def *def)
{
    return (def->methods & ROUTE_WS) != 0 ? SOCKET : HANDLER;
}

static void take(struct route_def *def, const struct item *item, const ins_module *module)
{
    def->pub.handle = item->handler ? item->handler->handle : NULL;
    def->pub.socket = item->socket;
    def->pub.handler_name = item->name;
    def->pub.module = module;
}

static const char *names_of(const ins_module *module, enum kind kind, apr_pool_t *pool)
{
    const char *text = NULL;
    struct item item;

    for (int n = 0; item = item_at(module, kind, n), item.name != NULL; n++) {
        text = text ? apr_pstrcat(pool, text, ", ", item.name, NULL) : item.name;
    }
    return text ? text : "none";
}

static void resolve_qualified(struct handler_index *index, struct route_def *def, const char *colon,
                              struct diags *diags)
{
    size_t len = (size_t)(colon - def->handler);
    const ins_module *module = find_module(index, def->handler, len);
    enum kind kind = kind_of(def);
    struct item item;

    if (module == NULL) {
        conf_error(diags, def->pub.node, def->handler_arg, "no module %.*s is loaded", (int)len,
                   def->handler);
        return;
    }
    for (int n = 0; item = item_at(module, kind, n), item.name != NULL; n++) {
        if (strcmp(item.name, colon + 1) == 0) {
            take(def, &item, module);
            return;
        }
    }
    conf_error(diags, def->pub.node, def->handler_arg, "%s has no %s %s; its %ss: %s", module->name,
               kind_words[kind], colon + 1, kind_words[kind], names_of(module, kind, index->pool));
}

static const char *nearest_name(const struct handler_index *index, enum kind kind, const char *name)
{
    int count = (int)apr_hash_count(index->names[kind]);
    const char **names = apr_palloc(index->pool, (size_t)(count + 1) * sizeof(*names));

    count = 0;
    for (apr_hash_index_t *i = apr_hash_first(index->pool, index->names[kind]); i;
         i = apr_hash_next(i)) {
        names[count++] = apr_hash_this_key(i);
    }
    return conf_nearest(name, names, count);
}

static void report_unknown(const struct handler_index *index, const struct route_def *def,
                           struct diags *diags)
{
    enum kind kind = kind_of(def), other = kind == HANDLER ? SOCKET : HANDLER;
    const char *near = nearest_name(index, kind, def->handler);

    if (apr_hash_get(index->names[other], def->handler, APR_HASH_KEY_STRING)) {
        conf_error(diags, def->pub.node, def->handler_arg, "%s is a %s: its method is %s",
                   def->handler, kind_words[other], other == SOCKET ? "WS" : "GET, or another");
    }
    else if (near) {
        conf_error(diags, def->pub.node, def->handler_arg,
                   "no loaded module has a %s %s; did you mean %s?", kind_words[kind], def->handler,
                   near);
    }
    else {
        conf_error(diags, def->pub.node, def->handler_arg, "no loaded module has a %s %s",
                   kind_words[kind], def->handler);
    }
}

static const struct handler_entry *find_entry(struct handler_index *index, enum kind kind,
                                              const char *name)
{
    if (index->last_name == NULL || index->last_kind != kind ||
        strcmp(index->last_name, name) != 0) {
        index->last_name = name;
        index->last_kind = kind;
        index->last = apr_hash_get(index->names[kind], name, APR_HASH_KEY_STRING);
    }
    return index->last;
}

void handler_resolve(struct handler_index *index, struct route_def *def, struct diags *diags)
{
    const char *colon = strchr(def->handler, ':');
    const struct handler_entry *entry;

    if (colon) {
        resolve_qualified(index, def, colon, diags);
        return;
    }
    entry = find_entry(index, kind_of(def), def->handler);
    if (entry == NULL) {
        report_unknown(index, def, diags);
    }
    else if (entry->also) {
        conf_error(diags, def->pub.node, def->handler_arg,
                   "both %s and %s have a %s %s: write %s:%s or %s:%s", entry->module->name,
                   entry->also->name, kind_words[kind_of(def)], def->handler, entry->module->name,
                   def->handler, entry->also->name, def->handler);
    }
    else {
        take(def, &entry->item, entry->module);
    }
}
