/* SPDX-License-Identifier: Apache-2.0 */
/* ID.stamp in BuildDirectory: a stamp as text. */
#ifndef BUILDER_STAMP_FILE_H
#define BUILDER_STAMP_FILE_H

struct file;
struct memory;
struct stamp;

/* Calls add for each set, in order. A file that is missing, damaged or of
 * another version gives none: the module is compiled again. */
void stamp_file_read(int dir_fd, const char *hex, struct memory *memory,
                     void (*add)(void *to, struct file *const *files, int count), void *to);
/* Under a temporary name, then renamed. 0 or errno. */
int stamp_file_write(int dir_fd, const struct stamp *stamp);

#endif
