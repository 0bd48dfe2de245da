/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: a config as it was read, its builds, sockets and logs. */
#ifndef MASTER_MANIFEST_H
#define MASTER_MANIFEST_H

#include "master/state.h"

/* An empty one, with a pool of its own; one reference. */
struct manifest *manifest_create(struct master *m);
/* Reads the config from disk; one reference. What is wrong goes to diags. */
struct manifest *manifest_read(struct master *m, struct diags *diags);
/* Bytes of text that it was read from. */
size_t manifest_text(const struct manifest *manifest);
struct manifest *manifest_keep(struct manifest *manifest);
void manifest_drop(struct master *m, struct manifest *manifest);
/* The names of its objects alone, as one piece of memory (free()); NULL without memory. */
struct build_list *manifest_objects(const struct build_list *builds);

#endif
