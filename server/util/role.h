/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork_role(): the one way in which the server forks a process that does not
 * exec at once. The child keeps the descriptors 0-2 and those named; all
 * others are closed (so a closed pair tells each side that the other is gone),
 * signals are reset to default and unblocked, it leads its own process group (away
 * from the terminal's), and dies by _exit() alone.
 */
#ifndef UTIL_ROLE_H
#define UTIL_ROLE_H

#include <stdbool.h>
#include <sys/types.h>

/* As fork(): 0 in the child, the pid in the parent, -1 with errno. name shows in ps and
 * top ("instar: worker 7.0"). keep may hold -1 entries. own_group false leaves
 * the child in its parent's process group (workers stay in their generation's,
 * so that one kill reaches a whole generation). Single-threaded callers alone. */
pid_t fork_role(const char *name, const int *keep, int count, bool own_group);
/* Remember argv's memory for the names; once, at main's start, before anybody
 * keeps a pointer into it: argv's and environ's entries become copies. */
void role_init(int argc, char **argv);
void role_set_name(const char *name);

/* The supplementary groups alone: user's (NULL: gid alone). 0 or errno. */
int role_set_groups(gid_t gid, const char *user);
/* Give up root for good: user's groups (user NULL: gid alone), gid, uid,
 * no_new_privs; dumpable again if cores are wanted (RLIMIT_CORE is not 0). 0 or
 * errno. Where not root, only no_new_privs. */
int role_drop_privileges(uid_t uid, gid_t gid, const char *user);

#endif
