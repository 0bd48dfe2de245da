/* SPDX-License-Identifier: Apache-2.0 */
/* An address holds 107 bytes of path, which a checkout in a deep folder
 * exceeds. A descriptor of the folder makes any path short. */
#include "master/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/conf.h"

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

/* FNV-1a, the end of the text included. */
static uint64_t hash_on(uint64_t hash, const char *text)
{
    do {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    } while (*text++ != '\0');
    return hash;
}

static uint64_t hash_list(uint64_t hash, const apr_array_header_t *list)
{
    for (int i = 0; list != NULL && i < list->nelts; i++) {
        const char *text = APR_ARRAY_IDX(list, i, const char *);

        /* How it was started is not which server it is. */
        if (strcmp(text, "FOREGROUND") != 0) {
            hash = hash_on(hash, text);
        }
    }
    return hash;
}

socklen_t socket_path_of_config(const char *config, const struct conf_options *options, uid_t uid,
                                struct sockaddr_un *un)
{
    uint64_t hash = hash_on(0xcbf29ce484222325u, config);
    int len;

    hash = hash_on(hash, options->server_root != NULL ? options->server_root : "");
    hash = hash_list(hash_list(hash, options->defines), options->directives);
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    /* A first byte of 0 makes it a name and not a path (unix(7)). */
    len = snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "instar-control-%u-%016" PRIx64,
                   (unsigned)uid, hash);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

bool socket_peer_has_ended(int fd)
{
    struct pollfd polled = { .events = POLLIN };
    struct ucred peer;
    socklen_t len = sizeof(peer);
    bool ended;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        return false;
    }
    polled.fd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
    if (polled.fd < 0) {
        return errno == ESRCH;
    }
    ended = poll(&polled, 1, 0) > 0;
    (void)close(polled.fd);
    return ended;
}
