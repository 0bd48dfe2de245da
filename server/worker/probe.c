/* SPDX-License-Identifier: Apache-2.0 */
/* A probe of the master's: a connection of the first listener's that nobody has
 * accepted. It is plain also where that listener speaks TLS, and comes from loopback. */
#include <netinet/in.h>
#include <unistd.h>

#include "worker/state.h"

void probe_adopt(struct worker *w, int fd)
{
    const struct sockaddr_in peer = { .sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct conn *c = NULL;

    if (w->start.listeners->count > 0) {
        c = conn_open_plain(w, fd, 0, (const struct sockaddr *)&peer, sizeof(peer));
    }
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->can_read = true;
    loop_ready(w, c);
}
