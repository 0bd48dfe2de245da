/* SPDX-License-Identifier: Apache-2.0 */
/* What to say of a directive that nobody knows. */
#include "config/conf.h"

#include "config/nearest.h"

/* Containers of the language that no directive table lists. */
static const char *const containers[] = { "VirtualHost", "Location", "LocationMatch" };

static void try_row(struct nearest *best, const struct conf_node *node, const ins_directive *row)
{
    bool container = row->name[0] == '<';

    if (container == node->container) {
        nearest_try(best, row->name + (container ? 1 : 0));
    }
}

static void try_all(struct nearest *best, const struct conf_node *node,
                    const ins_directive *const tables[], int count)
{
    for (int i = 0; i < count; i++) {
        for (const ins_directive *row = tables[i]; row && row->name; row++) {
            try_row(best, node, row);
        }
    }
    for (size_t i = 0; node->container && i < sizeof(containers) / sizeof(containers[0]); i++) {
        nearest_try(best, containers[i]);
    }
}

/* The nearest name, or NULL. Past that many errors nobody reads suggestions: none is sought. */
static const char *find_nearest(const struct conf_node *node, const ins_directive *const tables[],
                                int count, const struct diags *diags)
{
    struct nearest best;

    nearest_start(&best, diags->errors < DIAGS_KEPT ? node->name : "");
    try_all(&best, node, tables, count);
    return best.found;
}

void conf_unknown(const struct conf_node *node, const ins_directive *const tables[], int count,
                  struct diags *diags)
{
    const char *open = node->container ? "<" : "", *close = node->container ? ">" : "";

    if (!conf_misspelt(node, tables, count, diags)) {
        conf_error(diags, node, -1,
                   "unknown %s %s%s%s: misspelt, or of a module that no LoadModule names",
                   node->container ? "container" : "directive", open, node->name, close);
    }
}

bool conf_misspelt(const struct conf_node *node, const ins_directive *const tables[], int count,
                   struct diags *diags)
{
    const char *found = find_nearest(node, tables, count, diags);
    const char *open = node->container ? "<" : "", *close = node->container ? ">" : "";

    if (found) {
        conf_error(diags, node, -1, "unknown %s %s%s%s: did you mean %s%s%s?",
                   node->container ? "container" : "directive", open, node->name, close, open,
                   found, close);
    }
    return found != NULL;
}
