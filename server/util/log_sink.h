/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where lines of a log end up: a file, a pipe, a socket, syslog. Every process
 * writes for itself; what keeps lines whole among them is
 *   - file: O_APPEND, and a lock in shared memory around each write(), so that what a
 *     full disk took of a line can be cut off again. The kernel frees the lock of
 *     a writer that dies; who cannot get it within LOCK_MS writes all the same;
 *   - pipe: at most PIPE_BUF bytes in one write(), which the kernel does not tear;
 *   - syslog: a datagram a line.
 * Nothing waits for a reader. Any thread.
 */
#ifndef UTIL_LOG_SINK_H
#define UTIL_LOG_SINK_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sink_kind { SINK_FILE, SINK_PIPE, SINK_SOCKET, SINK_SYSLOG };

enum {
    SINK_PIPE_LINE = PIPE_BUF,   /* bytes of a line, newline included, that a pipe takes */
    SINK_SYSLOG_LINE = 8 * 1024, /* and a datagram */
    SINK_LOCK_MS = 50,
    SINK_SAY_MS = 60000 /* how often a loss that goes on is said again */
};

/* What of syslog's is in a line's head. */
struct sink_syslog {
    const char *socket; /* "/dev/log" */
    const char *tag;
    int facility; /* 0 to 23 */
};

struct log_sink {
    const char *name; /* for words: a path, "|command", "syslog:daemon" */
    int fd;           /* the number stays when the file is opened anew: dup3() over it */
    enum sink_kind kind;
    struct sink_syslog syslog;
    unsigned lock;           /* which of the shared ones */
    _Atomic bool torn;       /* the file ends in half a line that could not be cut off */
    _Atomic uint64_t lost;   /* lines since the trouble began, see sink_lost() */
    _Atomic int64_t said_at; /* CLOCK_MONOTONIC, ms */
};

/* name must live as long as the sink. The kind is the descriptor's. */
void sink_init(struct log_sink *sink, const char *name, int fd);
void sink_init_syslog(struct log_sink *sink, const char *name, int fd,
                      const struct sink_syslog *syslog);

/* Bytes of a line, newline included, that can be written in one piece. */
size_t sink_line_max(const struct log_sink *sink);

/* Writes whole lines (buf ends in a newline; severity is syslog's, 0 to 7). 0, or
 * errno; *taken bytes of whole lines are out in any case, and nothing of the rest. */
int sink_write(struct log_sink *sink, int severity, const char *buf, size_t len, size_t *taken);

/* Lines are given up because of error. Counts them where sink_count_losses() said, and
 * is true where that is to be said now: at the beginning, then once in SINK_SAY_MS. */
bool sink_lost(struct log_sink *sink, uint64_t lines);
/* A line is out. How many were lost before; 0: there was no trouble. */
uint64_t sink_recovered(struct log_sink *sink);

/* This process's counter of lost lines, in shared memory. NULL: none. */
void sink_count_losses(_Atomic uint64_t *counter);
/* The master, before anybody writes: the locks, inherited by every child. 0 or errno. */
int sink_make_locks(void);

#endif
