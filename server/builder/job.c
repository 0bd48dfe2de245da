/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module's build: its steps, their words, and at its end the question that
 * makes the cache right: did what the compiler read change while it was read? Then it is
 * compiled again.
 */
#include "builder/job.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/bytes.h"
#include "builder/command.h"
#include "builder/depfile.h"
#include "builder/result.h"
#include "config/conf.h"
#include "util/check.h"

enum { ATTEMPTS = 4 };
/* A kernel's clock for files stands still for up to 10 ms. */
static const int64_t clock_step = 20 * 1000000LL;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void attempt_begin(struct job *job)
{
    apr_pool_create(&job->pool, job->work->run->pool);
    job->count = command_steps(job->build);
    job->steps = apr_pcalloc(job->pool, (size_t)job->count * sizeof(struct job_step));
    job->failed = job->late = false;
    job->deadline = 0;
    job->attempt++;
}

/* With the first step: from here on the sources must not change. */
static void attempt_start(struct job *job)
{
    struct memory *memory = &job->work->b->memory;

    memory_refresh(memory);
    for (int i = 0; i < job->build->input->sources.count; i++) {
        memory_look(memory, job->build->input->sources.list[i]);
    }
    job->epoch = memory->epoch;
    job->began = clock_ns(CLOCK_REALTIME);
    job->deadline = clock_ns(CLOCK_MONOTONIC) / 1000000 + job->work->timeout;
}

static void attempt_end(struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        free(job->steps[i].text);
    }
    apr_pool_destroy(job->pool);
    job->pool = NULL;
}

void job_init(struct job *job, struct work *work, int index)
{
    memset(job, 0, sizeof(*job));
    job->work = work;
    job->build = &work->run->list->list[index];
    job->index = index;
    attempt_begin(job);
}

/* Which step can start? The linker waits for all others, and is not run where one failed. */
static int next_step(const struct job *job)
{
    bool all_ended = true;

    for (int i = 0; i < job->count; i++) {
        bool link = job->count > 1 && i == job->count - 1;

        if (!job->steps[i].started) {
            return link && (!all_ended || job->failed) ? -1 : i;
        }
        all_ended = all_ended && job->steps[i].ended;
    }
    return -1;
}

/* What the compiler inherits: the work folder, and folders that it cannot reach
 * by their paths. */
static int inherit(const struct build_run *run, int *fds)
{
    int count = 0;

    fds[count++] = run->work_fd;
    for (int i = 0; i < run->names.list->nelts; i++) {
        const struct name *name = &APR_ARRAY_IDX(run->names.list, i, struct name);

        if (!name->direct) {
            fds[count++] = name->fd;
        }
    }
    return count;
}

static int spawn(struct job *job, int number)
{
    const struct build_run *run = job->work->run;
    int *fds = apr_palloc(job->pool, (size_t)(run->names.list->nelts + 1) * sizeof(int));
    const char *folder = command_folder(job->build, number, job->pool);
    struct step_command command = {
        .argv = command_make(run, job->build, job->index, number, job->pool),
        .envp = job->work->envp,
        .folder = folder,
        .folder_fd = names_fd(&run->names, folder),
        .fds = fds,
        .fd_count = inherit(run, fds),
        .limits = &job->work->limits,
    };

    return step_start(&command, &job->steps[number].process);
}

bool job_start(struct job *job)
{
    int number = job->done || job->late ? -1 : next_step(job);
    struct job_step *step;

    if (number < 0) {
        return false;
    }
    if (job->deadline == 0) {
        attempt_start(job);
    }
    step = &job->steps[number];
    step->started = true;
    job->detail = spawn(job, number);
    if (job->detail) {
        step->ended = true;
        step->status = -1;
        job->failed = true;
    }
    return true;
}

static void keep_text(struct job_step *step, const char *text, size_t len)
{
    if (len > RESULT_MAX_OUTPUT - step->len) {
        len = RESULT_MAX_OUTPUT - step->len;
    }
    if (step->len + len > step->room) {
        step->room = 2 * (step->len + len);
        step->text = realloc(step->text, step->room);
        INS_CHECK(step->text);
    }
    if (len > 0) {
        memcpy(step->text + step->len, text, len);
        step->len += len;
    }
}

