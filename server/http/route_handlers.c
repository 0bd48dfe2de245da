/* SPDX-License-Identifier: Apache-2.0 */
/* From a handler's name in a Route to the function of a module. A name alone
 * must be one module's; "module:handler" says whose. */
#include "http/routes.h"

#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"

struct handler_entry {
    const ins_handler *handler;
    const ins_module *module;
    const ins_module *also; /* exports a handler of this name too; NULL: nobody */
};

struct handler_index {
    apr_pool_t *pool;
    apr_hash_t *names; /* handler -> struct handler_entry * */
    const struct http_app *app;
    const char *last_name; /* asked for last: neighbouring lines often share a handler */
    const struct handler_entry *last;
};

struct handler_index *handler_index_create(struct http_app *app, apr_pool_t *pool)
{
    struct handler_index *index = apr_pcalloc(pool, sizeof(*index));

    index->pool = pool;
    index->names = apr_hash_make(pool);
    index->app = app;
    for (int i = 0; i < app->module_count; i++) {
        const ins_handler *handler = app->modules[i]->handlers;

        for (; handler && handler->name; handler++) {
            struct handler_entry *entry =
                apr_hash_get(index->names, handler->name, APR_HASH_KEY_STRING);

            if (entry) {
                entry->also = app->modules[i];
                continue;
            }
            entry = apr_pcalloc(pool, sizeof(*entry));
            entry->handler = handler;
            entry->module = app->modules[i];
            apr_hash_set(index->names, handler->name, APR_HASH_KEY_STRING, entry);
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

static void take(struct route_def *def, const ins_handler *handler, const ins_module *module)
{
    def->pub.handle = handler->handle;
    def->pub.handler_name = handler->name;
    def->pub.module = module;
}

static const char *names_of(const ins_module *module, apr_pool_t *pool)
{
    const char *text = NULL;

    for (const ins_handler *h = module->handlers; h && h->name; h++) {
        text = text ? apr_pstrcat(pool, text, ", ", h->name, NULL) : h->name;
    }
    return text ? text : "none";
}

static void resolve_qualified(struct handler_index *index, struct route_def *def, const char *colon,
                              struct diags *diags)
{
    size_t len = (size_t)(colon - def->handler);
    const ins_module *module = find_module(index, def->handler, len);

    if (module == NULL) {
        conf_error(diags, def->pub.node, def->handler_arg, "no module %.*s is loaded", (int)len,
                   def->handler);
        return;
    }
    for (const ins_handler *h = module->handlers; h && h->name; h++) {
        if (strcmp(h->name, colon + 1) == 0) {
            take(def, h, module);
            return;
        }
    }
    conf_error(diags, def->pub.node, def->handler_arg, "%s has no handler %s; its handlers: %s",
               module->name, colon + 1, names_of(module, index->pool));
}

static void report_unknown(const struct handler_index *index, const struct route_def *def,
                           struct diags *diags)
{
    int count = (int)apr_hash_count(index->names);
    const char **names = apr_palloc(index->pool, (size_t)(count + 1) * sizeof(*names));
    const char *near;

    count = 0;
    for (apr_hash_index_t *i = apr_hash_first(index->pool, index->names); i; i = apr_hash_next(i)) {
        names[count++] = apr_hash_this_key(i);
    }
    near = conf_nearest(def->handler, names, count);
    if (near) {
        conf_error(diags, def->pub.node, def->handler_arg,
                   "no loaded module has a handler %s; did you mean %s?", def->handler, near);
    }
    else {
        conf_error(diags, def->pub.node, def->handler_arg, "no loaded module has a handler %s",
                   def->handler);
    }
}

static const struct handler_entry *find_entry(struct handler_index *index, const char *name)
{
    if (index->last_name == NULL || strcmp(index->last_name, name) != 0) {
        index->last_name = name;
        index->last = apr_hash_get(index->names, name, APR_HASH_KEY_STRING);
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
    entry = find_entry(index, def->handler);
    if (entry == NULL) {
        report_unknown(index, def, diags);
    }
    else if (entry->also) {
        conf_error(diags, def->pub.node, def->handler_arg,
                   "both %s and %s have a handler %s: write %s:%s or %s:%s", entry->module->name,
                   entry->also->name, def->handler, entry->module->name, def->handler,
                   entry->also->name, def->handler);
    }
    else {
        take(def, entry->handler, entry->module);
    }
}
