/* SPDX-License-Identifier: Apache-2.0 */
/* The builder's words: about a LoadModule line, and out of a compiler's text. */
#ifndef BUILDER_DIAGNOSTICS_H
#define BUILDER_DIAGNOSTICS_H

#include <stddef.h>

#include "config/conf.h"

struct diags;

/* At the module's LoadModule line (argument arg from 0 = its name, -1 the
 * directive), stage build. */
#define module_error(diags, module, arg, ...)                                                      \
    conf_report(diags, DIAG_BUILD, DIAG_ERROR, (module)->node, arg, __VA_ARGS__)

/* The last NAME line of the main server; NULL where the default holds. */
const struct conf_node *directive_find(const struct conf *conf, const char *name);
/* At that line, if there is one; stage build. */
__attribute__((format(printf, 4, 5))) void directive_error(struct diags *diags,
                                                           const struct conf *conf,
                                                           const char *name, const char *format,
                                                           ...);

/* Finds errors and warnings in what gcc, clang, as and ld wrote, colours or
 * not, and adds them (stage build; at most a hundred). Relative names are
 * relative to folder. *loose (where loose is not NULL) is the first error that names no
 * place, or stays as it is. Returns the number of errors added. */
unsigned diagnostics_parse(struct diags *diags, const char *text, size_t len, const char *folder,
                           const char **loose);

#endif
