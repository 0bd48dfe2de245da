/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSLPolicy: what a server speaks, in one word, after Mozilla's guideline. What a
 * directive of the same server sets by itself counts more than its policy.
 */
#include "tls/tls_internal.h"

#include <strings.h>

#include <apr_strings.h>

/* Forward secrecy and authenticated encryption alone. Without finite field Diffie-Hellman, which
 * the guideline still lists: it costs the server most, and no client needs it that has not
 * elliptic curves. */
const char ssl_default_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                   "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                   "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/* Level 0: TLS before 1.2 signs by SHA-1. */
static const char old_ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:"
    "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:"
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA:"
    "DES-CBC3-SHA:@SECLEVEL=0";

/* Not changed by SNI (SSL_set_SSL_CTX() leaves them alone), so the same for all. */
const char ssl_groups[] = "X25519:P-256:P-384";

static const struct ssl_policy policies[] = {
    { "modern", PROTOCOL_TLS1_3, ssl_default_ciphers, false },
    { "intermediate", PROTOCOL_TLS1_2 | PROTOCOL_TLS1_3, ssl_default_ciphers, false },
    { "old", PROTOCOL_TLS1 | PROTOCOL_TLS1_1 | PROTOCOL_TLS1_2 | PROTOCOL_TLS1_3, old_ciphers,
      true },
};
enum { POLICIES = sizeof(policies) / sizeof(policies[0]), POLICY_DEFAULT = 1 };

const char *ssl_set_policy(ins_cmd *cmd, void *conf, const char *arg)
{
    struct ssl_server_conf *c = conf;

    for (int i = 0; i < POLICIES; i++) {
        if (strcasecmp(arg, policies[i].name) == 0) {
            c->policy = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "\"%s\" is none of modern, intermediate, old", arg);
}

struct ssl_policy ssl_policy_of(const struct ssl_server_conf *conf)
{
    struct ssl_policy policy = policies[conf->policy == UNSET ? POLICY_DEFAULT : conf->policy];

    if (conf->protocols != UNSET) {
        policy.protocols = conf->protocols;
    }
    if (conf->ciphers) {
        policy.ciphers = conf->ciphers;
    }
    if (conf->honor_cipher_order != UNSET) {
        policy.honor_order = conf->honor_cipher_order == 1;
    }
    return policy;
}
