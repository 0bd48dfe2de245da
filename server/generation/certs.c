/* SPDX-License-Identifier: Apache-2.0 */
#include "generation/certs.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "generation/stapler.h"
#include "ipc/ipc.h"
#include "tls/tls.h"
#include "util/bundle.h"
#include "util/log.h"

#define LOG_PART "generation"

/* The round that runs; one at a time, the master sees to that. */
static struct {
    apr_pool_t *pool; /* NULL: none runs */
    struct diags *diags;
    struct ipc_certs_done done;
    int fd;
} round_now;

static void tell(struct minding *m)
{
    int fd = memfd_create("instar-diags", MFD_CLOEXEC);

    if (fd < 0 || diags_write(round_now.diags, fd) != 0 ||
        !minding_tell_master(m, IPC_GEN_CERTS_DONE, &round_now.done, sizeof(round_now.done), fd)) {
        log_error("INS02250", "cannot tell the master what became of the certificates");
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static bool is_awaited(const struct minding *m)
{
    for (int i = 0; i < m->total; i++) {
        if (m->wards[i].owes_certs) {
            return true;
        }
    }
    return false;
}

static void end(struct minding *m)
{
    tell(m);
    bundle_wipe(round_now.fd);
    apr_pool_destroy(round_now.pool);
    memset(&round_now, 0, sizeof(round_now));
    for (int i = 0; i < m->total; i++) {
        m->wards[i].owes_certs = false;
    }
}

static void end_if_all_answered(struct minding *m)
{
    if (round_now.pool && !is_awaited(m)) {
        end(m);
    }
}

static void complain(const struct ward *w)
{
    diags_add(round_now.diags, DIAG_START, DIAG_WARNING, NULL, 0, 0,
              "worker %u could not take them; the error log has the reason", w->index);
}

static void ask_workers(struct minding *m)
{
    const struct ipc_certs order = { .number = round_now.done.number };

    for (int i = 0; i < m->total; i++) {
        struct ward *w = &m->wards[i];

        if (w->fd < 0) {
            continue;
        }
        w->owes_certs = ipc_send(w->fd, m->launch->number, IPC_CERTS, &order, sizeof(order),
                                 &round_now.fd, 1) == APR_SUCCESS;
        if (!w->owes_certs) {
            complain(w);
        }
    }
}

/* At once: nothing is served here. */
static bool renew(struct tls_app *app, int fd, struct tls_renewal *renewal)
{
    struct tls_renewing *renewing;

    *renewal = (struct tls_renewal){ 0 };
    if (!app) {
        return true;
    }
    renewing = tls_renew_begin(app, fd, round_now.diags);
    if (!renewing) {
        return false;
    }
    while (tls_renew_step(renewing)) {
    }
    return tls_renew_end(renewing, renewal);
}

void certs_take(struct minding *m, const struct ipc_certs *order, int fd)
{
    struct tls_renewal renewal;

    if (round_now.pool) {
        end(m); /* given up by the master */
    }
    round_now.fd = fd;
    round_now.done = (struct ipc_certs_done){ .number = order->number };
    (void)apr_pool_create(&round_now.pool, m->app->pool);
    round_now.diags = diags_create(round_now.pool);
    if (renew(m->app->tls, fd, &renewal)) {
        round_now.done.ok = 1;
        round_now.done.renewed = renewal.renewed;
        round_now.done.unchanged = renewal.unchanged;
        ask_workers(m);
        if (renewal.renewed > 0) {
            stapler_renew(m);
        }
    }
    end_if_all_answered(m);
}

void certs_answered(struct minding *m, struct ward *w, const struct ipc_certs_taken *taken)
{
    if (!round_now.pool || !w->owes_certs || taken->number != round_now.done.number) {
        return;
    }
    w->owes_certs = false;
    if (taken->ok == 1) {
        round_now.done.workers++;
    }
    else {
        complain(w);
    }
    end_if_all_answered(m);
}

void certs_ward_gone(struct minding *m, struct ward *w)
{
    if (w->owes_certs) {
        w->owes_certs = false;
        end_if_all_answered(m);
    }
}
