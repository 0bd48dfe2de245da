/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header that appears earlier in the search path changes a build without
 * changing any file that it read. So the #include lines (and __has_include) of
 * the module's own files are read here, and the places that are searched
 * before the one that had the header are remembered as absent files.
 *
 * What this does not see: names that macros make, #include_next, system headers'
 * own includes, and the compiler's built-in search path.
 */
#include "builder/shadow.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "builder/command.h"
#include "builder/depfile.h"
#include "builder/state.h"

enum { TEXT_MAX = 1 << 20, ABSENT_MAX = 256, NAME_LENGTH_MAX = 255 };

struct search {
    struct memory *memory;
    apr_array_header_t *files;   /* to add to */
    apr_array_header_t *folders; /* const char *: -I and the like, then include_dir */
    apr_hash_t *known;
    int added;
    apr_pool_t *pool;
};

static void add_folder(void *to, const char *folder)
{
    APR_ARRAY_PUSH((apr_array_header_t *)to, const char *) = folder;
}

/* True where the search ends: the file is there. */
static bool probe(struct search *search, const char *folder, size_t folder_len, const char *name,
                  size_t name_len)
{
    const char *path =
        apr_psprintf(search->pool, "%.*s/%.*s", (int)folder_len, folder, (int)name_len, name);
    struct file *file;

    if (apr_hash_get(search->known, path, APR_HASH_KEY_STRING)) {
        file = memory_file(search->memory, path);
        return file->kind != FILE_ABSENT;
    }
    file = memory_file(search->memory, path);
    memory_look(search->memory, file);
    if (file->kind != FILE_ABSENT) {
        return true;
    }
    if (search->added < ABSENT_MAX) {
        search->added++;
        apr_hash_set(search->known, path, APR_HASH_KEY_STRING, file);
        APR_ARRAY_PUSH(search->files, struct file *) = file;
    }
    return false;
}

/* Where the compiler looks for one name, in order. */
static void look_up(struct search *search, const char *from, const char *name, size_t len,
                    bool quoted)
{
    const char *slash = strrchr(from, '/');

    if (len == 0 || len > NAME_LENGTH_MAX || name[0] == '/') {
        return;
    }
    if (quoted && probe(search, from, (size_t)(slash - from), name, len)) {
        return;
    }
    for (int i = 0; i < search->folders->nelts; i++) {
        const char *folder = APR_ARRAY_IDX(search->folders, i, const char *);

        if (probe(search, folder, strlen(folder), name, len)) {
            return;
        }
    }
}

/* The name behind "include" or "__has_include(". */
static void read_name(struct search *search, const char *from, const char *p)
{
    const char *end;
    char close;

    p += strspn(p, " \t(");
    if (*p != '"' && *p != '<') {
        return;
    }
    close = *p == '"' ? '"' : '>';
    end = p + 1 + strcspn(p + 1, "\"><\n");
    if (*end == close) {
        look_up(search, from, p + 1, (size_t)(end - p - 1), close == '"');
    }
}

static void scan_line(struct search *search, const char *from, const char *line, size_t len)
{
    const char *p = line + strspn(line, " \t");
    const char *has;

    if (*p != '#') {
        return;
    }
    p += 1 + strspn(p + 1, " \t");
    if (strncmp(p, "include", 7) == 0 && strncmp(p, "include_next", 12) != 0) {
        read_name(search, from, p + 7);
        return;
    }
    has = memmem(line, len, "__has_include", 13);
    if (has) {
        read_name(search, from, has + 13);
    }
}

static void scan_file(struct search *search, const struct file *file)
{
    size_t len;
    /* dir_fd is not used for an absolute path */
    const char *text = depfile_load(AT_FDCWD, file->path, &len, search->pool);

    for (const char *line = text; line && *line;) {
        size_t n = strcspn(line, "\n");

        scan_line(search, file->path, line, n);
        line += n + (line[n] == '\n');
    }
}

/* Headers of the system and of this server do not include files of a module. */
static bool is_own(const struct file *file, const char *include_dir)
{
    return file->kind == FILE_REGULAR && file->stat.size <= TEXT_MAX &&
           strncmp(file->path, "/usr/", 5) != 0 &&
           strncmp(file->path, include_dir, strlen(include_dir)) != 0;
}

void shadow_add(struct memory *memory, const struct build *build, const char *include_dir,
                apr_array_header_t *files, apr_pool_t *pool)
{
    struct search search = { .memory = memory,
                             .files = files,
                             .folders = apr_array_make(pool, 4, sizeof(const char *)),
                             .known = apr_hash_make(pool),
                             .pool = pool };
    int count = files->nelts;

    /* As on the command line. */
    add_folder(search.folders, include_dir);
    command_folders(build, add_folder, search.folders, pool);
    for (int i = 0; i < count; i++) {
        struct file *file = APR_ARRAY_IDX(files, i, struct file *);

        apr_hash_set(search.known, file->path, APR_HASH_KEY_STRING, file);
    }
    for (int i = 0; i < count; i++) {
        struct file *file = APR_ARRAY_IDX(files, i, struct file *);

        if (is_own(file, include_dir)) {
            scan_file(&search, file);
        }
    }
}
