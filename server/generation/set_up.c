/* SPDX-License-Identifier: Apache-2.0 */
/* Modules' post_config: the last step before the workers are forked, and the
 * first in which a module may say no. */
#include "generation/loading.h"

#include "generation/guard.h"
#include "generation/last_words.h"

static const struct conf_node *node_of(const struct loading *l, int index)
{
    const apr_array_header_t *list = l->launch->conf->process.modules;

    return APR_ARRAY_IDX(list, index - FIRST_LOADED, struct conf_module).node;
}

static bool set_up(struct loading *l, int index)
{
    const ins_module *m = l->app->modules[index];
    const char *left, *words;
    int rv;

    loading_doing(l, "setting up %s", m->name);
    last_words_keep();
    rv = m->post_config(l->pool, l->app->servers);
    words = last_words_take();
    left = guard_check();
    if (rv != INS_OK) {
        conf_report(l->diags, DIAG_START, DIAG_ERROR, node_of(l, index), -1,
                    "%s refuses to start (post_config returned %d)%s%s", m->name, rv,
                    words ? ": " : "; it logged no reason", words ? words : "");
        return false;
    }
    if (left) {
        conf_report(l->diags, DIAG_START, DIAG_ERROR, node_of(l, index), -1,
                    "%s leaves %s behind in post_config: use child_init", m->name, left);
        return false;
    }
    return true;
}

void modules_set_up(struct loading *l)
{
    for (int i = FIRST_LOADED; i < l->app->module_count; i++) {
        if (l->app->modules[i]->post_config && !set_up(l, i)) {
            return;
        }
    }
}
