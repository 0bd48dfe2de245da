/* SPDX-License-Identifier: Apache-2.0 */
/* Renewed certificates, for the connections that come from here on; one context a turn of the
 * loop, so that nobody waits for a thousand of them. The generation's process has judged the same
 * bytes already. */
#include <stdlib.h>
#include <unistd.h>

#include "util/diag.h"
#include "util/log.h"
#include "worker/state.h"

#define LOG_PART "worker"

struct worker_renewal {
    uint64_t number;
    apr_pool_t *pool;
    struct diags *diags;
    struct tls_renewing *renewing;
};

static void answer(struct worker *w, uint64_t number, bool ok)
{
    const struct ipc_certs_taken taken = { .number = number, .ok = ok ? 1 : 0 };

    (void)ipc_send(w->start.generation_fd, w->start.generation, IPC_CERTS_TAKEN, &taken,
                   sizeof(taken), NULL, 0);
}

static void end(struct worker *w)
{
    struct worker_renewal *r = w->renewal;
    struct tls_renewal unused;
    bool ok = r->renewing && tls_renew_end(r->renewing, &unused);

    for (const struct diag *d = r->diags->first; d && !ok; d = d->next) {
        log_error("INS02251", "a renewed certificate is not taken: %s", d->message);
    }
    answer(w, r->number, ok);
    apr_pool_destroy(r->pool);
    w->renewal = NULL;
}

void certs_turn(struct worker *w)
{
    if (!w->renewal->renewing || !tls_renew_step(w->renewal->renewing)) {
        end(w);
    }
}

void worker_take_certs(struct worker *w, const struct ipc_certs *order, int fd)
{
    apr_pool_t *pool;

    if (w->renewal) {
        end(w); /* given up by the generation */
    }
    if (!w->tls || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        answer(w, order->number, !w->tls);
    }
    else {
        w->renewal = apr_pcalloc(pool, sizeof(*w->renewal));
        w->renewal->number = order->number;
        w->renewal->pool = pool;
        w->renewal->diags = diags_create(pool);
        w->renewal->renewing = tls_renew_begin(w->tls, fd, w->renewal->diags);
    }
    (void)close(fd);
}
