/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module in root's own home is what a newcomer tries first, and that home is
 * 0700. The compiler does not get root's rights for that: it gets copies, which
 * belong to root and cannot be changed by it.
 *
 * Root reads here what the folder's owner arranged, so nothing is followed out
 * of the folder: links are made again as links, for the compiler to follow with its own
 * rights. Folders below are not copied but made as closed ones: an #include
 * that leads there fails, and does not find another header of that name.
 */
#include "builder/copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "builder/command.h"
#include "builder/state.h"
#include "config/conf.h"
#include "util/role.h"

/* What a folder holds beside a build's sources may be a whole home: so many
 * entries of each kind, and so many bytes. */
enum { ENTRIES_MAX = 256, BYTES_MAX = 16 << 20, TRIES = 5 };
/* A kernel's clock for files stands still for up to 10 ms. */
static const int64_t clock_step = 20 * 1000000LL;

/* One folder under way. */
struct copying {
    const char *place; /* where the folder really is */
    DIR *dir;
    int from, to;
    uid_t owner;
    int entries; /* of one kind */
    int64_t bytes;
};

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int copy_bytes(int in, int out, int64_t limit, int64_t *len)
{
    static char buf[64 * 1024];
    ssize_t n;

    *len = 0;
    while ((n = pread(in, buf, sizeof(buf), *len)) > 0) {
        if (*len + n > limit) {
            return EFBIG;
        }
        errno = ENOSPC; /* what a short write means */
        if (pwrite(out, buf, (size_t)n, *len) != n) {
            return errno;
        }
        *len += n;
    }
    return n < 0 ? errno : 0;
}

/* Did it stay as it was before? One that was written a moment ago is given the
 * moment in which a further change would not show. */
static bool has_rested(int in, const struct stat *before)
{
    struct timespec now;
    struct stat after;
    int64_t age;

    clock_gettime(CLOCK_REALTIME, &now);
    age = nanoseconds(now) - nanoseconds(before->st_ctim);
    if (age >= 0 && age < clock_step) {
        struct timespec rest = { .tv_nsec = clock_step - age };

        (void)nanosleep(&rest, NULL);
    }
    return fstat(in, &after) == 0 && after.st_size == before->st_size &&
           nanoseconds(after.st_ctim) == nanoseconds(before->st_ctim);
}

/* Whole as an editor left it, not the half that it has written so far. One that never
 * rests is taken as it is: the master compares in the end. */
static int copy_rested(int in, int out, int64_t limit, int64_t *len)
{
    struct stat before;
    int error = 0;

    for (int i = 0; i < TRIES && !error; i++) {
        if (fstat(in, &before) != 0 || ftruncate(out, 0) != 0) {
            return errno;
        }
        error = copy_bytes(in, out, limit, len);
        if (has_rested(in, &before)) {
            break;
        }
    }
    return error;
}

/* A regular file, and no other name of somebody else's, which the folder's owner
 * may be able to make but not to read. */
static bool may_be_read(const struct copying *c, int in)
{
    struct stat st;

    return fstat(in, &st) == 0 && S_ISREG(st.st_mode) &&
           (st.st_nlink == 1 || st.st_uid == c->owner || c->owner == 0);
}

