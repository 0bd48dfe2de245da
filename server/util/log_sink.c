/* SPDX-License-Identifier: Apache-2.0 */
/* Writing whole lines or nothing of them, whatever the other end is like. */
#include "util/log_sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCKS = 64,
    MEND_BYTES = 64 * 1024, /* how far back a line's beginning is looked for */
    MEND_BLOCK = 4096,
    SYSLOG_HEAD = 128,
    FACILITY_SHIFT = 3
};

static pthread_mutex_t *locks; /* LOCKS of them, shared by all processes */
static _Atomic uint64_t *losses;

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Making ------------------------------------------------------------- */

static unsigned lock_of(const char *name)
{
    unsigned hash = 5381;

    while (*name) {
        hash = hash * 33 + (unsigned char)*name++;
    }
    return hash % LOCKS;
}

static enum sink_kind kind_of(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return SINK_FILE;
    }
    return S_ISFIFO(st.st_mode) ? SINK_PIPE : S_ISSOCK(st.st_mode) ? SINK_SOCKET : SINK_FILE;
}

void sink_init(struct log_sink *sink, const char *name, int fd)
{
    memset(sink, 0, sizeof(*sink));
    sink->name = name;
    sink->fd = fd;
    sink->kind = kind_of(fd);
    sink->lock = lock_of(name);
}

void sink_init_syslog(struct log_sink *sink, const char *name, int fd,
                      const struct sink_syslog *syslog)
{
    memset(sink, 0, sizeof(*sink));
    sink->name = name;
    sink->fd = fd;
    sink->kind = SINK_SYSLOG;
    sink->syslog = *syslog;
}

size_t sink_line_max(const struct log_sink *sink)
{
    switch (sink->kind) {
    case SINK_PIPE:
        return SINK_PIPE_LINE;
    case SINK_SYSLOG:
        return SINK_SYSLOG_LINE;
    case SINK_FILE:
    case SINK_SOCKET:
        break;
    }
    return SIZE_MAX;
}

int sink_make_locks(void)
{
    pthread_mutexattr_t attr;
    pthread_mutex_t *made = mmap(NULL, LOCKS * sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (made == MAP_FAILED) {
        return errno;
    }
    (void)pthread_mutexattr_init(&attr);
    (void)pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&made[i], &attr);
    }
    (void)pthread_mutexattr_destroy(&attr);
    locks = made;
    return 0;
}

/* ---- Files -------------------------------------------------------------- */

/* Where the last line ends, -1: it cannot be found here. */
static off_t last_end(int fd, off_t size)
{
    char block[MEND_BLOCK];
    off_t end = size;

    while (end > 0 && size - end < MEND_BYTES) {
        size_t n = end < MEND_BLOCK ? (size_t)end : MEND_BLOCK;
        const char *newline;

        if (pread(fd, block, n, end - (off_t)n) != (ssize_t)n) {
            return -1;
        }
        newline = memrchr(block, '\n', n);
        end -= (off_t)n;
        if (newline) {
            return end + (newline - block) + 1;
        }
    }
    return end > 0 ? -1 : 0;
}

/* Cuts off what stands behind the last newline. False: it cannot be done here. */
static bool mend(int fd)
{
    struct stat st;
    off_t end;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    end = last_end(fd, st.st_size);
    return end == st.st_size || (end >= 0 && ftruncate(fd, end) == 0);
}

/* Whoever held it may have died in the middle of a line. */
static bool lock(struct log_sink *sink)
{
    struct timespec until;
    int rv;

    if (locks == NULL) {
        return false;
    }
    rv = pthread_mutex_trylock(&locks[sink->lock]);
    if (rv == EBUSY) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += SINK_LOCK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        rv = pthread_mutex_timedlock(&locks[sink->lock], &until);
    }
    if (rv == EOWNERDEAD) {
        (void)pthread_mutex_consistent(&locks[sink->lock]);
        (void)mend(sink->fd);
        rv = 0;
    }
    return rv == 0;
}

static void unlock(const struct log_sink *sink, bool locked)
{
    if (locked) {
        (void)pthread_mutex_unlock(&locks[sink->lock]);
    }
}

static size_t whole_lines(const char *buf, size_t len)
{
    const char *newline = len > 0 ? memrchr(buf, '\n', len) : NULL;

    return newline ? (size_t)(newline + 1 - buf) : 0;
}

