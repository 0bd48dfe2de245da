/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/reopen.h"

#include <string.h>
#include <unistd.h>

bool ipc_reopen_add(struct ipc_reopen_out *out, const char *key, int fd)
{
    size_t len = strlen(key) + 1;

    if (out->head.count == IPC_REOPEN_FDS || len > sizeof(out->keys) - out->used) {
        return false;
    }
    memcpy(out->keys + out->used, key, len);
    out->used += len;
    out->fds[out->head.count++] = fd;
    return true;
}

apr_status_t ipc_reopen_send(int pair, uint64_t generation, const struct ipc_reopen_out *out)
{
    unsigned char payload[sizeof(out->head) + IPC_REOPEN_BYTES];

    memcpy(payload, &out->head, sizeof(out->head));
    memcpy(payload + sizeof(out->head), out->keys, out->used);
    return ipc_send(pair, generation, IPC_LOGS_REOPEN, payload, sizeof(out->head) + out->used,
                    out->fds, (int)out->head.count);
}

/* As many strings as descriptors, and nothing behind them. */
static bool is_well_formed(const struct ipc_message *m, const struct ipc_reopen *head)
{
    const char *at = (const char *)m->payload + sizeof(*head);
    const char *end = (const char *)m->payload + m->header.length;
    uint32_t strings = 0;

    for (; at < end; at++) {
        strings += *at == '\0';
    }
    return strings == head->count && (int)head->count == m->fd_count &&
           (strings == 0 || end[-1] == '\0');
}

bool ipc_reopen_each(struct ipc_message *m, struct ipc_reopen *head, ipc_reopen_fn take, void *ctx)
{
    const char *key = (const char *)m->payload + sizeof(*head);
    bool fine = m->header.length >= sizeof(*head);

    if (fine) {
        memcpy(head, m->payload, sizeof(*head));
        fine = is_well_formed(m, head);
    }
    for (int i = 0; i < m->fd_count; i++) {
        if (fine) {
            take(ctx, key, m->fds[i]);
            key += strlen(key) + 1;
        }
        (void)close(m->fds[i]);
    }
    m->fd_count = 0;
    return fine;
}
