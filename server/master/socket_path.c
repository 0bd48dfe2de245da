/* SPDX-License-Identifier: Apache-2.0 */
/* An address holds 107 bytes of path, which a checkout in a deep folder
 * exceeds. A descriptor of the folder makes any path short. */
#include "master/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int socket_path(const char *path, struct sockaddr_un *un, int *folder)
{
    const char *name = strrchr(path, '/');
    char parent[PATH_MAX];
    int n;

    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    *folder = -1;
    if (strlen(path) < sizeof(un->sun_path)) {
        memcpy(un->sun_path, path, strlen(path));
        return 0;
    }
    if (name == NULL || name - path >= PATH_MAX) {
        return ENAMETOOLONG;
    }
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
    *folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) {
        return errno;
    }
    n = snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%d/%s", *folder, name + 1);
    if (n >= (int)sizeof(un->sun_path)) {
        (void)close(*folder);
        *folder = -1;
        return ENAMETOOLONG;
    }
    return 0;
}
