/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys renewed in a process that serves. Everything is made aside first; only
 * when all of it is sound does it take the place of the old, in one step and on the
 * loop's thread. A connection has its own reference to the context that it began
 * with.
 */
#include "tls/tls_internal.h"

#include <string.h>

static bool has_changed(struct tls_app *app, const struct tls_context *context, apr_pool_t *pool)
{
    unsigned char digest[TLS_DIGEST];

    return !tls_files_hash(app, context->conf, digest, pool) ||
           memcmp(digest, context->digest, sizeof(digest)) != 0;
}

/* The new contexts by the old ones' index; unchanged ones stay empty. False where one cannot be
 * made: the rest is tried for what it says. */
static bool build_all(struct tls_app *app, struct tls_context *fresh, struct diags *diags)
{
    bool ok = true;

    for (int i = 0; i < app->contexts->nelts; i++) {
        struct tls_context *old = APR_ARRAY_IDX(app->contexts, i, struct tls_context *);

        if (has_changed(app, old, diags->pool)) {
            fresh[i] = *old;
            ok = context_build(app, &fresh[i], old, diags) && ok;
        }
    }
    return ok;
}

static void put_in_place(struct tls_app *app, struct tls_context *fresh,
                         struct tls_renewal *renewal)
{
    for (int i = 0; i < app->contexts->nelts; i++) {
        struct tls_context *old = APR_ARRAY_IDX(app->contexts, i, struct tls_context *);
        struct tls_context gone = *old;

        if (!fresh[i].ctx) {
            renewal->unchanged++;
            continue;
        }
        /* the rest is as it was, and other threads read it */
        old->ctx = fresh[i].ctx;
        old->ticket_files = fresh[i].ticket_files;
        old->stapled = fresh[i].stapled;
        memcpy(old->digest, fresh[i].digest, sizeof(old->digest));
        context_empty(&gone);
        renewal->renewed++;
    }
}

static bool renew(struct tls_app *app, struct tls_renewal *renewal, struct diags *diags)
{
    int count = app->contexts->nelts;
    struct tls_context *fresh = apr_pcalloc(diags->pool, sizeof(*fresh) * ((size_t)count + 1));
    bool ok = build_all(app, fresh, diags);

    if (ok) {
        put_in_place(app, fresh, renewal);
        return true;
    }
    for (int i = 0; i < count; i++) {
        context_empty(&fresh[i]);
    }
    return false;
}

bool tls_renew(struct tls_app *app, int bundle_fd, struct tls_renewal *renewal, struct diags *diags)
{
    struct bundle bundle;
    int error;
    bool ok;

    *renewal = (struct tls_renewal){ 0 };
    if (!app) {
        return true;
    }
    error = bundle_read(&bundle, bundle_fd);
    if (error != 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the certificates' bytes did not arrive: %s", strerror(error));
        return false;
    }
    app->bundle = &bundle;
    ok = renew(app, renewal, diags);
    app->bundle = NULL;
    bundle_free(&bundle);
    return ok;
}