static ssize_t write_once(int fd, const char *buf, size_t len)
{
    ssize_t n;

    do {
        n = write(fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* A disk that fills up takes a part first and says why at the next attempt. */
static int write_lines(struct log_sink *sink, const char *buf, size_t len, size_t *taken)
{
    size_t done = 0;
    int error = 0;

    while (done < len && error == 0) {
        ssize_t n = write_once(sink->fd, buf + done, len - done);

        error = n < 0 ? errno : n == 0 ? ENOSPC : 0;
        done += n > 0 ? (size_t)n : 0;
    }
    *taken = done < len ? whole_lines(buf, done) : len;
    if (*taken < done && !mend(sink->fd)) {
        atomic_store(&sink->torn, true);
    }
    return error;
}

static int write_file(struct log_sink *sink, const char *buf, size_t len, size_t *taken)
{
    bool locked = lock(sink);
    int error;

    /* Half a line that is there stays one: the next begins on its own. */
    if (atomic_load(&sink->torn) && write_once(sink->fd, "\n", 1) == 1) {
        atomic_store(&sink->torn, false);
    }
    error = write_lines(sink, buf, len, taken);
    unlock(sink, locked);
    return error;
}

/* ---- Pipes, sockets, syslog --------------------------------------------- */

/* As many whole lines as go in one piece. */
static size_t next_piece(const char *buf, size_t len)
{
    size_t piece = len <= SINK_PIPE_LINE ? len : whole_lines(buf, SINK_PIPE_LINE);

    return piece ? piece : len; /* a line that is longer than was promised */
}

static int write_pipe(struct log_sink *sink, const char *buf, size_t len, size_t *taken)
{
    while (*taken < len) {
        size_t piece = next_piece(buf + *taken, len - *taken);

        if (write_once(sink->fd, buf + *taken, piece) < 0) {
            return errno;
        }
        *taken += piece;
    }
    return 0;
}

static int write_socket(struct log_sink *sink, const char *buf, size_t len, size_t *taken)
{
    while (*taken < len) {
        size_t piece = next_piece(buf + *taken, len - *taken);

        if (send(sink->fd, buf + *taken, piece, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            return errno;
        }
        *taken += piece;
    }
    return 0;
}

/* "<29>Nov 27 10:04:05 tag[4711]: ", RFC 3164. */
static size_t syslog_head(const struct log_sink *sink, int severity, char *out, size_t size)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    int n;

    if (!localtime_r(&now, &tm) || strftime(when, sizeof(when), "%b %e %T", &tm) == 0) {
        when[0] = '\0';
    }
    n = snprintf(out, size,
                 "<%d>%s %.32s[%ld]: ", (sink->syslog.facility << FACILITY_SHIFT) | (severity & 7),
                 when, sink->syslog.tag, (long)getpid());
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static int send_datagram(struct log_sink *sink, const char *head, size_t head_len, const char *line,
                         size_t len)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct iovec iov[2] = { { (void *)(uintptr_t)head, head_len },
                            { (void *)(uintptr_t)line, len } };
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2
    };

    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", sink->syslog.socket);
    return sendmsg(sink->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

static int write_syslog(struct log_sink *sink, int severity, const char *buf, size_t len,
                        size_t *taken)
{
    char head[SYSLOG_HEAD];
    size_t head_len = syslog_head(sink, severity, head, sizeof(head));

    while (*taken < len) {
        const char *line = buf + *taken;
        const char *newline = memchr(line, '\n', len - *taken);
        size_t size = newline ? (size_t)(newline - line) : len - *taken;
        int error = send_datagram(sink, head, head_len, line, size);

        if (error != 0) {
            return error;
        }
        *taken += size + (newline != NULL);
    }
    return 0;
}

int sink_write(struct log_sink *sink, int severity, const char *buf, size_t len, size_t *taken)
{
    *taken = 0;
    switch (sink->kind) {
    case SINK_PIPE:
        return write_pipe(sink, buf, len, taken);
    case SINK_SOCKET:
        return write_socket(sink, buf, len, taken);
    case SINK_SYSLOG:
        return write_syslog(sink, severity, buf, len, taken);
    case SINK_FILE:
        break;
    }
    return write_file(sink, buf, len, taken);
}

/* ---- Losses ------------------------------------------------------------- */

void sink_count_losses(_Atomic uint64_t *counter)
{
    losses = counter;
}

bool sink_lost(struct log_sink *sink, uint64_t lines)
{
    int64_t now = now_ms();
    int64_t said = atomic_load(&sink->said_at);
    bool first = atomic_fetch_add(&sink->lost, lines) == 0;

    if (losses) {
        atomic_fetch_add(losses, lines);
    }
    return (first || now - said >= SINK_SAY_MS) &&
           atomic_compare_exchange_strong(&sink->said_at, &said, now);
}

uint64_t sink_recovered(struct log_sink *sink)
{
    return atomic_load_explicit(&sink->lost, memory_order_relaxed) ? atomic_exchange(&sink->lost, 0)
                                                                   : 0;
}
