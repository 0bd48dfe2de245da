/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that a service manager has opened and passed on: sd_listen_fds(3)'s
 * protocol, descriptors from 3 on, their number in LISTEN_FDS, names in
 * LISTEN_FDNAMES. A Listen whose address one of them has uses it; `Listen
 * systemd:NAME` uses all of that name. They are held for the master's life,
 * named by the config or not: their other owner holds them too, so closing
 * one would only leave its clients waiting. Their files are the manager's.
 */
#ifndef MASTER_ACTIVATION_H
#define MASTER_ACTIVATION_H

#include <stdbool.h>

#include "util/listener.h"

struct activated {
    struct listener listener; /* id 0: given where it is used */
    const char *name;         /* of LISTEN_FDNAMES; "" none */
    bool dual;                /* [::]: takes IPv4 as well */
};

/* Takes the sockets, and the variables out of the environment. What is no
 * listening stream socket is said and closed. Before the first fork. */
void activation_take_environment(void);

int activation_count(void);
const struct activated *activation_at(int i);
/* The one with l's address; a dual [::] is also 0.0.0.0 of its port. NULL none. */
const struct activated *activation_find(const struct listener *l);
/* The next one of that name at or behind *i, which is moved behind it; NULL none. */
const struct activated *activation_named(const char *name, int *i);
/* One that the binary before had. */
void activation_adopt(const struct listener *l, const char *name, bool dual);
/* The descriptor is one of them: closing it is not ours to do. */
bool activation_owns(int fd);

#endif
