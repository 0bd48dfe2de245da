/* SPDX-License-Identifier: Apache-2.0 */
/* Wildcards of Include. Sorted folder by folder, by bytes, so that the order of
 * 10-a.conf and 20-b.conf depends neither on the locale nor on the disk. */
#include "config/reader.h"

#include <fnmatch.h>
#include <string.h>

#include <apr_strings.h>

bool glob_is_pattern(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

static const char *join(const char *folder, const char *name, apr_pool_t *pool)
{
    size_t length = strlen(folder);

    return apr_pstrcat(pool, folder, length > 0 && folder[length - 1] == '/' ? "" : "/", name,
                       NULL);
}

static bool is_folder(struct conf_reader *rd, const char *path)
{
    struct outside_path found;

    return outside_path(rd->outside, path, &found) == 0 && found.folder;
}

/* rest: the part of the pattern below folder. */
static void descend(struct conf_reader *rd, const char *folder, const char *rest,
                    apr_array_header_t *found)
{
    apr_pool_t *pool = rd->temp;
    const char *slash = strchr(rest, '/');
    const char *segment = slash ? apr_pstrmemdup(pool, rest, (size_t)(slash - rest)) : rest;
    const apr_array_header_t *names;

    while (slash && *slash == '/') {
        slash++;
    }
    if (!glob_is_pattern(segment) && slash) {
        descend(rd, join(folder, segment, pool), slash, found);
        return;
    }
    names = outside_names(rd->outside, folder, pool);
    for (int i = 0; names && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);
        const char *path;

        if (fnmatch(segment, name, FNM_PERIOD) != 0) {
            continue;
        }
        path = join(folder, name, pool);
        if (!slash || *slash == '\0') {
            APR_ARRAY_PUSH(found, const char *) = path;
        }
        else if (is_folder(rd, path)) {
            descend(rd, path, slash, found);
        }
    }
}

apr_array_header_t *glob_expand(struct conf_reader *rd, const char *root, const char *pattern)
{
    apr_array_header_t *found = apr_array_make(rd->temp, 16, sizeof(const char *));

    if (*pattern == '/') {
        root = "/";
    }
    while (*pattern == '/') {
        pattern++;
    }
    descend(rd, root, pattern, found);
    return found;
}
