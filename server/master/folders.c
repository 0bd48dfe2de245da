/* SPDX-License-Identifier: Apache-2.0 */
/* A first start on a fresh machine finds none of its folders. */
#include "master/folders.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int folder_make(const char *path)
{
    char step[PATH_MAX];
    struct stat st;
    char *at;

    if (snprintf(step, sizeof(step), "%s", path) >= (int)sizeof(step)) {
        return ENAMETOOLONG;
    }
    for (at = strchr(step + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(step, 0755) != 0 && errno != EEXIST) {
            return errno;
        }
        *at = '/';
    }
    if (mkdir(step, 0755) != 0 && errno != EEXIST) {
        return errno;
    }
    if (stat(path, &st) != 0) {
        return errno;
    }
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

int folder_make_parent(const char *path)
{
    char parent[PATH_MAX];
    char *slash;

    if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent)) {
        return ENAMETOOLONG;
    }
    slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent) {
        return 0;
    }
    *slash = '\0';
    return folder_make(parent);
}
