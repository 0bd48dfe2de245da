/* SPDX-License-Identifier: Apache-2.0 */
/* A unix socket's address where the path is longer than an address may be. */
#ifndef MASTER_SOCKET_PATH_H
#define MASTER_SOCKET_PATH_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct conf_options;

/* Fills un. Keep *folder (a descriptor, -1 none) open until bind() or
 * connect() is done, then close it. 0 or errno. */
int socket_path(const char *path, struct sockaddr_un *un, int *folder);

/* The name, outside of every folder, of the server that uid started with this
 * config file, ServerRoot, -D and -c, whatever the file says by now; returns
 * the address's length. Anybody may take such a name: whoever connects must
 * look who answers. */
socklen_t socket_path_of_config(const char *config, const struct conf_options *options, uid_t uid,
                                struct sockaddr_un *un);

/* Is the process that listened for this connection dead? A child of it, forked a moment
 * before, may hold its socket a moment longer. */
bool socket_peer_has_ended(int fd);

#endif
