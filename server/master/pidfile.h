/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pid file. The running master holds a record lock on it, so that a file
 * which a killed server left behind is told from a living one's whatever
 * number it holds and whoever has that number today.
 *
 * Beside it, PIDFILE.control holds the path of the control socket: a server is
 * found through it when its config cannot be read any more.
 */
#ifndef MASTER_PIDFILE_H
#define MASTER_PIDFILE_H

#include <stdbool.h>
#include <sys/types.h>

struct pid_file;

/* Claims path and writes our pid. On failure NULL, and *error is EEXIST where a
 * server runs (*other: its pid), else errno. *stale: a dead server's file was there. */
struct pid_file *pidfile_claim(const char *path, int *error, pid_t *other, bool *stale);
/* Removes the file, if it is still ours and we are the process that claimed it. */
void pidfile_release(struct pid_file *p);
const char *pidfile_path(const struct pid_file *p);
/* For and from another binary of this process; the lock goes along. */
int pidfile_fd(const struct pid_file *p);
struct pid_file *pidfile_adopt(const char *path, int fd);
/* Writes PIDFILE.control. */
int pidfile_note_control(const struct pid_file *p, const char *socket);

/* The pid of the server that holds path, 0 where none runs. */
pid_t pidfile_holder(const char *path);
/* What PIDFILE.control says, into out; false where there is none. */
bool pidfile_control(const char *path, char *out, size_t size);

#endif
