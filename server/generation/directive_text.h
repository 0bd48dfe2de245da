/* SPDX-License-Identifier: Apache-2.0 */
/* A directive table as text: for -L, and as the page docs/DIRECTIVES.md. What
 * the program knows is written once, in the tables. */
#ifndef GENERATION_DIRECTIVE_TEXT_H
#define GENERATION_DIRECTIVE_TEXT_H

#include "instar.h"

/* As httpd's -L: name and part, help, default, where. table ends with { 0 }. */
void directives_list(const ins_directive *table, const char *part);
/* A section of instar.conf(5). */
void directives_mdoc(const ins_directive *table, const char *title);
/* A section of the page. */
void directives_markdown(const ins_directive *table, const char *title);

#endif
