/* SPDX-License-Identifier: Apache-2.0 */
/* One directive meets its row: may it stand here, are its arguments as many and
 * of the kind that the row says; then the setter or the field. Setters only see
 * what has passed. */
#include "config/conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "config/apply.h"

/* What a setter is given: ins_cmd comes first, the rest is for the core's own. */
struct conf_cmd {
    ins_cmd cmd;
    const struct conf_node *node;
    struct diags *diags;
    int arg;
};

const struct conf_node *conf_cmd_node(const ins_cmd *cmd)
{
    return ((const struct conf_cmd *)(const void *)cmd)->node;
}

struct diags *conf_cmd_diags(const ins_cmd *cmd)
{
    return ((const struct conf_cmd *)(const void *)cmd)->diags;
}

void conf_cmd_at(ins_cmd *cmd, int arg)
{
    ((struct conf_cmd *)(void *)cmd)->arg = arg;
}

/* ---- Where it stands --------------------------------------------------- */

static bool allowed(const ins_directive *row, const struct conf_node *around)
{
    if (!around || around->name == NULL) {
        return (row->where & (INS_IN_SERVER | INS_IN_GLOBAL)) != 0;
    }
    if (conf_is(around, "VirtualHost")) {
        return (row->where & INS_IN_SERVER) != 0;
    }
    if (conf_is(around, "Location") || conf_is(around, "LocationMatch")) {
        return (row->where & INS_IN_LOCATION) != 0;
    }
    return false;
}

static const char *places(unsigned where)
{
    static const char *const words[8] = {
        "nowhere",
        "in the main server or a <VirtualHost>",
        "in a <Location>",
        "in the main server, a <VirtualHost> or a <Location>",
        "in the main server",
        "in the main server or a <VirtualHost>",
        "in the main server or a <Location>",
        "in the main server, a <VirtualHost> or a <Location>",
    };

    return words[where & 7u];
}

bool apply_place(const ins_directive *row, const struct conf_node *node, struct diags *diags)
{
    const struct conf_node *around = node->parent;

    if (allowed(row, around)) {
        return true;
    }
    if (around && around->name) {
        conf_error(diags, node, -1, "%s may not stand in <%s> (line %u): it belongs %s", row->name,
                   around->name, around->line, places(row->where));
    }
    else {
        conf_error(diags, node, -1, "%s may not stand here: it belongs %s", row->name,
                   places(row->where));
    }
    return false;
}

/* ---- How many arguments ------------------------------------------------ */

struct bounds {
    int min, max; /* max 0: none */
};

static struct bounds bounds_of(const ins_directive *row)
{
    switch (row->args) {
    case INS_ARGS_NONE:
        return (struct bounds){ 0, -1 };
    case INS_ARGS_TWO:
        return (struct bounds){ 2, 2 };
    case INS_ARGS_ITERATE:
        return (struct bounds){ 1, 0 };
    case INS_ARGS_ARGV:
        return (struct bounds){ (int)row->min, (int)row->max };
    default:
        return (struct bounds){ 1, 1 };
    }
}

static const char *number(int n, apr_pool_t *pool)
{
    static const char *const words[] = { "no", "one", "two", "three" };

    return n < 4 ? words[n] : apr_itoa(pool, n);
}

static const char *amount(struct bounds bounds, apr_pool_t *pool)
{
    const char *min = number(bounds.min, pool), *max;

    if (bounds.max == 0) {
        return bounds.min
                   ? apr_psprintf(pool, "at least %s argument%s", min, bounds.min == 1 ? "" : "s")
                   : "any number of arguments";
    }
    max = number(bounds.max < 0 ? 0 : bounds.max, pool);
    if (bounds.max <= bounds.min) {
        return apr_psprintf(pool, "%s argument%s", max, bounds.max > 1 ? "s" : "");
    }
    return apr_psprintf(pool, "%s %s %s arguments", min, bounds.max == bounds.min + 1 ? "or" : "to",
                        max);
}

static const char *usage(const ins_directive *row, apr_pool_t *pool)
{
    return apr_pstrcat(pool, row->name, row->syntax && *row->syntax ? " " : "",
                       row->syntax ? row->syntax : "", NULL);
}

