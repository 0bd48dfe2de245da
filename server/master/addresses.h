/* SPDX-License-Identifier: Apache-2.0 */
/* Listen's host and port as socket addresses. */
#ifndef MASTER_ADDRESSES_H
#define MASTER_ADDRESSES_H

#include <stdbool.h>

#include "util/listener.h"

enum { ADDRESSES_MAX = 16 };

/* Fills out (addr, addr_len, name) with up to ADDRESSES_MAX addresses; returns
 * how many, or -1 with words in *why. "*" is both wildcards, IPv4 first. */
int addresses_resolve(const char *host, int port, struct listener out[ADDRESSES_MAX],
                      const char **why);
bool addresses_equal(const struct listener *a, const struct listener *b);
bool address_is_wildcard(const struct listener *l);
/* 0.0.0.0 and [::] of one port. */
bool address_is_other_wildcard(const struct listener *a, const struct listener *b);
/* Fills in the name that belongs to addr; false where the family is none of ours. */
bool address_describe(struct listener *l);
/* Same family and port, and a's address is any address: what comes to b would
 * come to a if b were closed. */
bool address_covers(const struct listener *a, const struct listener *b);
/* The kernel would refuse to bind both without SO_REUSEPORT. */
bool addresses_collide(const struct listener *a, const struct listener *b);

#endif
