/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of conf_apply(), for directives that are obeyed without a setter. */
#ifndef CONFIG_APPLY_H
#define CONFIG_APPLY_H

#include "config/conf.h"

/* Both report what is wrong, and return false then. */
bool apply_place(const ins_directive *row, const struct conf_node *node, struct diags *diags);
bool apply_count(const ins_directive *row, const struct conf_node *node, struct diags *diags);

#endif
