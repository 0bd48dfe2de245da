/* SPDX-License-Identifier: Apache-2.0 */
/* The names that config/ itself acts on, by hash: each of a config's thousands
 * of lines asks here once. Most get "not ours", for the price of one probe. */
#include "config/reader.h"

#include <string.h>

enum { SLOTS = 512 };

struct known_table {
    struct known *slots[SLOTS];
};

struct special {
    const char *name;
    statement_fn statement;
    condition_fn condition;
};
static const struct special specials[] = {
    { "Include", include_required, NULL },  { "IncludeOptional", include_optional, NULL },
    { "Define", define_set, NULL },         { "UnDefine", define_remove, NULL },
    { "IfModule", NULL, condition_module }, { "IfDefine", NULL, condition_define },
    { "IfFile", NULL, condition_file },
};
static const char *const logs[] = { "ErrorLog", "CustomLog" };

static struct known *add(struct known_table *table, const char *name, apr_pool_t *pool)
{
    struct known *known = apr_pcalloc(pool, sizeof(*known));
    uint32_t at;

    known->name = name;
    known->hash = conf_hash(name);
    for (at = known->hash % SLOTS; table->slots[at]; at = (at + 1) % SLOTS) {
    }
    table->slots[at] = known;
    return known;
}

static void make_special(struct known *known)
{
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        if (strcmp(specials[i].name, known->name) == 0) {
            known->statement = specials[i].statement;
            known->condition = specials[i].condition;
        }
    }
}

struct known_table *known_create(apr_pool_t *pool)
{
    struct known_table *table = apr_pcalloc(pool, sizeof(*table));

    for (const ins_directive *row = conf_process_directives; row->name; row++) {
        struct known *known = add(table, row->name + (row->name[0] == '<' ? 1 : 0), pool);

        known->row = row;
        make_special(known);
    }
    for (const struct conf_obsolete *old = conf_obsolete; old->name; old++) {
        add(table, old->name, pool)->obsolete = old;
    }
    for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
        add(table, logs[i], pool)->log = true;
    }
    return table;
}

struct known *known_find(const struct known_table *table, const struct conf_node *node)
{
    struct known *known;

    for (uint32_t at = node->hash % SLOTS; (known = table->slots[at]); at = (at + 1) % SLOTS) {
        if (known->hash == node->hash && conf_is(node, known->name)) {
            return node->container == (known->condition != NULL) ? known : NULL;
        }
    }
    return NULL;
}
