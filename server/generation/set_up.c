/* SPDX-License-Identifier: Apache-2.0 */
/* Modules' post_config: the last step before the workers are forked, and the
 * first in which a module may say no. */
#include "generation/loading.h"

#include "generation/last_words.h"

static bool set_up(struct loading *l, int index)
{
    const ins_module *m = l->app->modules[index];
    const char *words;
    int rv;

    loading_doing(l, "setting up %s", m->name);
    last_words_keep();
    rv = m->post_config(l->pool, l->app->servers);
    words = last_words_take();
    if (rv != INS_OK) {
        conf_report(l->diags, DIAG_START, DIAG_ERROR, loading_module(l->launch, index)->node, -1,
                    "%s refuses to start (post_config returned %d)%s%s", m->name, rv,
                    words ? ": " : "; it logged no reason", words ? words : "");
        return false;
    }
    return !loading_left_behind(l, index, DIAG_START, "in post_config");
}

void modules_set_up(struct loading *l)
{
    for (int i = FIRST_LOADED; i < l->app->module_count; i++) {
        if (l->app->modules[i]->post_config && !set_up(l, i)) {
            return;
        }
    }
}