bool apply_count(const ins_directive *row, const struct conf_node *node, struct diags *diags)
{
    struct bounds bounds = bounds_of(row);
    int max = bounds.max < 0 ? 0 : bounds.max ? bounds.max : node->argc;
    const char *hint = "";
    int at;

    if (node->argc >= bounds.min && node->argc <= max) {
        return true;
    }
    at = node->argc > max ? max : -1;
    for (int i = max; i < node->argc; i++) {
        if (node->argv[i][0] == '#') {
            hint = " (a comment needs a line of its own)";
        }
    }
    conf_error(diags, node, at, "%s takes %s: %s%s", row->name, amount(bounds, diags->pool),
               usage(row, diags->pool), hint);
    return false;
}

/* ---- Fields ------------------------------------------------------------- */

static const char *flag_value(const char *text, int *value)
{
    if (strcasecmp(text, "on") == 0) {
        *value = 1;
        return NULL;
    }
    if (strcasecmp(text, "off") == 0) {
        *value = 0;
        return NULL;
    }
    return "must be On or Off";
}

static const char *store_flag(const ins_directive *row, void *conf, const char *text)
{
    int value;
    const char *words = flag_value(text, &value);

    if (!words) {
        memcpy((char *)conf + row->offset, &value, sizeof(value));
    }
    return words;
}

static const char *store_int(const ins_directive *row, void *conf, const char *text,
                             apr_pool_t *pool)
{
    int64_t wide;
    int value;

    if (!conf_int(text, row->min, row->max, &wide)) {
        return apr_psprintf(pool,
                            "must be a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT,
                            row->min, row->max);
    }
    value = (int)wide;
    memcpy((char *)conf + row->offset, &value, sizeof(value));
    return NULL;
}

static const char *store_string(const ins_directive *row, void *conf, const char *text)
{
    memcpy((char *)conf + row->offset, &text, sizeof(text));
    return NULL;
}

/* ---- Setters ------------------------------------------------------------ */

static void say(struct conf_cmd *cc, const ins_directive *row, const char *words)
{
    if (words) {
        conf_error(cc->diags, cc->node, cc->arg, "%s: %s", row->name, words);
    }
}

static void iterate(struct conf_cmd *cc, const ins_directive *row, void *conf)
{
    for (int i = 0; i < cc->node->argc; i++) {
        cc->arg = i;
        say(cc, row, row->set.one(&cc->cmd, conf, cc->node->argv[i]));
    }
}

static const char *set_flag(struct conf_cmd *cc, const ins_directive *row, void *conf)
{
    int on;
    const char *words = flag_value(cc->node->argv[0], &on);

    return words ? words : row->set.flag(&cc->cmd, conf, on);
}

static bool stores(const ins_directive *row)
{
    return row->args == INS_ARGS_INT_FIELD || row->args == INS_ARGS_FLAG_FIELD ||
           row->args == INS_ARGS_STRING_FIELD;
}

static const char *dispatch(struct conf_cmd *cc, const ins_directive *row, void *conf)
{
    const char *const *argv = cc->node->argv;

    if (!stores(row) && !row->set.none) {
        return "the module's directive table has no setter for it";
    }
    switch (row->args) {
    case INS_ARGS_NONE:
        return row->set.none(&cc->cmd, conf);
    case INS_ARGS_ONE:
        return row->set.one(&cc->cmd, conf, argv[0]);
    case INS_ARGS_TWO:
        return row->set.two(&cc->cmd, conf, argv[0], argv[1]);
    case INS_ARGS_FLAG:
        return set_flag(cc, row, conf);
    case INS_ARGS_ITERATE:
        iterate(cc, row, conf);
        return NULL;
    case INS_ARGS_ARGV:
        return row->set.argv(&cc->cmd, conf, cc->node->argc, argv);
    case INS_ARGS_INT_FIELD:
        return store_int(row, conf, argv[0], cc->diags->pool);
    case INS_ARGS_FLAG_FIELD:
        return store_flag(row, conf, argv[0]);
    case INS_ARGS_STRING_FIELD:
        return store_string(row, conf, argv[0]);
    }
    return "the module's directive table is broken: no such kind of arguments";
}

void conf_apply(const ins_directive *row, const struct conf_node *node, ins_server *server,
                const char *location, void *conf, struct diags *diags, apr_pool_t *pool,
                apr_pool_t *temp_pool)
{
    struct conf_cmd cc = {
        .cmd = { .pool = pool,
                 .temp_pool = temp_pool,
                 .server = server,
                 .path = location,
                 .name = row->name,
                 .file = node->file->path,
                 .line = node->line,
                 .info = row->info },
        .node = node,
        .diags = diags,
        .arg = node->argc > 0 ? 0 : -1,
    };

    if (apply_place(row, node, diags) && apply_count(row, node, diags)) {
        say(&cc, row, dispatch(&cc, row, conf));
    }
}
