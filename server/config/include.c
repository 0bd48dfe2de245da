/* SPDX-License-Identifier: Apache-2.0 */
/* Include and IncludeOptional: a file, a folder with all that is in it, or a
 * pattern. Loops are told by the files' identity, not their names. */
#include "config/reader.h"

#include <errno.h>
#include <string.h>

#include <apr_strings.h>

static void include_path(struct conf_reader *rd, const struct conf_node *node, const char *path);

/* "a.conf includes b.conf includes a.conf" */
static const char *chain(struct conf_reader *rd, const struct open_file *from, const char *path)
{
    const char *words = path;

    for (const struct open_file *f = rd->reading; f; f = f->outer) {
        words = apr_pstrcat(rd->temp, f->file->path, " includes ", words, NULL);
        if (f == from) {
            break;
        }
    }
    return words;
}

static bool loops(struct conf_reader *rd, const struct conf_node *node, const char *path,
                  const struct outside_path *at)
{
    for (const struct open_file *f = rd->reading; f; f = f->outer) {
        if (f->inode != 0 && f->inode == at->inode && f->device == at->device) {
            conf_error(rd->diags, node, 0, "Include loop: %s", chain(rd, f, path));
            return true;
        }
    }
    if (rd->depth >= CONF_DEPTH_MAX) {
        conf_error(rd->diags, node, 0, "%s: Include is nested deeper than %d files", path,
                   CONF_DEPTH_MAX);
        rd->stop = true;
        return true;
    }
    return false;
}

static void include_folder(struct conf_reader *rd, const struct conf_node *node, const char *path)
{
    const apr_array_header_t *names = outside_names(rd->outside, path, rd->temp);

    if (!names) {
        conf_error(rd->diags, node, 0, "%s: cannot be read: %s", path, strerror(errno));
        return;
    }
    for (int i = 0; i < names->nelts && !rd->stop; i++) {
        include_path(rd, node,
                     apr_pstrcat(rd->temp, path, "/", APR_ARRAY_IDX(names, i, const char *), NULL));
    }
}

static void include_path(struct conf_reader *rd, const struct conf_node *node, const char *path)
{
    const struct snapshot *snapshot;
    struct outside_path at;
    int error = outside_path(rd->outside, path, &at);

    if (error != 0) {
        conf_error(rd->diags, node, 0, "%s: cannot be opened: %s", path, strerror(error));
        return;
    }
    if (at.folder) {
        include_folder(rd, node, path);
        return;
    }
    if (loops(rd, node, path, &at)) {
        return;
    }
    snapshot = snapshot_take(rd, path, node);
    if (snapshot) {
        read_file(rd, snapshot, node);
    }
}

static void include_pattern(struct conf_reader *rd, const struct conf_node *node, bool optional)
{
    const char *root = rd->conf->process.server_root;
    const apr_array_header_t *paths = glob_expand(rd, root, node->argv[0]);

    if (paths->nelts == 0 && !optional) {
        conf_error(rd->diags, node, 0,
                   "no file matches %s: use IncludeOptional if that is no error",
                   reader_path(rd, node->argv[0]));
    }
    for (int i = 0; i < paths->nelts && !rd->stop; i++) {
        include_path(rd, node, APR_ARRAY_IDX(paths, i, const char *));
    }
}

static void include(struct conf_reader *rd, const struct conf_node *node, bool optional)
{
    struct outside_path at;
    const char *path;
    int error;

    if (rd->from_memory) {
        conf_error(rd->diags, node, -1, "%s needs a config that is read from a file", node->name);
        return;
    }
    if (glob_is_pattern(node->argv[0])) {
        include_pattern(rd, node, optional);
        return;
    }
    path = reader_path(rd, node->argv[0]);
    error = optional ? outside_path(rd->outside, path, &at) : 0;
    if (error != ENOENT && error != ENOTDIR) {
        include_path(rd, node, path);
    }
}

void include_required(struct conf_reader *rd, const struct conf_node *node)
{
    include(rd, node, false);
}

void include_optional(struct conf_reader *rd, const struct conf_node *node)
{
    include(rd, node, true);
}
