/* SPDX-License-Identifier: Apache-2.0 */
/* What a relative path in a config is relative to. */
#include "config/paths.h"

#include <apr_file_info.h>
#include <apr_strings.h>

#include "config/conf.h"

const char *path_under(const char *root, const char *path, apr_pool_t *pool)
{
    char *merged;

    if (apr_filepath_merge(&merged, root, path, 0, pool) == APR_SUCCESS) {
        return merged;
    }
    /* longer than any path can be: opening it will say so */
    return path[0] == '/' ? apr_pstrdup(pool, path) : apr_pstrcat(pool, root, "/", path, NULL);
}

const char *path_absolute(const char *path, apr_pool_t *pool)
{
    char *merged;

    if (apr_filepath_merge(&merged, NULL, path, APR_FILEPATH_TRUENAME, pool) != APR_SUCCESS) {
        return apr_pstrdup(pool, path);
    }
    return merged;
}

const char *conf_path(const struct conf *conf, const char *path, apr_pool_t *pool)
{
    return path_under(conf->process.server_root, path, pool);
}
