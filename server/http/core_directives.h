/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of core_module. */
#ifndef HTTP_CORE_DIRECTIVES_H
#define HTTP_CORE_DIRECTIVES_H

#include <apr_pools.h>

#include "instar.h"

extern const ins_directive core_directives[];

/* What the Server field says for a ServerTokens word; NULL where it is none. */
const char *core_server_header(const char *tokens, apr_pool_t *pool);

/* The setter of RequestReadTimeout (read_timeout.c). */
const char *read_timeout_set(ins_cmd *cmd, void *conf, const char *arg);

#endif
