/* SPDX-License-Identifier: Apache-2.0 */
/* What module code may not leave behind while a generation is being made: a
 * thread would not survive the fork of the workers, a process would outlive
 * what it belongs to. */
#ifndef GENERATION_GUARD_H
#define GENERATION_GUARD_H

/* Before the first line of module code. */
void guard_start(void);
/* After each step: NULL, or what was left behind ("a thread"), said once for
 * each thing. Does not return in a process that module code forked. */
const char *guard_check(void);
/* At a failed generation's end: children that went into a session of their own,
 * where a kill of the process group does not reach them. */
void guard_end_strays(void);

#endif
