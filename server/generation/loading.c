/* SPDX-License-Identifier: Apache-2.0 */
/* What every step of loading says before it takes place. */
#include "generation/loading.h"

#include <stdarg.h>
#include <stdio.h>

#include "generation/guard.h"

void loading_doing(struct loading *l, const char *format, ...)
{
    char words[SB_DOING];
    va_list args;

    if (!l->slot) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    sb_doing(l->slot, "%s", words);
}

const struct conf_module *loading_module(const struct launch *launch, int index)
{
    return &APR_ARRAY_IDX(launch->conf->process.modules, index - FIRST_LOADED, struct conf_module);
}

bool loading_left_behind(struct loading *l, int index, enum diag_stage stage, const char *when)
{
    const struct conf_module *cm = loading_module(l->launch, index);
    const char *what = guard_check();

    if (what) {
        conf_report(l->diags, stage, DIAG_ERROR, cm->node, -1,
                    "%s leaves %s behind %s: use child_init", cm->name, what, when);
    }
    return what != NULL;
}
