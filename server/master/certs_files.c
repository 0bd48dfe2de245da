/* SPDX-License-Identifier: Apache-2.0 */
/* Which files certificates and keys are in. The config says it, never a child: what the master
 * reads as root must not be another's choice. */
#include <apr_hash.h>

#include "config/conf.h"
#include "master/certs.h"

/* Of whose meaning the master knows nothing else. */
static const char *const directives[] = { "SSLCertificateFile", "SSLCertificateKeyFile",
                                          "SSLCACertificateFile", "SSLSessionTicketKeyFile" };

struct search {
    const struct conf *conf;
    apr_pool_t *pool;
    apr_array_header_t *found;
    apr_hash_t *seen;
};

static bool names_a_file(const struct conf_node *node)
{
    for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
        if (conf_is(node, directives[i])) {
            return node->argc == 1 && node->argv[0][0] != '\0';
        }
    }
    return false;
}

static void add(struct search *s, const char *argument)
{
    const char *path = conf_path(s->conf, argument, s->pool);

    if (apr_hash_get(s->seen, path, APR_HASH_KEY_STRING) == NULL) {
        apr_hash_set(s->seen, path, APR_HASH_KEY_STRING, path);
        APR_ARRAY_PUSH(s->found, const char *) = path;
    }
}

static void walk(struct search *s, const struct conf_node *first)
{
    for (const struct conf_node *node = first; node != NULL; node = node->next) {
        if (node->container) {
            walk(s, node->children);
        }
        else if (names_a_file(node)) {
            add(s, node->argv[0]);
        }
    }
}

apr_array_header_t *certs_files(const struct conf *conf, apr_pool_t *pool)
{
    struct search s = { .conf = conf,
                        .pool = pool,
                        .found = apr_array_make(pool, 8, sizeof(const char *)),
                        .seen = apr_hash_make(pool) };

    walk(&s, conf->root->children);
    return s.found;
}
