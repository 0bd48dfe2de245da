/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: a config as it was read, its builds, sockets and logs. */
#ifndef MASTER_MANIFEST_H
#define MASTER_MANIFEST_H

#include "master/state.h"

/* Reads the config from disk; one reference. What is wrong goes to diags. */
struct manifest *manifest_read(struct master *m, struct diags *diags);
/* Bytes of text that it was read from. */
size_t manifest_text(const struct manifest *manifest);
struct manifest *manifest_keep(struct manifest *manifest);
void manifest_drop(struct master *m, struct manifest *manifest);

#endif
