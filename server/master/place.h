/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the later stages at the config line that caused them. */
#ifndef MASTER_PLACE_H
#define MASTER_PLACE_H

#include "util/diag.h"

struct conf_node;

/* As conf_error(), with a stage. node may be NULL: no place. */
__attribute__((format(printf, 5, 6))) void place_error(struct diags *diags, enum diag_stage stage,
                                                       const struct conf_node *node, int arg,
                                                       const char *format, ...);

#endif
