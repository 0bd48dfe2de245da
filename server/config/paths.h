/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_PATHS_H
#define CONFIG_PATHS_H

#include <apr_pools.h>

/* path as seen from root, which is absolute; "." and ".." are taken out. */
const char *path_under(const char *root, const char *path, apr_pool_t *pool);
/* path as seen from the working directory. */
const char *path_absolute(const char *path, apr_pool_t *pool);

#endif
