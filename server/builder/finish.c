/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder_finish(): takes over what the builder process did. That process ran
 * compilers on anybody's source, so only two things of it are used: objects,
 * which are copied into files of our own, and the names of files, whose
 * content is summed up here again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/bytes.h"
#include "builder/collect.h"
#include "builder/command.h"
#include "builder/diagnostics.h"
#include "builder/objects.h"
#include "builder/result.h"
#include "builder/shadow.h"
#include "builder/state.h"
#include "config/conf.h"
#include "util/log.h"

#define LOG_PART "builder"

struct finish {
    struct builder *b;
    struct build_run *run;
    int dir_fd;
    struct diags *diags;
    apr_pool_t *pool;        /* the list's */
    struct result **results; /* by index; NULL where there is none */
    struct bytes output;
    int ended; /* how the builder process ended: as waitpid() says */
};

/* Ends it where it still runs; its compilers' guards see to the rest. */
static int end_process(pid_t pid, int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int status = 0;

    /* At its end the pipe says so before the process is gone. */
    if (poll(&p, 1, 0) != 1) {
        (void)kill(pid, SIGKILL);
    }
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static void read_results(struct finish *finish)
{
    int64_t offset = 0;
    int count = finish->run->list->count;
    struct result result;

    finish->results = apr_pcalloc(finish->run->pool, (size_t)count * sizeof(struct result *) + 1);
    while (result_read(finish->run->result_fd, &offset, count, &result, finish->run->pool)) {
        if (finish->run->list->list[result.index].needed) {
            finish->results[result.index] = apr_pmemdup(finish->run->pool, &result, sizeof(result));
        }
    }
}

/* One "HASH PATH" line; false where it is none, or the content is another now. */
static bool take_file(struct finish *finish, const char *line, size_t len,
                      apr_array_header_t *files)
{
    struct memory *memory = &finish->b->memory;
    struct file *file;
    struct fp hash;

    if (len < FP_HEX + 1 || len > FP_HEX + PATH_MAX || line[FP_HEX - 1] != ' ' ||
        line[FP_HEX] != '/' || files->nelts >= STAMP_MAX_FILES || !fp_from_hex(line, &hash)) {
        return false;
    }
    file = memory_file(memory, apr_pstrmemdup(finish->run->pool, line + FP_HEX, len - FP_HEX));
    memory_look(memory, file);
    APR_ARRAY_PUSH(files, struct file *) = file;
    return fp_equal(&file->hash, &hash);
}

/* The files behind a build; NULL where they cannot be vouched for. */
static apr_array_header_t *take_files(struct finish *finish, const struct build *build,
                                      const struct result *result)
{
    apr_array_header_t *files = apr_array_make(finish->run->pool, 64, sizeof(struct file *));
    const struct sources *sources = &build->input->sources;
    const char *line = result->files;
    bool good = true;

    while (*line && good) {
        size_t len = strcspn(line, "\n");

        good = take_file(finish, line, len, files);
        line += len + (line[len] == '\n');
    }
    /* The builder names the sources first. */
    good = good && files->nelts >= sources->count;
    for (int i = 0; good && i < sources->count; i++) {
        good = APR_ARRAY_IDX(files, i, struct file *) == sources->list[i];
    }
    return good ? files : NULL;
}

/* A key that will not be found again: for a build that is right, but whose files have
 * changed since. */
static void key_once(struct finish *finish, struct build *build)
{
    struct timespec now;
    struct fp fp;

    clock_gettime(CLOCK_REALTIME, &now);
    fp_start(finish->b->memory.sum);
    fp_add_text(finish->b->memory.sum, "instar once 1");
    fp_add_number(finish->b->memory.sum, now.tv_sec);
    fp_add_number(finish->b->memory.sum, now.tv_nsec);
    fp_add_number(finish->b->memory.sum, getpid());
    fp_add(finish->b->memory.sum, build->input->id.bytes, FP_SIZE);
    fp_end(finish->b->memory.sum, &fp);
    fp_to_hex(&fp, build->key);
}

/* Files and key go into the stamp, for the next plan. */
static void remember(struct finish *finish, struct build *build, apr_array_header_t *files)
{
    struct memory *memory = &finish->b->memory;
    struct stamp_set *set;
    struct stamp *stamp;

    shadow_add(memory, build, finish->run->include_dir, files, finish->run->pool);
    build_identify(build, memory->sum);
    set = stamp_add(&finish->b->stamps, memory, &build->input->id,
                    (struct file *const *)(void *)files->elts, files->nelts, &stamp);
    apr_cpystrn(build->key, stamp_key(stamp, set, memory), sizeof(build->key));
    stamp->run = memory->run;
    if (stamp_save(stamp, finish->dir_fd) != 0) {
        log_warning("INS01202",
                    "the stamp of %s cannot be written to BuildDirectory: it will be "
                    "compiled again by the next server",
                    build->module->name);
    }
}

/* The object that the compilers left, if it is what it should be: a file of the
 * build user's, with one name. */
static int open_object(const struct finish *finish, int index)
{
    const char *name = command_object(index, finish->run->pool);
    int fd = openat(finish->run->work_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
        st.st_uid != finish->run->user || st.st_size > OBJECT_MAX_BYTES) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

static void adopt(struct finish *finish, struct build *build, const struct result *result)
{
    apr_array_header_t *files = take_files(finish, build, result);
    int fd = open_object(finish, result->index);
    const char *what = "open";
    int error;

    if (files) {
        remember(finish, build, files);
    }
    else {
        key_once(finish, build);
    }
    error = fd < 0
                ? errno
                : object_adopt(finish->dir_fd, fd, build->key, finish->b->memory.sum, NULL, &what);
    if (fd >= 0) {
        close(fd);
    }
    if (error) {
        module_error(finish->diags, build->module, -1,
                     "the finished build cannot be kept in BuildDirectory (%s): %s", what,
                     strerror(error));
        build->key[0] = '\0';
        return;
    }
    build->object = apr_pstrcat(finish->pool, build->key, ".so", NULL);
}

/* Why a compiler that failed names no line. */
static const char *hint(const char *words, int status)
{
    if (strcasestr(words, "out of memory") || strcasestr(words, "memory exhausted") ||
        strcasestr(words, "cannot allocate") || strcasestr(words, "bad_alloc")) {
        return " (BuildMemoryLimit is the bound)";
    }
    if (strstr(words, "CPU time limit") || status == 128 + SIGXCPU) {
        return " (BuildTimeout is the bound)";
    }
    if (strcasestr(words, "file size limit") || status == 128 + SIGXFSZ) {
        return " (its output is too large)";
    }
    return "";
}

/* A copied folder lacks what is below it and beside it. */
static void explain_copy(struct finish *finish, const struct build *build,
                         const struct result *result)
{
    const char *user = finish->run->conf->process.build_user_name;

    if (*result->files &&
        (strstr(result->output, "No such file or directory") ||
         strstr(result->output, "Permission denied") || strstr(result->output, "cannot find "))) {
        module_error(finish->diags, build->module, -1,
                     "BuildUser %s may not read all of %s, so copies of its sources and headers "
                     "were compiled, without the folders in it and above it; name those by "
                     "absolute path (ModuleFlags -I), or move the module to a folder that this "
                     "user may read",
                     user ? user : "?", result->files);
    }
}

static void explain_failure(struct finish *finish, const struct build *build,
                            const struct result *result)
{
    const char *folder = command_folder(build, 0, finish->run->pool);
    const char *loose = NULL;
    unsigned found =
        diagnostics_parse(finish->diags, result->output, result->output_len, folder, &loose);

    if (found == 0 && loose) {
        module_error(finish->diags, build->module, -1, "%s does not compile: %s%s",
                     build->module->name, loose, hint(result->output, result->detail));
    }
    else if (found == 0) {
        module_error(finish->diags, build->module, -1,
                     "%s does not compile: the compiler ended with %s %d%s", build->module->name,
                     result->detail > 128 ? "signal" : "status",
                     result->detail > 128 ? result->detail - 128 : result->detail,
                     hint(result->output, result->detail));
    }
}

static void explain(struct finish *finish, const struct build *build, const struct result *result)
{
    const struct conf_process *process = &finish->run->conf->process;
    struct diags *diags = finish->diags;
    const char *name = build->module->name;

    switch ((enum result_outcome)result->outcome) {
    case RESULT_FAILED:
        explain_failure(finish, build, result);
        explain_copy(finish, build, result);
        break;
    case RESULT_TIMEOUT:
        module_error(diags, build->module, -1,
                     "%s was not compiled within BuildTimeout (%" PRId64 " ms): the compiler was "
                     "ended",
                     name, process->build_timeout);
        break;
    case RESULT_CHANGING:
        module_error(diags, build->module, -1,
                     "the sources of %s changed whenever they were compiled: try again when they "
                     "are complete",
                     name);
        break;
    case RESULT_UNREADABLE:
        module_error(diags, build->module, -1,
                     "BuildUser %s cannot read %s: %s; make it readable for that user (chmod o+r, "
                     "and o+x for its folder), or choose another BuildUser",
                     process->build_user_name ? process->build_user_name : "?", result->files,
                     strerror(result->detail));
        break;
    case RESULT_BUILT:
    case RESULT_BROKEN:
    case RESULT_OUTCOMES:
        module_error(diags, build->module, -1, "the builder cannot compile %s: %s", name,
                     strerror(result->detail));
        break;
    }
}

/* No record of it: the builder process did not come to an end. */
static void explain_death(struct finish *finish, const struct build *build)
{
    if (WIFSIGNALED(finish->ended)) {
        module_error(finish->diags, build->module, -1,
                     "%s was not compiled: the builder process was ended by signal %d",
                     build->module->name, WTERMSIG(finish->ended));
    }
    else if (WEXITSTATUS(finish->ended) == 3) {
        module_error(finish->diags, build->module, -1,
                     "%s was not compiled: the builder process cannot become BuildUser",
                     build->module->name);
    }
    else {
        module_error(finish->diags, build->module, -1,
                     "%s was not compiled: the builder process ended with status %d",
                     build->module->name, WEXITSTATUS(finish->ended));
    }
}

static void take_module(struct finish *finish, int index)
{
    struct build *build = &finish->run->list->list[index];
    const struct result *result = finish->results[index];

    if (!build->needed) {
        return;
    }
    if (!result) {
        explain_death(finish, build);
        return;
    }
    build->compiled = true;
    bytes_add(&finish->output, result->output, result->output_len);
    if (result->outcome == RESULT_BUILT) {
        (void)diagnostics_parse(finish->diags, result->output, result->output_len,
                                command_folder(build, 0, finish->run->pool), NULL);
        adopt(finish, build, result);
    }
    else {
        explain(finish, build, result);
    }
}

/* Entries that are built by another one. */
static void share(struct finish *finish)
{
    for (int i = 0; i < finish->run->list->count; i++) {
        struct build *build = &finish->run->list->list[i];

        if (build->input->same) {
            apr_cpystrn(build->key, build->input->same->key, sizeof(build->key));
            build->object = build->input->same->object;
        }
    }
}

static void give_output(struct finish *finish)
{
    struct diags *diags = finish->diags;

    if (finish->output.len == 0) {
        return;
    }
    finish->run->list->output = finish->output.data;
    diags->output =
        apr_pstrcat(diags->pool, diags->output ? diags->output : "", finish->output.data, NULL);
}

static int count_failed(const struct build_list *list)
{
    int failed = 0;

    for (int i = 0; i < list->count; i++) {
        failed += !list->list[i].object;
    }
    return failed;
}

int builder_finish(struct builder *b, struct build_list *list, int dir_fd, pid_t pid, int fd,
                   struct diags *diags, apr_pool_t *pool)
{
    struct build_run *run = b->run;
    struct finish finish = { .b = b,
                             .run = run,
                             .dir_fd = dir_fd,
                             .diags = diags,
                             .pool = pool,
                             .output = { .pool = pool } };

    finish.ended = end_process(pid, fd);
    memory_refresh(&b->memory);
    read_results(&finish);
    for (int i = 0; i < list->count; i++) {
        take_module(&finish, i);
    }
    share(&finish);
    give_output(&finish);
    work_remove(dir_fd, run->work_name);
    b->run = NULL;
    apr_pool_destroy(run->pool);
    return count_failed(list);
}
