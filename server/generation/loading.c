/* SPDX-License-Identifier: Apache-2.0 */
/* What every step of loading says before it takes place. */
#include "generation/loading.h"

#include <stdarg.h>
#include <stdio.h>

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
