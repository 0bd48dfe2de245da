/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process that found a bug of ours: one line, then a core dump. */
#include "util/check.h"

#include <stdlib.h>

#include "util/log.h"

#define LOG_PART "core"

void check_failed(const char *file, int line, const char *what)
{
    log_emerg("INS01801", "bug at %s:%d: %s does not hold", file, line, what);
    abort();
}
