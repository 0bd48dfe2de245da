/* SPDX-License-Identifier: Apache-2.0 */
/* The folders that a server needs to exist. */
#ifndef MASTER_FOLDERS_H
#define MASTER_FOLDERS_H

/* mkdir -p; 0 or errno. */
int folder_make(const char *path);
/* The folder that path stands in. */
int folder_make_parent(const char *path);

#endif
