/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving half of a handover. */
#ifndef WORKER_ADOPT_H
#define WORKER_ADOPT_H

#include <stdbool.h>

#include "worker/state.h"

/* Adopts what it can of an offer and answers it. complete is false where
 * descriptors were lost on the way: then nothing is adopted. All descriptors
 * of the message are taken care of, secrets in it wiped. */
void adopt_offer(struct worker *w, int answer_to, struct ipc_message *m, bool complete);

#endif
