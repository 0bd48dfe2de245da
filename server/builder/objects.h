/* SPDX-License-Identifier: Apache-2.0 */
/* Finished builds in BuildDirectory: KEY.so. They are the master's files. */
#ifndef BUILDER_OBJECTS_H
#define BUILDER_OBJECTS_H

#include <stdbool.h>
#include <sys/stat.h>

#include <apr_pools.h>

#include "builder/fingerprint.h"
#include "builder/remember.h"

enum { OBJECT_MAX_BYTES = 512 << 20 };

/* A file in BuildDirectory that root or we ourselves made, and nobody else may write to. */
bool object_is_ours(const struct stat *st);
/* Is there a whole KEY.so of ours? *last is what was seen the last time (zero: never) and
 * is brought up to date: then one stat() is enough. */
bool object_sound(int dir_fd, const char *key, struct file_stat *last);
/* Copies what fd holds to KEY.so: a temporary name first, then renamed. Where
 * want is not NULL, the copy must have that content (ESTALE). 0 or errno; *what
 * names the step that failed. */
int object_adopt(int dir_fd, int fd, const char *key, struct fp_sum *sum, const struct fp *want,
                 const char **what);

#endif
