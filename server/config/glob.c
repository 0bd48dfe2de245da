/* SPDX-License-Identifier: Apache-2.0 */
/* Wildcards of Include. Sorted folder by folder, by bytes, so that the order of
 * 10-a.conf and 20-b.conf depends neither on the locale nor on the disk. */
#include "config/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <apr_strings.h>

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

apr_array_header_t *glob_list(const char *folder, apr_pool_t *pool)
{
    apr_array_header_t *names;
    const struct dirent *entry;
    DIR *dir = opendir(folder);

    if (!dir) {
        return NULL;
    }
    names = apr_array_make(pool, 16, sizeof(const char *));
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            APR_ARRAY_PUSH(names, const char *) = apr_pstrdup(pool, entry->d_name);
        }
    }
    (void)closedir(dir);
    qsort(names->elts, (size_t)names->nelts, sizeof(const char *), by_bytes);
    return names;
}

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

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* rest: the part of the pattern below folder. */
static void descend(const char *folder, const char *rest, apr_array_header_t *found,
                    apr_pool_t *pool)
{
    const char *slash = strchr(rest, '/');
    const char *segment = slash ? apr_pstrmemdup(pool, rest, (size_t)(slash - rest)) : rest;
    const apr_array_header_t *names;

    while (slash && *slash == '/') {
        slash++;
    }
    if (!glob_is_pattern(segment) && slash) {
        descend(join(folder, segment, pool), slash, found, pool);
        return;
    }
    names = glob_list(folder, pool);
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
        else if (is_folder(path)) {
            descend(path, slash, found, pool);
        }
    }
}

apr_array_header_t *glob_expand(const char *root, const char *pattern, apr_pool_t *pool)
{
    apr_array_header_t *found = apr_array_make(pool, 16, sizeof(const char *));

    if (*pattern == '/') {
        root = "/";
    }
    while (*pattern == '/') {
        pattern++;
    }
    descend(root, pattern, found, pool);
    return found;
}
