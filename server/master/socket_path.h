/* SPDX-License-Identifier: Apache-2.0 */
/* A unix socket's address where the path is longer than an address may be. */
#ifndef MASTER_SOCKET_PATH_H
#define MASTER_SOCKET_PATH_H

#include <sys/un.h>

/* Fills un. Keep *folder (a descriptor, -1 none) open until bind() or
 * connect() is done, then close it. 0 or errno. */
int socket_path(const char *path, struct sockaddr_un *un, int *folder);

#endif
