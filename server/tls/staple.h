/* SPDX-License-Identifier: Apache-2.0 */
/* Stapled OCSP responses: what is known of a certificate, shared by the part that staples
 * (staple.c, in workers) and the part that fetches (staple_fetch.c, in a process of its own). */
#ifndef TLS_STAPLE_H
#define TLS_STAPLE_H

#include "tls/tls_internal.h"
#include "util/staple_board.h"

/* Hangs on the server's own certificate and goes with it. */
struct staple {
    struct ssl_stapling settings; /* with all defaults */
    char *file, *url;
    X509 *issuer;
    uint64_t tag;
    int slot;
};

/* NULL: nothing is stapled to this one. */
struct staple *staple_of(const X509 *certificate);

#endif
