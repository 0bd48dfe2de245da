/* SPDX-License-Identifier: Apache-2.0 */
/* LOGS_REOPEN, read and written. */
#ifndef IPC_REOPEN_H
#define IPC_REOPEN_H

#include <stdbool.h>

#include "ipc/ipc.h"

enum { IPC_REOPEN_FDS = 64, IPC_REOPEN_BYTES = 32 * 1024 };

struct ipc_reopen_out {
    struct ipc_reopen head;
    char keys[IPC_REOPEN_BYTES];
    size_t used;
    int fds[IPC_REOPEN_FDS];
};

/* False: it is full. The descriptor stays the caller's. */
bool ipc_reopen_add(struct ipc_reopen_out *out, const char *key, int fd);
apr_status_t ipc_reopen_send(int pair, uint64_t generation, const struct ipc_reopen_out *out);

typedef void (*ipc_reopen_fn)(void *ctx, const char *key, int fd);
/* Calls take for each file of a received message, then closes the descriptors. False: it is
 * malformed, and nothing was called. */
bool ipc_reopen_each(struct ipc_message *m, struct ipc_reopen *head, ipc_reopen_fn take, void *ctx);

#endif
