/* SPDX-License-Identifier: Apache-2.0 */
/* The compilers' command lines. */
#ifndef BUILDER_COMMAND_H
#define BUILDER_COMMAND_H

#include <apr_pools.h>

struct build;
struct build_run;
struct fp_sum;

/* The flags that every build gets; part of its identity. */
void command_fingerprint(struct fp_sum *sum);

/* How many compilers a module needs: one for a single source, else one for each and
 * the linker behind them. */
int command_steps(const struct build *build);
/* NULL-terminated; file names are what the build user can reach. index: the
 * module's place in the list; step from 0. */
char **command_make(const struct build_run *run, const struct build *build, int index, int step,
                    apr_pool_t *pool);
/* The folder in which the step runs: its source's own. */
const char *command_folder(const struct build *build, int step, apr_pool_t *pool);
/* The list of dependencies that step writes, relative to the work folder. */
const char *command_depfile(int index, int step, apr_pool_t *pool);
const char *command_object(int index, apr_pool_t *pool);
/* Folders that ModuleFlags and ModuleLibs name (-I, -L ...), as absolute paths. */
void command_folders(const struct build *build, void (*add)(void *to, const char *folder), void *to,
                     apr_pool_t *pool);

#endif
