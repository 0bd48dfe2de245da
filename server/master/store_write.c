/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing with fsync takes as long as the disk wants, and the master has other
 * things to do: a child does it. What was asked for meanwhile is the next
 * child's, so that the order on the disk is the order in which it was asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "master/folders.h"
#include "master/store_state.h"
#include "util/check.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "master"

enum { WAIT_MS = 3000, WAIT_STEP_MS = 5 };

void store_write(struct store *store, const char *name, const char *body, size_t length,
                 apr_pool_t *pool)
{
    struct store_bytes sealed = store_seal(store->sum, body, length, pool);
    struct pending *pending = calloc(1, sizeof(*pending) + sealed.length);

    INS_CHECK(pending != NULL);
    (void)snprintf(pending->name, sizeof(pending->name), "%s", name);
    memcpy(pending->bytes, sealed.at, sealed.length);
    pending->length = sealed.length;
    *store->pending_end = pending;
    store->pending_end = &pending->next;
}

/* 0 or errno. Only root may read what is in a config. */
static int write_pending(const struct store *store)
{
    int error = folder_make(store->folder), fd;

    if (error != 0) {
        return error;
    }
    fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    for (const struct pending *p = store->pending; p != NULL && error == 0; p = p->next) {
        error = store_file_write(fd, p->name, p->bytes, p->length);
    }
    if (error == 0 && fsync(fd) != 0) {
        error = errno;
    }
    (void)close(fd);
    return error;
}

static void drop_pending(struct store *store, int count)
{
    while (count-- > 0 && store->pending != NULL) {
        struct pending *pending = store->pending;

        store->pending = pending->next;
        free(pending);
    }
    if (store->pending == NULL) {
        store->pending_end = &store->pending;
    }
}

static void add_history(struct store *store)
{
    apr_pool_t *pool;
    struct store_bytes bytes;

    if (!store->history_changed) {
        return;
    }
    store->history_changed = false;
    INS_CHECK(apr_pool_create(&pool, store->pool) == APR_SUCCESS);
    bytes = history_pack(store, pool);
    store_write(store, "history", bytes.at, bytes.length, pool);
    apr_pool_destroy(pool);
}

static int count_pending(const struct store *store)
{
    int count = 0;

    for (const struct pending *p = store->pending; p != NULL; p = p->next) {
        count++;
    }
    return count;
}

static void judge(struct store *store, int error)
{
    if (error != 0) {
        log_error("INS01150",
                  "%s: what serves could not be written down: %s; it cannot be rolled back to "
                  "once this server has ended",
                  store->folder, strerror(error));
    }
}

/* Dies with the master: the next one may write here too. */
__attribute__((noreturn)) static void be_writer(const struct store *store, pid_t master)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(getppid() == master ? write_pending(store) : EINTR);
}

void store_flush(struct store *store)
{
    pid_t master = getpid();

    if (store->writer != 0) {
        return;
    }
    add_history(store);
    store->written = count_pending(store);
    if (store->written == 0) {
        return;
    }
    store->writer = fork_role("instar: keeper", NULL, 0, true);
    if (store->writer == 0) {
        be_writer(store, master);
    }
    if (store->writer < 0) {
        store->writer = 0;
        judge(store, write_pending(store));
        drop_pending(store, store->written);
    }
}

bool store_is_at_rest(const struct master *m)
{
    return m->store == NULL || (m->store->writer == 0 && m->store->pending == NULL);
}

bool store_writer_exited(struct master *m, pid_t pid, int status)
{
    struct store *store = m->store;

    if (store == NULL || pid <= 0 || store->writer != pid) {
        return false;
    }
    store->writer = 0;
    judge(store, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
    drop_pending(store, store->written);
    store_flush(store);
    return true;
}

/* The child may hang on its disk; the server's end does not. */
static void wait_for_writer(struct store *store)
{
    const struct timespec pause = { 0, WAIT_STEP_MS * 1000000L };
    int status = 0;

    for (int waited = 0; store->writer > 0 && waited < WAIT_MS; waited += WAIT_STEP_MS) {
        if (waitpid(store->writer, &status, WNOHANG) != 0) {
            drop_pending(store, store->written);
            store->writer = 0;
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
}

void store_finish_writing(struct store *store)
{
    wait_for_writer(store);
    if (store->writer == 0) {
        add_history(store);
        if (store->pending != NULL) {
            judge(store, write_pending(store));
        }
    }
    drop_pending(store, count_pending(store));
}
