/* SPDX-License-Identifier: Apache-2.0 */
/* Define, UnDefine and ${VAR}. As in httpd a definition holds for everything
 * that is read after it, whatever container it stands in. */
#include "config/reader.h"

#include <string.h>

#include <apr_strings.h>

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
        const char *value = node->argc > 1 ? node->argv[1] : old ? old->value : NULL;

        add(rd, node->argv[0], value);
    }
}

void define_remove(struct conf_reader *rd, const struct conf_node *node)
{
    if (good_name(rd, node)) {
        apr_hash_set(rd->defines, node->argv[0], APR_HASH_KEY_STRING, NULL);
    }
}

static const char *lookup(struct conf_reader *rd, const char *name)
{
    const struct define *define = apr_hash_get(rd->defines, name, APR_HASH_KEY_STRING);

    return define && define->value ? define->value : outside_variable(rd->outside, name);
}

/* One piece of the result. */
struct piece {
    const char *text;
    size_t length;
};

static void add_piece(apr_array_header_t *pieces, size_t *total, const char *text, size_t length)
{
    struct piece *piece = apr_array_push(pieces);

    piece->text = text;
    piece->length = length;
    *total += length;
}

static const char *concat(struct conf_reader *rd, const apr_array_header_t *pieces, size_t total)
{
    char *out = apr_palloc(rd->pool, total + 1), *at = out;

    for (int i = 0; i < pieces->nelts; i++) {
        const struct piece *piece = &APR_ARRAY_IDX(pieces, i, struct piece);

        memcpy(at, piece->text, piece->length);
        at += piece->length;
    }
    *at = '\0';
    return out;
}

const char *define_expand(struct conf_reader *rd, const char *text, const char **missing)
{
    apr_array_header_t *pieces;
    const char *open, *close;
    size_t total = 0;

    if (!strstr(text, "${")) {
        return text;
    }
    pieces = apr_array_make(rd->temp, 8, sizeof(struct piece));
    while ((open = strstr(text, "${")) && (close = strchr(open, '}'))) {
        const char *name = apr_pstrmemdup(rd->temp, open + 2, (size_t)(close - open - 2));
        const char *value = lookup(rd, name);

        if (!value && !*missing && !strchr(name, ':')) {
            *missing = name;
        }
        add_piece(pieces, &total, text, (size_t)(open - text));
        add_piece(pieces, &total, value ? value : open,
                  value ? strlen(value) : (size_t)(close + 1 - open));
        text = close + 1;
    }
    add_piece(pieces, &total, text, strlen(text));
    rd->total += total;
    if (total > CONF_LINE_MAX || rd->total > CONF_TOTAL_MAX) {
        return NULL;
    }
    return concat(rd, pieces, total);
}
