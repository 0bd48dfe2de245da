/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: a config as it was read, its builds, sockets and logs. */
#ifndef MASTER_MANIFEST_H
#define MASTER_MANIFEST_H

#include "master/state.h"

/* A pool with an allocator of its own: destroying it gives all memory back. */
apr_pool_t *master_pool_create(void);

/* Reads the config from disk; one reference. What is wrong goes to diags. */
struct manifest *manifest_read(struct master *m, struct diags *diags);
struct manifest *manifest_keep(struct manifest *manifest);
void manifest_drop(struct master *m, struct manifest *manifest);

#endif
