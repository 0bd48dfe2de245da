/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys renewed in a process that serves. Everything is made aside, one context a
 * step, since making a thousand takes a while; only when all of it is sound does it
 * take the place of the old, at once and on the loop's thread. A connection has its own reference
 * to the context that it began with.
 */
#include "tls/tls_internal.h"

#include <string.h>

struct tls_renewing {
    struct tls_app *app;
    struct diags *diags;
    struct bundle bundle;
    struct tls_context *fresh; /* by the old ones' index; unchanged ones stay empty */
    int next;
    bool ok;
};

struct tls_renewing *tls_renew_begin(struct tls_app *app, int bundle_fd, struct diags *diags)
{
    struct tls_renewing *r = apr_pcalloc(diags->pool, sizeof(*r));
    int error = bundle_read(&r->bundle, bundle_fd);

    if (error != 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the certificates' bytes did not arrive: %s", strerror(error));
        return NULL;
    }
    r->app = app;
    r->diags = diags;
    r->ok = true;
    r->fresh = apr_pcalloc(diags->pool, sizeof(*r->fresh) * ((size_t)app->contexts->nelts + 1));
    return r;
}

static bool has_changed(struct tls_app *app, const struct tls_context *context, apr_pool_t *pool)
{
    unsigned char digest[TLS_DIGEST];

    return !tls_files_hash(app, context->conf, digest, pool) ||
           memcmp(digest, context->digest, sizeof(digest)) != 0;
}

bool tls_renew_step(struct tls_renewing *r)
{
    struct tls_app *app = r->app;
    struct tls_context *old, *fresh;

    if (r->next == app->contexts->nelts) {
        return false;
    }
    old = APR_ARRAY_IDX(app->contexts, r->next, struct tls_context *);
    fresh = &r->fresh[r->next++];
    app->bundle = &r->bundle;
    if (has_changed(app, old, r->diags->pool)) {
        *fresh = *old;
        r->ok = context_build(app, fresh, old, r->diags) && r->ok;
    }
    app->bundle = NULL;
    return true;
}

static void put_in_place(struct tls_renewing *r, struct tls_renewal *renewal)
{
    for (int i = 0; i < r->app->contexts->nelts; i++) {
        struct tls_context *old = APR_ARRAY_IDX(r->app->contexts, i, struct tls_context *);
        struct tls_context *fresh = &r->fresh[i], gone = *old;

        if (!fresh->ctx) {
            renewal->unchanged++;
            continue;
        }
        /* the rest is as it was, and other threads read it */
        old->ctx = fresh->ctx;
        old->ticket_files = fresh->ticket_files;
        old->stapled = fresh->stapled;
        memcpy(old->digest, fresh->digest, sizeof(old->digest));
        context_empty(&gone);
        renewal->renewed++;
    }
}

bool tls_renew_end(struct tls_renewing *r, struct tls_renewal *renewal)
{
    bool ok = r->ok && r->next == r->app->contexts->nelts;

    *renewal = (struct tls_renewal){ 0 };
    if (ok) {
        put_in_place(r, renewal);
    }
    for (int i = 0; !ok && i < r->next; i++) {
        context_empty(&r->fresh[i]);
    }
    bundle_free(&r->bundle);
    return ok;
}
