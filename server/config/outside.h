/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a config's meaning depends on beside its text: environment variables,
 * which paths are there, what a folder holds. Each question is put to the system
 * once and written down with its answer, in order. A config that is read back
 * from a store asks the same questions in the same order and gets those
 * answers, so that it means what it meant, whatever the disk says today.
 */
#ifndef CONFIG_OUTSIDE_H
#define CONFIG_OUTSIDE_H

#include <stdbool.h>

#include "config/conf.h"

struct outside;

/* Answers are kept in pool. */
struct outside *outside_ask(apr_pool_t *pool);
/* Answers come from the list and from nowhere else. */
struct outside *outside_replay(const apr_array_header_t *answers, apr_pool_t *pool);
/* What was asked so far: struct conf_answer. */
apr_array_header_t *outside_answers(const struct outside *outside);
/* A replay was asked something that it has no answer to. */
bool outside_strayed(const struct outside *outside);

/* A variable of the environment; NULL where it is not set. */
const char *outside_variable(struct outside *outside, const char *name);
/* stat(): 0 or errno. */
struct outside_path {
    bool folder;
    uint64_t device, inode; /* 0 in a replay */
};
int outside_path(struct outside *outside, const char *path, struct outside_path *found);
/* The names in a folder, sorted, without "." and "..", in pool. NULL with errno. */
apr_array_header_t *outside_names(struct outside *outside, const char *folder, apr_pool_t *pool);
/* The working directory's view of a path. */
const char *outside_absolute(struct outside *outside, const char *path);

#endif
