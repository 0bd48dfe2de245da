/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing with fsync takes as long as the disk wants, and the master has other
 * things to do: a child does it. What was asked for meanwhile is the next
 * child's, so that the order on the disk is the order in which it was asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

/* The folder, locked for writing if nobody else writes there; -1 with errno. */
static int open_folder(const struct store *store)
{
    int error = folder_make(store->folder), fd;

    if (error != 0) {
        errno = error;
        return -1;
    }
    fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)flock(fd, LOCK_EX | LOCK_NB);
    }
    return fd;
}

/* 0 or errno. A child of a master that was killed may still be at it: its turn comes first. */
static int write_pending(const struct store *store, int fd)
{
    int error = 0;

    if (flock(fd, LOCK_EX) != 0) {
        return errno;
    }
    for (const struct pending *p = store->pending; p != NULL && error == 0; p = p->next) {
        error = store_file_write(fd, p->name, p->bytes, p->length);
    }
    if (error == 0 && fsync(fd) != 0) {
        error = errno;
    }
    return error;
}

/* The same, here and now. */
static int write_now(const struct store *store)
{
    int fd = open_folder(store);
    int error = fd < 0 ? errno : write_pending(store, fd);

    if (fd >= 0) {
        (void)close(fd);
    }
    return error;
}

void store_wait_for_writer(const struct store *store)
{
    const struct timespec pause = { 0, WAIT_STEP_MS * 1000000L };
    int fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int waited = 0; fd >= 0 && waited < WAIT_MS; waited += WAIT_STEP_MS) {
        if (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
            break;
        }
        (void)nanosleep(&pause, NULL);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
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

/* Is it that manifest's file, or its text's? */
static bool is_of(const struct pending *pending, const struct kept *kept)
{
    char name[STORE_NAME];

    (void)snprintf(name, sizeof(name), "%" PRIu64 ".manifest", kept->number);
    return strcmp(pending->name, name) == 0 ||
           strncmp(pending->name, kept->text, strlen(kept->text)) == 0;
}

/* What is not on the disk is not kept: what serves next is written in full again. */
static void forget_unwritten(struct store *store)
{
    const struct pending *pending = store->pending;

    for (int i = 0; i < store->written && pending != NULL; i++, pending = pending->next) {
        struct kept **at = &store->kept;

        while (*at != NULL) {
            struct kept *kept = *at;

            if (is_of(pending, kept)) {
                *at = kept->next;
                kept_free(kept);
            }
            else {
                at = &kept->next;
            }
        }
    }
}

/* Of the first ones that are pending; they are done with. */
static void judge(struct store *store, int error)
{
    if (error != 0) {
        log_error("INS01150",
                  "%s: what serves could not be written down: %s; it cannot be rolled back to",
                  store->folder, strerror(error));
        forget_unwritten(store);
    }
    drop_pending(store, store->written);
    store->written = 0;
}

/* It outlives a master that is killed: the lock goes with the descriptor, and the next
 * master waits for it. */
static pid_t start_writer(struct store *store)
{
    int fd = open_folder(store);
    pid_t pid = fd >= 0 ? fork_role("instar: keeper", &fd, 1, true) : -1;

    if (pid == 0) {
        _exit(write_pending(store, fd));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return pid;
}

void store_flush(struct store *store)
{
    if (store->writer != 0) {
        return;
    }
    add_history(store);
    store->written = count_pending(store);
    if (store->written == 0) {
        return;
    }
    store->writer = start_writer(store);
    if (store->writer < 0) {
        store->writer = 0;
        judge(store, write_now(store));
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
    store_flush(store);
    return true;
}

/* The child may hang on its disk; the server's end does not. */
static void wait_for_child(struct store *store)
{
    const struct timespec pause = { 0, WAIT_STEP_MS * 1000000L };
    int status = 0;

    for (int waited = 0; store->writer > 0 && waited < WAIT_MS; waited += WAIT_STEP_MS) {
        if (waitpid(store->writer, &status, WNOHANG) != 0) {
            store->writer = 0;
            judge(store, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
}

void store_finish_writing(struct store *store)
{
    wait_for_child(store);
    if (store->writer == 0) {
        add_history(store);
        store->written = count_pending(store);
        if (store->written > 0) {
            judge(store, write_now(store));
        }
    }
    drop_pending(store, count_pending(store));
}
