/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks of all modules, a list a phase, in the order in which they run. */
#include "http/parts.h"

#include <apr_pools.h>

static int count_hooks(const struct http_app *app, ins_phase phase)
{
    int count = 0;

    for (int i = 0; i < app->module_count; i++) {
        const ins_hook *hook = app->modules[i]->hooks;

        for (; hook && hook->run; hook++) {
            count += hook->phase == phase;
        }
    }
    return count;
}

/* Keeps equal orders as they came, which is the order of LoadModule. */
static void insert(struct phase_hook *list, int *orders, int count, const ins_hook *hook,
                   const ins_module *module)
{
    int at = count;

    while (at > 0 && orders[at - 1] > hook->order) {
        orders[at] = orders[at - 1];
        list[at] = list[at - 1];
        at--;
    }
    orders[at] = hook->order;
    list[at] = (struct phase_hook){ hook->run, module };
}

static struct phase_hook *collect(const struct http_app *app, ins_phase phase)
{
    int count = count_hooks(app, phase);
    struct phase_hook *list;
    int *orders;

    if (count == 0) {
        return NULL;
    }
    list = apr_pcalloc(app->pool, ((size_t)count + 1) * sizeof(*list));
    orders = apr_palloc(app->pool, (size_t)count * sizeof(*orders));
    count = 0;
    for (int i = 0; i < app->module_count; i++) {
        const ins_hook *hook = app->modules[i]->hooks;

        for (; hook && hook->run; hook++) {
            if (hook->phase == phase) {
                insert(list, orders, count++, hook, app->modules[i]);
            }
        }
    }
    return list;
}

void hooks_collect(struct http_app *app)
{
    for (int phase = 0; phase < INS_PHASE_COUNT; phase++) {
        app->hooks[phase] = collect(app, (ins_phase)phase);
        if (phase <= INS_PHASE_handler && app->hooks[phase]) {
            app->any_hooks = true;
        }
    }
}
