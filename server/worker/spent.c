/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on the worker as a whole. It knows best what it uses: another process may not be
 * allowed to look. It says so once and serves on; when it goes is the generation's business. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"
#include "worker/state.h"

#define LOG_PART "worker"

enum { MEMORY_EVERY_MS = 1000, STATUS_BYTES = 4096 };

bool spent_tell(struct worker *w, uint32_t reason)
{
    const struct ipc_spent spent = { .reason = reason };

    /* Where the queue is full it is said again at the next occasion. */
    if (w->draining || w->start.generation_fd < 0 || (w->watch.asked >> reason & 1) != 0 ||
        ipc_send(w->start.generation_fd, w->start.generation, IPC_WORKER_SPENT, &spent,
                 sizeof(spent), NULL, 0) != APR_SUCCESS) {
        return false;
    }
    w->watch.asked |= 1u << reason;
    return true;
}

void spent_accepted(struct worker *w)
{
    w->watch.accepted++;
    if (w->start.accepts_max > 0 && w->watch.accepted >= (uint64_t)w->start.accepts_max &&
        spent_tell(w, IPC_SPENT_CONNECTIONS)) {
        log_info("INS02358", "%" PRIu64 " connections were accepted here: MaxConnectionsPerWorker",
                 w->watch.accepted);
    }
}

/* ---- Memory ------------------------------------------------------------- */

/* Bytes of "\nNAME:   123 kB"; 0 where there is no such line. */
static int64_t field(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    return at != NULL ? strtoll(at + strlen(name), NULL, 10) * 1024 : 0;
}

/* What no file holds, in memory or swapped out: what code has asked for. The kernel keeps these
 * counts, so that reading them costs the same however much it is. -1: cannot be read. */
static int64_t used_memory(void)
{
    char status[STATUS_BYTES];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, status, sizeof(status) - 1) : -1;

    if (fd >= 0) {
        (void)close(fd);
    }
    if (n <= 0) {
        return -1;
    }
    status[n] = '\0';
    return field(status, "\nRssAnon:") + field(status, "\nVmSwap:");
}

void spent_look(struct worker *w)
{
    int64_t used;

    if (w->start.memory_limit == 0 || w->now < w->watch.memory_due || w->draining ||
        (w->watch.asked >> IPC_SPENT_MEMORY & 1) != 0) {
        return;
    }
    w->watch.memory_due = w->now + MEMORY_EVERY_MS;
    used = used_memory();
    if (used < 0) {
        log_warning("INS02359",
                    "/proc/self/status cannot be read (errno %d): WorkerMemoryLimit has no effect",
                    errno);
        w->watch.memory_due = INT64_MAX;
    }
    else if (used > w->start.memory_limit && spent_tell(w, IPC_SPENT_MEMORY)) {
        log_notice("INS02360",
                   "%" PRId64 " KB of memory are used here, WorkerMemoryLimit is %" PRId64 " KB",
                   used / 1024, w->start.memory_limit / 1024);
    }
}
