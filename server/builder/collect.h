/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BUILDER_COLLECT_H
#define BUILDER_COLLECT_H

/* Removes a work folder and what is in it; never leaves it by a link. */
void work_remove(int dir_fd, const char *name);

#endif
