/* SPDX-License-Identifier: Apache-2.0 */
/* What the process may do: limits around module code, the drop to User, core
 * dumps. */
#ifndef GENERATION_PRIVILEGES_H
#define GENERATION_PRIVILEGES_H

struct conf_process;

/* A fork bomb in a constructor or in set-up ends at some hundred processes. */
void privileges_limit_processes(void);
void privileges_unlimit_processes(void);

/* CoreDumpDirectory: no directory, no core. Before the drop. */
void privileges_prepare_cores(const struct conf_process *process);
/* To User for good. 0 or errno; EPERM where User is root: no module runs as root. */
int privileges_drop(const struct conf_process *process);
/* Where a core would go, or "/", when nothing is opened relative to BuildDirectory any more. */
void privileges_leave_directory(const struct conf_process *process);

#endif
