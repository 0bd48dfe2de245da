/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules' configs per server and per location, made and merged as httpd does:
 * the main server has one of every module; a virtual host or a section gets its
 * own when the first directive of that module stands in it, and otherwise
 * shares what it would inherit. So 500 modules and 1,000 sections cost what is said,
 * not the product. The core's own modules always have their own in a virtual host.
 */
#include "generation/loading.h"

void **configs_create(struct loading *l)
{
    return apr_pcalloc(l->pool, sizeof(void *) * (size_t)l->app->module_count);
}

static void *create_server(struct loading *l, int index, ins_server *server)
{
    const ins_module *m = l->app->modules[index];

    return m && m->create_server ? m->create_server(l->pool, server) : NULL;
}

static void *create_location(struct loading *l, int index, const char *path)
{
    const ins_module *m = l->app->modules[index];

    return m && m->create_location ? m->create_location(l->pool, path) : NULL;
}

void configs_create_own(struct loading *l, ins_server *server, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (i >= FIRST_LOADED && l->app->modules[i]) {
            loading_doing(l, "creating the configuration of %s", l->app->modules[i]->name);
        }
        server->module_config[i] = create_server(l, i, server);
        server->lookup_defaults[i] = create_location(l, i, NULL);
        if (i >= FIRST_LOADED && l->app->modules[i]) {
            (void)loading_left_behind(l, i, DIAG_START, "when its configuration is created");
        }
    }
}

void configs_create_main(struct loading *l, int from, int to)
{
    configs_create_own(l, l->app->servers, from, to);
}

void *configs_for(struct loading *l, int index, const struct place *at, bool location)
{
    ins_server *server = at->server;
    void **slot;

    if (!location) {
        slot = &server->module_config[index];
        *slot = *slot ? *slot : create_server(l, index, server);
        return *slot;
    }
    if (at->section) {
        slot = &at->section->config[index];
        *slot = *slot ? *slot : create_location(l, index, at->section->pattern);
        return *slot;
    }
    slot = &server->lookup_defaults[index];
    *slot = *slot ? *slot : create_location(l, index, NULL);
    return *slot;
}

static void *merge(struct loading *l, void *(*with)(apr_pool_t *, void *, void *), void *base,
                   void *over)
{
    if (!over) {
        return base;
    }
    return with && base ? with(l->pool, base, over) : over;
}

void configs_merge_hosts(struct loading *l, int from, int to)
{
    const ins_server *main_server = l->app->servers;

    for (int i = from; i < to; i++) {
        const ins_module *m = l->app->modules[i];

        if (!m) {
            continue;
        }
        if (i >= FIRST_LOADED) {
            loading_doing(l, "merging the configuration of %s", m->name);
        }
        for (ins_server *s = main_server->next; s; s = s->next) {
            s->module_config[i] =
                merge(l, m->merge_server, main_server->module_config[i], s->module_config[i]);
            s->lookup_defaults[i] =
                merge(l, m->merge_location, main_server->lookup_defaults[i], s->lookup_defaults[i]);
        }
    }
}