static int copy_file(struct copying *c, const char *entry, int64_t limit)
{
    int in = openat(c->from, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int64_t len = 0;
    int out, error;

    if (in < 0) {
        return errno;
    }
    if (!may_be_read(c, in)) {
        close(in);
        return EPERM;
    }
    out = openat(c->to, entry, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (out < 0) {
        error = errno == EEXIST ? 0 : errno; /* copied before, as a source */
        close(in);
        return error;
    }
    error = copy_rested(in, out, limit, &len);
    if (error) {
        (void)unlinkat(c->to, entry, 0);
    }
    else {
        c->bytes += len;
    }
    close(in);
    close(out);
    return error;
}

/* Where target leads from the folder, not by way of it: the build user may not enter it. */
static void make_absolute(const struct copying *c, const char *target, char *out, size_t size)
{
    size_t len = strlen(c->place);

    while (strncmp(target, "../", 3) == 0) {
        target += 3;
        while (len > 0 && c->place[--len] != '/') {
        }
    }
    (void)snprintf(out, size, "%.*s/%s", (int)len, c->place, target);
}

/* A plain name leads to the copy beside it, everything else to where it led. */
static int copy_link(const struct copying *c, const char *entry)
{
    char target[PATH_MAX], absolute[2 * PATH_MAX];
    ssize_t n = readlinkat(c->from, entry, target, sizeof(target) - 1);
    const char *to = target;

    if (n < 0) {
        return errno;
    }
    target[n] = '\0';
    if (target[0] != '/' && strchr(target, '/')) {
        make_absolute(c, target, absolute, sizeof(absolute));
        to = absolute;
    }
    return symlinkat(to, c->to, entry) == 0 || errno == EEXIST ? 0 : errno;
}

static int copy_entry(struct copying *c, const char *entry, int64_t limit)
{
    struct stat st;

    if (fstatat(c->from, entry, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno;
    }
    if (S_ISLNK(st.st_mode)) {
        return copy_link(c, entry);
    }
    return S_ISREG(st.st_mode) ? copy_file(c, entry, limit) : EINVAL;
}

static bool is_header(const char *name)
{
    static const char *const endings[] = { ".h",   ".hh",  ".hpp", ".hxx", ".inc",
                                           ".def", ".ipp", ".tcc", NULL };
    const char *dot = strrchr(name, '.');

    for (int i = 0; dot && endings[i]; i++) {
        if (strcmp(dot, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_folder(const struct copying *c, const char *name)
{
    struct stat st;

    return fstatat(c->from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static void visit_header(struct copying *c, const char *name)
{
    if (is_header(name)) {
        c->entries++;
        (void)copy_entry(c, name, BYTES_MAX - c->bytes);
    }
}

/* Sources that others include. */
static void visit_code(struct copying *c, const char *name)
{
    if (source_is_code(name)) {
        c->entries++;
        (void)copy_entry(c, name, BYTES_MAX - c->bytes);
    }
}

static void visit_folder(struct copying *c, const char *name)
{
    if (is_folder(c, name)) {
        c->entries++;
        (void)mkdirat(c->to, name, 0);
    }
}

static void visit_all(struct copying *c, void (*visit)(struct copying *c, const char *name))
{
    const struct dirent *entry;

    c->entries = 0;
    rewinddir(c->dir);
    while (c->entries < ENTRIES_MAX && (entry = readdir(c->dir))) {
        if (entry->d_name[0] != '.') {
            visit(c, entry->d_name);
        }
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* What is asked for must be there; what may be included comes as far as there is room. */
static int copy_all(struct copying *c, const apr_array_header_t *sources)
{
    for (int i = 0; sources && i < sources->nelts; i++) {
        const char *path = APR_ARRAY_IDX(sources, i, const char *);
        int error = copy_entry(c, base_name(path), FILE_MAX_BYTES);

        if (error) {
            return error;
        }
    }
    visit_all(c, visit_header);
    visit_all(c, visit_code);
    visit_all(c, visit_folder);
    return 0;
}

static const char *place_of(const struct name *name, apr_pool_t *pool)
{
    char path[PATH_MAX];
    ssize_t n = readlink(name->via, path, sizeof(path));

    return n > 0 ? apr_pstrmemdup(pool, path, (size_t)n) : name->via;
}

/* The name's descriptor keeps its number, which is in all that was made of it. */
static int lead_to(struct name *name, int copy, apr_pool_t *pool)
{
    if (dup3(copy, name->fd, O_CLOEXEC) < 0) {
        return errno;
    }
    name->copy = place_of(name, pool);
    return 0;
}

static DIR *open_listing(int fd)
{
    int listing = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = listing >= 0 ? fdopendir(listing) : NULL;

    if (!dir && listing >= 0) {
        close(listing);
    }
    return dir;
}

static int make_folder(const struct build_run *run, const char *name)
{
    if (mkdirat(run->work_fd, name, 0755) != 0) {
        return -1;
    }
    return openat(run->work_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int copy_folder(struct build_run *run, struct name *name, const apr_array_header_t *sources)
{
    struct copying c = { .place = place_of(name, run->pool), .dir = open_listing(name->fd) };
    struct stat st;
    int error;

    if (!c.dir) {
        return errno;
    }
    c.from = dirfd(c.dir);
    c.to = make_folder(run, apr_psprintf(run->pool, "copy.%d", name->fd));
    if (c.to < 0 || fstat(c.from, &st) != 0) {
        error = errno;
    }
    else {
        c.owner = st.st_uid;
        error = copy_all(&c, sources);
    }
    if (!error) {
        error = lead_to(name, c.to, run->pool);
    }
    if (c.to >= 0) {
        close(c.to);
    }
    closedir(c.dir);
    return error;
}

static bool is_refused(int folder, const char *entry)
{
    int fd = openat(folder, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd < 0 && errno == EACCES;
}

/* With the build user's rights. The folder's own "." asks for the right to enter it. */
static bool is_closed(const struct name *name, DIR *dir, const apr_array_header_t *sources)
{
    const struct dirent *entry;
    struct stat st;

    if (fstatat(name->fd, ".", &st, 0) != 0 && errno == EACCES) {
        return true;
    }
    for (int i = 0; sources && i < sources->nelts; i++) {
        if (is_refused(name->fd, base_name(APR_ARRAY_IDX(sources, i, const char *)))) {
            return true;
        }
    }
    while (sources && dir && (entry = readdir(dir))) {
        if (is_header(entry->d_name) && is_refused(name->fd, entry->d_name)) {
            return true;
        }
    }
    return false;
}

static bool is_closed_to(const struct conf_process *process, const struct name *name,
                         const apr_array_header_t *sources)
{
    /* Root's listing: one may enter a folder and not list it. */
    DIR *dir = sources ? open_listing(name->fd) : NULL;
    bool closed;

    (void)setfsgid(process->build_group);
    (void)setfsuid(process->build_user);
    closed = is_closed(name, dir, sources);
    (void)setfsuid(0);
    (void)setfsgid(0);
    if (dir) {
        closedir(dir);
    }
    return closed;
}

/* folder -> its sources that are to be compiled (const char *) */
static apr_hash_t *list_sources(const struct build_run *run)
{
    apr_hash_t *folders = apr_hash_make(run->pool);

    for (int i = 0; i < run->list->count; i++) {
        const struct build *build = &run->list->list[i];

        for (int s = 0; build->needed && s < build->input->sources.count; s++) {
            const char *folder = command_folder(build, s, run->pool);
            apr_array_header_t *list = apr_hash_get(folders, folder, APR_HASH_KEY_STRING);

            if (!list) {
                list = apr_array_make(run->pool, 4, sizeof(const char *));
                apr_hash_set(folders, folder, APR_HASH_KEY_STRING, list);
            }
            APR_ARRAY_PUSH(list, const char *) = build->input->sources.list[s]->path;
        }
    }
    return folders;
}

void copies_make(struct build_run *run)
{
    const struct conf_process *process = &run->conf->process;
    apr_hash_t *folders;

    /* Its groups count as well; the drop, which is next, would set them anyway. */
    if (role_set_groups(process->build_group, process->build_user_name) != 0) {
        return;
    }
    folders = list_sources(run);
    for (int i = 0; i < run->names.list->nelts; i++) {
        struct name *name = &APR_ARRAY_IDX(run->names.list, i, struct name);
        const apr_array_header_t *sources = apr_hash_get(folders, name->real, APR_HASH_KEY_STRING);

        if (is_closed_to(process, name, sources)) {
            name->error = copy_folder(run, name, sources);
        }
    }
}
