/* SPDX-License-Identifier: Apache-2.0 */
/* The containers that only choose: <IfModule>, <IfDefine>, <IfFile>. Each is
 * judged when it is read, by what stands before it. */
#include "config/reader.h"

#include "config/scan.h"

/* The one argument without its '!'; NULL with the error reported. */
static const char *operand(struct conf_reader *rd, const struct conf_node *node, const char *what,
                           bool *wanted)
{
    const char *text;

    if (node->argc != 1) {
        conf_error(rd->diags, node, node->argc > 1 ? 1 : -1, "<%s> takes one argument: <%s [!]%s>",
                   node->name, node->name, what);
        return NULL;
    }
    text = node->argv[0];
    *wanted = text[0] != '!';
    if (!*wanted) {
        text++;
    }
    if (*text == '\0') {
        conf_error(rd->diags, node, 0, "<%s> lacks its %s: <%s [!]%s>", node->name, what,
                   node->name, what);
        return NULL;
    }
    return text;
}

bool condition_module(struct conf_reader *rd, const struct conf_node *node)
{
    bool wanted;
    const char *name = operand(rd, node, "MODULE", &wanted);

    return name && modules_have(rd->conf->process.scan, name) == wanted;
}

bool condition_define(struct conf_reader *rd, const struct conf_node *node)
{
    bool wanted;
    const char *name = operand(rd, node, "NAME", &wanted);

    return name && define_test(rd, name) == wanted;
}

bool condition_file(struct conf_reader *rd, const struct conf_node *node)
{
    bool wanted;
    const char *path = operand(rd, node, "PATH", &wanted);
    struct outside_path at;

    return path && (outside_path(rd->outside, reader_path(rd, path), &at) == 0) == wanted;
}
