/* SPDX-License-Identifier: Apache-2.0 */
/* Renewed certificates, for the connections that come from here on. The generation's process has
 * judged the same bytes already. */
#include <unistd.h>

#include "util/diag.h"
#include "util/log.h"
#include "worker/state.h"

#define LOG_PART "worker"

void worker_take_certs(struct worker *w, const struct ipc_certs *order, int fd)
{
    struct ipc_certs_taken taken = { .number = order->number };
    struct tls_renewal renewal;
    struct diags *diags;
    apr_pool_t *pool;

    if (apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        (void)close(fd);
        return;
    }
    diags = diags_create(pool);
    taken.ok = tls_renew(w->tls, fd, &renewal, diags) ? 1 : 0;
    for (const struct diag *d = diags->first; d && !taken.ok; d = d->next) {
        log_error("INS02251", "a renewed certificate is not taken: %s", d->message);
    }
    (void)close(fd);
    apr_pool_destroy(pool);
    (void)ipc_send(w->start.generation_fd, w->start.generation, IPC_CERTS_TAKEN, &taken,
                   sizeof(taken), NULL, 0);
}
