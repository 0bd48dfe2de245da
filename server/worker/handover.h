/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handover on the wire: CONN_OFFER carries records, then their unread
 * bytes in the same order, with one descriptor a record; CONN_TAKEN says which of them
 * the receiver has adopted. The sender keeps each connection until then.
 */
#ifndef WORKER_HANDOVER_H
#define WORKER_HANDOVER_H

#include <stdint.h>

#include "worker/record.h"

enum {
    OFFER_MAX = 64,              /* connections a message */
    OFFER_UNREAD_MAX = 64 * 1024 /* unread bytes a message */
};

struct offer_header {
    uint64_t number; /* the answer names it */
    uint32_t count;
    uint32_t record_size;
};

struct offer_answer {
    uint64_t number;
    uint64_t taken; /* bit n: record n was adopted */
};

#endif
