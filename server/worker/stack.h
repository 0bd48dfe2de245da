/* SPDX-License-Identifier: Apache-2.0 */
/* Words for the frames of a stack: functions by name also where they are static, as handlers
 * are, and where that fails, what a debugger needs to find them. */
#ifndef WORKER_STACK_H
#define WORKER_STACK_H

#include <stddef.h>

struct http_app;

enum { STACK_FRAMES = 32, STACK_TEXT = 4096 };

/* "nap+0x1f (hang_module, 1f2e.so+0x11d9) < handle+0x20 ...", innermost first; as much as
 * fits. app knows the modules. Reads objects' files: not for a signal handler. */
void stack_text(const struct http_app *app, void *const *frames, int count, char *out, size_t size);

#endif
