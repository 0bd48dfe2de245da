/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memo of stat results and content hashes behind builder_plan(). It must be
 * fast (500 modules a millisecond or two) and never believe a stat() that could
 * hide a change: a file that changed within the clock's step before it was read
 * is read again, until its change time is old enough.
 */
#include "builder/remember.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "builder/names.h"
#include "builder/sources.h"
#include "util/check.h"

/* Kernel timestamps move in steps of a tick (10 ms at HZ=100); a file system
 * that shows no fraction of seconds may have steps of two seconds (FAT, HFS). */
static const int64_t fine_step = 20 * 1000000LL;
static const int64_t coarse_step = 2200 * 1000000LL;

void memory_init(struct memory *memory, apr_pool_t *pool)
{
    memory->files = apr_hash_make(pool);
    memory->sum = fp_sum_create(pool);
    INS_CHECK(memory->sum);
    memory->run = 1;
    memory->epoch = 1;
    memory->names = NULL;
}

static void names_free(struct file *file)
{
    for (char **name = file->names; name && *name; name++) {
        free(*name);
    }
    free(file->names);
    file->names = NULL;
}

static void file_forget(struct memory *memory, struct file *file)
{
    apr_hash_set(memory->files, file->path, APR_HASH_KEY_STRING, NULL);
    names_free(file);
    free(file->path);
    free(file);
}

void memory_free(struct memory *memory)
{
    for (apr_hash_index_t *i = apr_hash_first(NULL, memory->files); i; i = apr_hash_next(i)) {
        file_forget(memory, apr_hash_this_val(i));
    }
}

void memory_refresh(struct memory *memory)
{
    memory->run++;
}

struct file *memory_file(struct memory *memory, const char *path)
{
    struct file *file = apr_hash_get(memory->files, path, APR_HASH_KEY_STRING);

    if (!file) {
        file = calloc(1, sizeof(*file));
        INS_CHECK(file);
        file->path = strdup(path);
        INS_CHECK(file->path);
        apr_hash_set(memory->files, file->path, APR_HASH_KEY_STRING, file);
    }
    return file;
}

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void stat_take(struct file_stat *to, const struct stat *st)
{
    to->size = st->st_size;
    to->mtime = nanoseconds(st->st_mtim);
    to->ctime = nanoseconds(st->st_ctim);
    to->device = st->st_dev;
    to->inode = st->st_ino;
}

static bool stat_same(const struct file_stat *a, const struct file_stat *b)
{
    return a->size == b->size && a->mtime == b->mtime && a->ctime == b->ctime &&
           a->device == b->device && a->inode == b->inode;
}

/* Only the change time counts: it cannot be set, and every change moves it. */
static bool stat_is_old(const struct file_stat *st)
{
    int64_t step = st->ctime % 1000000000 == 0 ? coarse_step : fine_step;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now) - st->ctime > step;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sources in a folder, in the order of their names. */
static int folder_read(struct memory *memory, struct file *file, int fd, struct fp *hash)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    size_t count = 0, room = 16;
    char **names;

    if (!dir) {
        int error = errno;

        close(fd);
        return error;
    }
    names = calloc(room, sizeof(*names));
    INS_CHECK(names);
    while ((entry = readdir(dir))) {
        if (!source_is_code(entry->d_name) || entry->d_name[0] == '.') {
            continue;
        }
        if (count + 1 == room) {
            char **grown = realloc(names, 2 * room * sizeof(*names));

            INS_CHECK(grown);
            names = grown;
            room *= 2;
        }
        names[count] = strdup(entry->d_name);
        INS_CHECK(names[count]);
        count++;
    }
    closedir(dir);
    names[count] = NULL;
    qsort(names, count, sizeof(*names), by_name);
    fp_start(memory->sum);
    for (size_t i = 0; i < count; i++) {
        fp_add_text(memory->sum, names[i]);
    }
    fp_end(memory->sum, hash);
    names_free(file);
    file->names = names;
    return 0;
}

/* What a look found. */
struct look {
    enum file_kind kind;
    int error;
    struct file_stat stat;
    struct fp hash;
    bool stable; /* not changed while it was read */
};

static void read_content(struct memory *memory, struct file *file, const char *path,
                         struct look *look)
{
    /* Non-blocking and no terminal: a path may have become a FIFO or a tty. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct file_stat before;
    struct stat st;

    if (fd < 0) {
        look->error = errno;
        look->kind = errno == ENOENT ? FILE_ABSENT : FILE_OTHER;
        return;
    }
    if (fstat(fd, &st) != 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
        look->error = EINVAL;
        look->kind = FILE_OTHER;
        close(fd);
        return;
    }
    stat_take(&before, &st);
    look->stat = before;
    if (S_ISDIR(st.st_mode)) {
        look->kind = FILE_FOLDER;
        look->error = folder_read(memory, file, fd, &look->hash);
    }
    else {
        look->kind = FILE_REGULAR;
        look->error = fp_of_fd(memory->sum, fd, FILE_MAX_BYTES, &look->hash);
        if (fstat(fd, &st) == 0) {
            stat_take(&look->stat, &st);
        }
        close(fd);
    }
    if (look->error) {
        look->kind = FILE_OTHER;
        memset(&look->hash, 0, sizeof(look->hash));
    }
    look->stable = stat_same(&before, &look->stat);
}

static void take_look(struct memory *memory, struct file *file, const struct look *look)
{
    if (!file->known) {
        file->first = file->changed = ++memory->epoch;
    }
    else if (file->kind != look->kind || !fp_equal(&file->hash, &look->hash)) {
        file->changed = ++memory->epoch;
    }
    file->kind = look->kind;
    file->error = look->error;
    file->stat = look->stat;
    file->hash = look->hash;
    file->trusted = look->kind != FILE_ABSENT && look->stable && stat_is_old(&look->stat);
    file->known = true;
}

void memory_look(struct memory *memory, struct file *file)
{
    char buf[PATH_MAX];
    const char *path = file->path;
    struct look look = { .kind = FILE_ABSENT, .stable = true };
    struct stat st;

    if (file->run == memory->run) {
        return;
    }
    file->run = memory->run;
    if (memory->names) {
        path = names_reach(memory->names, path, buf, sizeof(buf));
    }
    if (stat(path, &st) != 0) {
        look.error = errno;
        look.kind = errno == ENOENT || errno == ENOTDIR ? FILE_ABSENT : FILE_OTHER;
    }
    else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        stat_take(&look.stat, &st);
        if (file->known && file->trusted && stat_same(&look.stat, &file->stat)) {
            return;
        }
        read_content(memory, file, path, &look);
    }
    else {
        look.error = EINVAL;
        look.kind = FILE_OTHER;
    }
    take_look(memory, file, &look);
}

void memory_learn(struct memory *memory, struct file *file, const struct file_stat *st,
                  const struct fp *hash)
{
    if (file->known || st->inode == 0) {
        return;
    }
    file->known = true;
    file->kind = FILE_REGULAR;
    file->stat = *st;
    file->hash = *hash;
    file->trusted = true;
    file->first = file->changed = ++memory->epoch;
}

void memory_sweep(struct memory *memory)
{
    for (apr_hash_index_t *i = apr_hash_first(NULL, memory->files); i; i = apr_hash_next(i)) {
        struct file *file = apr_hash_this_val(i);

        if (file->references == 0 && file->run != memory->run) {
            file_forget(memory, file);
        }
    }
}