bool job_read(struct job_step *step)
{
    char buf[16 * 1024];
    ssize_t n = read(step->process.out, buf, sizeof(buf));

    if (n > 0) {
        keep_text(step, buf, (size_t)n);
        return true;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

void job_step_ended(struct job *job, struct job_step *step)
{
    char buf[16 * 1024];
    ssize_t n;

    step->status = step_end(&step->process);
    step->ended = true;
    job->failed = job->failed || step->status != 0;
    /* Bounded: the group is gone, the pipe holds what it holds. */
    while ((n = read(step->process.out, buf, sizeof(buf))) > 0) {
        keep_text(step, buf, (size_t)n);
    }
    step_close(&step->process);
    if (step->status != 0) {
        job->detail = step->status;
    }
}

void job_expire(struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        if (job->steps[i].started && !job->steps[i].ended) {
            job_step_ended(job, &job->steps[i]);
        }
    }
    job->late = true;
}

/* Absolute and as the user knows it. */
static const char *real_name(struct job *job, int step, const char *name)
{
    size_t len;

    if (name[0] != '/') {
        return apr_pstrcat(job->pool, command_folder(job->build, step, job->pool), "/", name, NULL);
    }
    return names_real(&job->work->run->names, name, strlen(name), &len, job->pool);
}

/* Files that were read, each once. */
struct file_list {
    struct job *job;
    apr_array_header_t *files; /* struct file * */
    apr_hash_t *seen;
};

static void add_file(struct file_list *list, struct file *file)
{
    if (!apr_hash_get(list->seen, file->path, APR_HASH_KEY_STRING)) {
        apr_hash_set(list->seen, file->path, APR_HASH_KEY_STRING, file);
        APR_ARRAY_PUSH(list->files, struct file *) = file;
    }
}

/* What one compiler reported; false where it left no report. */
static bool add_reported(struct file_list *list, int step)
{
    struct job *job = list->job;
    apr_array_header_t *names = apr_array_make(job->pool, 64, sizeof(const char *));
    const char *depfile = command_depfile(job->index, step, job->pool);
    size_t len;
    const char *text = depfile_load(job->work->run->work_fd, depfile, &len, job->pool);

    if (!text) {
        return false;
    }
    depfile_parse(text, len, names);
    for (int i = 0; i < names->nelts; i++) {
        const char *name = real_name(job, step, APR_ARRAY_IDX(names, i, const char *));

        add_file(list, memory_file(&job->work->b->memory, name));
    }
    return true;
}

/* Sources first; *whole is false where a compiler left no report. */
static apr_array_header_t *collect_files(struct job *job, bool *whole)
{
    struct file_list list = { .job = job,
                              .files = apr_array_make(job->pool, 64, sizeof(struct file *)),
                              .seen = apr_hash_make(job->pool) };
    const struct sources *sources = &job->build->input->sources;

    *whole = true;
    for (int i = 0; i < sources->count; i++) {
        add_file(&list, sources->list[i]);
    }
    for (int step = 0; step < sources->count; step++) {
        *whole = add_reported(&list, step) && *whole;
    }
    return list.files;
}

/* Copied before any compiler ran, and closed to all of them. */
static bool is_copy(const struct job *job, const struct file *file)
{
    const struct names *names = &job->work->run->names;
    const struct name *name = names_find(names, file->path);
    char buf[PATH_MAX];
    struct stat st;

    return name && name->copy &&
           lstat(names_reach(names, file->path, buf, sizeof(buf)), &st) == 0 && S_ISREG(st.st_mode);
}

/* Could the compiler have read something else than what is there now? A file that
 * was known before must have its content still; one that was not must be older than this
 * attempt. A copy stays; whether the file itself did is seen by the master, who may
 * look at it. */
static bool changed_meanwhile(const struct job *job, const struct file *file)
{
    if (is_copy(job, file)) {
        return false;
    }
    if (file->first <= job->epoch) {
        return file->changed > job->epoch;
    }
    return file->kind == FILE_ABSENT ||
           (file->kind == FILE_REGULAR && file->stat.ctime > job->began - clock_step);
}

/* Looks at all files again: HASH PATH lines for the master. */
static bool describe_files(struct job *job, const apr_array_header_t *files, struct bytes *lines)
{
    struct memory *memory = &job->work->b->memory;
    bool changed = false;
    char hex[FP_HEX];

    memory_refresh(memory);
    for (int i = 0; i < files->nelts; i++) {
        struct file *file = APR_ARRAY_IDX(files, i, struct file *);

        memory_look(memory, file);
        changed = changed || changed_meanwhile(job, file);
        fp_to_hex(&file->hash, hex);
        bytes_add_text(lines, hex);
        bytes_add_text(lines, " ");
        bytes_add_text(lines, file->path);
        bytes_add_text(lines, "\n");
    }
    return changed;
}

/* The words of all steps, in their order, within the module's bound. */
static const char *all_words(struct job *job, size_t *len)
{
    static const char cut[] = "\n[the compiler said more than 1 MiB: the rest is cut]\n";
    struct bytes text = { .pool = job->pool };
    struct bytes bounded = { .pool = job->pool };
    const char *real;

    bytes_add_text(&text, "");
    for (int i = 0; i < job->count; i++) {
        bytes_add(&text, job->steps[i].text, job->steps[i].len);
    }
    real = names_real(&job->work->run->names, text.data, text.len, len, job->pool);
    if (*len < RESULT_MAX_OUTPUT) {
        return real;
    }
    bytes_add(&bounded, real, RESULT_MAX_OUTPUT - sizeof(cut));
    bytes_add_text(&bounded, cut);
    *len = bounded.len;
    return bounded.data;
}

/* The first source that the build user cannot open, or NULL. */
static const char *unreadable(const struct job *job, int *error)
{
    const struct build_run *run = job->work->run;
    const struct sources *sources = &job->build->input->sources;
    char buf[PATH_MAX];

    for (int i = 0; i < sources->count; i++) {
        const char *path = sources->list[i]->path;

        if (access(names_reach(&run->names, path, buf, sizeof(buf)), R_OK) != 0) {
            const struct name *name;

            *error = errno;
            name = names_find(&run->names, path);
            if (name && name->error) {
                *error = name->error;
            }
            return path;
        }
    }
    return NULL;
}

/* The first folder of its sources that was compiled as a copy; "". */
static const char *copied_folder(const struct job *job)
{
    const struct sources *sources = &job->build->input->sources;

    for (int i = 0; i < sources->count; i++) {
        const struct name *name = names_find(&job->work->run->names, sources->list[i]->path);

        if (name && name->copy) {
            return name->real;
        }
    }
    return "";
}

static void report(struct job *job, int outcome, const char *files, size_t files_len)
{
    struct result result = { .index = job->index, .outcome = outcome, .detail = job->detail };
    size_t len;

    result.output = all_words(job, &len);
    result.output_len = (uint32_t)len;
    result.files = files;
    result.files_len = (uint32_t)files_len;
    (void)result_write(job->work->run->result_fd, &result);
    job->done = true;
    attempt_end(job);
}

static void report_failure(struct job *job)
{
    int error = 0;
    const char *path = unreadable(job, &error);

    if (path) {
        job->detail = error;
        report(job, RESULT_UNREADABLE, path, strlen(path));
    }
    else {
        const char *folder = copied_folder(job);
        bool never_ran = false;

        for (int i = 0; i < job->count; i++) {
            never_ran = never_ran || job->steps[i].status < 0;
        }
        report(job, never_ran ? RESULT_BROKEN : RESULT_FAILED, folder, strlen(folder));
    }
}

void job_conclude(struct job *job)
{
    apr_array_header_t *files;
    struct bytes lines = { .pool = job->pool };
    bool changed, whole;

    if (job->late) {
        report(job, RESULT_TIMEOUT, "", 0);
        return;
    }
    files = collect_files(job, &whole);
    changed = describe_files(job, files, &lines);
    if (changed && job->attempt < ATTEMPTS) {
        attempt_end(job);
        attempt_begin(job);
    }
    else if (job->failed) {
        report_failure(job);
    }
    else if (changed) {
        report(job, RESULT_CHANGING, "", 0);
    }
    else if (!whole || lines.len > RESULT_MAX_FILES) {
        job->detail = whole ? E2BIG : ENOENT;
        report(job, RESULT_BROKEN, "", 0);
    }
    else {
        report(job, RESULT_BUILT, lines.data, lines.len);
    }
}
