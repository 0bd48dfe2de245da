/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a stamp:
 *
 *   instar-stamp 1
 *   set 3
 *   HASH SIZE MTIME CTIME DEVICE INODE PATH
 *   ...
 *   end
 *
 * INODE 0 says that the times cannot be believed: read the file. A stamp that a
 * crash of the machine left cut off has no "end" and is as good as none.
 */
#include "builder/stamp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/objects.h"
#include "builder/stamp.h"

static const char first_line[] = "instar-stamp 1\n";
enum { STAMP_MAX_BYTES = 8 << 20 };

static char *read_all(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    char *text = NULL;
    ssize_t n = -1;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &st) == 0 && object_is_ours(&st) && st.st_size > 0 &&
        st.st_size <= STAMP_MAX_BYTES) {
        text = malloc((size_t)st.st_size + 1);
    }
    if (text) {
        n = read(fd, text, (size_t)st.st_size);
    }
    close(fd);
    if (n <= 0 || n != st.st_size) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    return text;
}

/* One line of a set; NULL where it is none, else the line behind it. */
static char *read_line(char *line, struct memory *memory, struct file **file)
{
    char *end = strchr(line, '\n');
    struct file_stat st;
    struct fp hash;
    char *at = line + FP_HEX - 1;

    if (!end || end - line < FP_HEX || *at != ' ' || !fp_from_hex(line, &hash)) {
        return NULL;
    }
    *end = '\0';
    st.size = strtoll(at, &at, 10);
    st.mtime = strtoll(at, &at, 10);
    st.ctime = strtoll(at, &at, 10);
    st.device = strtoull(at, &at, 10);
    st.inode = strtoull(at, &at, 10);
    if (at[0] != ' ' || at[1] != '/') {
        return NULL;
    }
    *file = memory_file(memory, at + 1);
    memory_learn(memory, *file, &st, &hash);
    return end + 1;
}

static char *read_set(char *text, struct memory *memory, struct file **files, int *count)
{
    char *end;
    long n;

    if (strncmp(text, "set ", 4) != 0) {
        return NULL;
    }
    n = strtol(text + 4, &end, 10);
    if (n < 1 || n > STAMP_MAX_FILES || *end != '\n') {
        return NULL;
    }
    text = end + 1;
    for (*count = 0; text && *count < n; ++*count) {
        text = read_line(text, memory, &files[*count]);
    }
    return text;
}

void stamp_file_read(int dir_fd, const char *hex, struct memory *memory,
                     void (*add)(void *to, struct file *const *files, int count), void *to)
{
    char name[FP_HEX + 8];
    char *text, *at;
    struct file **files;
    size_t len;
    int count;

    snprintf(name, sizeof(name), "%s.stamp", hex);
    text = read_all(dir_fd, name);
    if (!text) {
        return;
    }
    len = strlen(text);
    files = calloc(STAMP_MAX_FILES, sizeof(struct file *));
    at = text + sizeof(first_line) - 1;
    if (files && len > sizeof(first_line) + 4 && strcmp(text + len - 4, "end\n") == 0 &&
        strncmp(text, first_line, sizeof(first_line) - 1) == 0) {
        while ((at = read_set(at, memory, files, &count))) {
            add(to, files, count);
        }
    }
    free(files);
    free(text);
}

static bool write_set(FILE *out, const struct stamp_set *set)
{
    fprintf(out, "set %d\n", set->count);
    for (int i = 0; i < set->count; i++) {
        const struct file *file = set->files[i];
        char hex[FP_HEX];

        if (strchr(file->path, '\n')) {
            return false;
        }
        fp_to_hex(&file->hash, hex);
        fprintf(out, "%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %s\n", hex,
                file->stat.size, file->stat.mtime, file->stat.ctime, file->stat.device,
                file->trusted ? file->stat.inode : 0, file->path);
    }
    return true;
}

int stamp_file_write(int dir_fd, const struct stamp *stamp)
{
    char name[FP_HEX + 8], temporary[FP_HEX + 32];
    bool good = true;
    FILE *out;
    int fd;

    snprintf(name, sizeof(name), "%s.stamp", stamp->hex);
    snprintf(temporary, sizeof(temporary), "new.%ld.%s", (long)getpid(), name);
    (void)unlinkat(dir_fd, temporary, 0);
    fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return errno;
    }
    out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        good = false;
    }
    else {
        fputs(first_line, out);
        for (const struct stamp_set *set = stamp->sets; set && good; set = set->next) {
            good = write_set(out, set);
        }
        fputs("end\n", out);
        good = !ferror(out) && good;
        good = fclose(out) == 0 && good;
    }
    if (good && renameat(dir_fd, temporary, dir_fd, name) == 0) {
        return 0;
    }
    (void)unlinkat(dir_fd, temporary, 0);
    return errno ? errno : EIO;
}
