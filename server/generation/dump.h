/* SPDX-License-Identifier: Apache-2.0 */
/* -S, -M, -L and the directive reference, to standard output. */
#ifndef GENERATION_DUMP_H
#define GENERATION_DUMP_H

struct app;
struct launch;

/* What launch->dump asks for; nothing for DUMP_NOTHING. app may be NULL for
 * DUMP_DIRECTIVES_MD and _MAN, which are about the server's own tables alone. */
void dump_print(const struct launch *launch, const struct app *app);

#endif
