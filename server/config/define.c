/* SPDX-License-Identifier: Apache-2.0 */
/* Define and UnDefine. As in httpd a definition holds for everything
 * that is read after it, whatever container it stands in. */
#include "config/reader.h"

#include <string.h>

struct define {
    const char *value; /* NULL: defined, for <IfDefine> alone */
};

static void add(struct conf_reader *rd, const char *name, const char *value)
{
    struct define *define = apr_palloc(rd->temp, sizeof(*define));

    define->value = value;
    apr_hash_set(rd->defines, name, APR_HASH_KEY_STRING, define);
}

void define_options(struct conf_reader *rd)
{
    const apr_array_header_t *names = rd->options->defines;

    for (int i = 0; names && i < names->nelts; i++) {
        add(rd, APR_ARRAY_IDX(names, i, const char *), NULL);
    }
}

bool define_test(const struct conf_reader *rd, const char *name)
{
    return apr_hash_get(rd->defines, name, APR_HASH_KEY_STRING) != NULL;
}

static bool good_name(struct conf_reader *rd, const struct conf_node *node)
{
    if (node->argv[0][0] == '\0' || strpbrk(node->argv[0], ":}")) {
        conf_error(rd->diags, node, 0,
                   "a variable's name must not be empty nor contain ':' or '}'");
        return false;
    }
    return true;
}

void define_set(struct conf_reader *rd, const struct conf_node *node)
{
    if (good_name(rd, node)) {
        const struct define *old = apr_hash_get(rd->defines, node->argv[0], APR_HASH_KEY_STRING);
        const char *value = node->argc > 1 && *node->argv[1] ? node->argv[1]
                            : old                            ? old->value
                                                             : NULL;

        add(rd, node->argv[0], value);
    }
}

void define_remove(struct conf_reader *rd, const struct conf_node *node)
{
    if (good_name(rd, node)) {
        apr_hash_set(rd->defines, node->argv[0], APR_HASH_KEY_STRING, NULL);
    }
}

const char *define_value(const struct conf_reader *rd, const char *name)
{
    const struct define *define = apr_hash_get(rd->defines, name, APR_HASH_KEY_STRING);

    return define && define->value ? define->value : outside_variable(rd->outside, name);
}
