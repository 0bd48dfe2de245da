/* SPDX-License-Identifier: Apache-2.0 */
/* Renewed certificates: this process judges and takes them first, since it is what workers are
 * forked from; then the living workers do; then the master hears of it. */
#ifndef GENERATION_CERTS_H
#define GENERATION_CERTS_H

#include "generation/minding.h"
#include "ipc/messages.h"

/* From the master; takes the descriptor over. */
void certs_take(struct minding *m, const struct ipc_certs *order, int fd);
/* A worker has answered, or is gone. */
void certs_answered(struct minding *m, struct ward *w, const struct ipc_certs_taken *taken);
void certs_ward_gone(struct minding *m, struct ward *w);

#endif
