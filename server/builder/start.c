/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder_start(): everything that needs the master's rights is opened here (the
 * work folder, the folders of sources), then the builder process is forked, and
 * the master goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/command.h"
#include "builder/jail.h"
#include "builder/state.h"
#include "builder/work.h"
#include "config/conf.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "builder"

/* The builder process inherits them all; fork_role() has a bound. */
enum { FOLDERS_MAX = 900 };

static apr_status_t run_end(void *data)
{
    struct build_run *run = data;

    if (run->work_fd >= 0) {
        close(run->work_fd);
    }
    if (run->result_fd >= 0) {
        close(run->result_fd);
    }
    return APR_SUCCESS;
}

static void add_folder(void *to, const char *folder)
{
    struct build_run *run = to;

    if (run->names.list->nelts < FOLDERS_MAX) {
        (void)names_add(&run->names, folder);
    }
}

/* What the build user must reach, although a folder above it may be closed to it. */
static void open_folders(struct build_run *run)
{
    add_folder(run, run->include_dir);
    for (int i = 0; i < run->list->count; i++) {
        const struct build *build = &run->list->list[i];

        for (int s = 0; build->needed && s < build->input->sources.count; s++) {
            add_folder(run, command_folder(build, s, run->pool));
        }
        if (build->needed) {
            command_folders(build, add_folder, run, run->pool);
        }
    }
}

static int open_work(struct builder *b, struct build_run *run, int dir_fd)
{
    const struct conf_process *process = &run->conf->process;

    int made;

    /* One may be left from a process that had our pid: in a container it is
     * always the same. */
    do {
        run->work_name = apr_psprintf(run->pool, "work.%ld.%u", (long)getpid(), ++b->runs);
        made = mkdirat(dir_fd, run->work_name, 0700);
    } while (made != 0 && errno == EEXIST);
    if (made != 0) {
        return errno;
    }
    run->work_fd = openat(dir_fd, run->work_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (run->work_fd < 0) {
        return errno;
    }
    if (run->dropped && fchown(run->work_fd, process->build_user, process->build_group) != 0) {
        return errno;
    }
    run->result_fd = memfd_create("instar-build", MFD_CLOEXEC);
    return run->result_fd < 0 ? errno : 0;
}

static struct build_run *run_create(struct builder *b, struct build_list *list,
                                    const struct conf *conf, const char *include_dir,
                                    apr_pool_t *parent)
{
    struct build_run *run;
    apr_pool_t *pool;

    apr_pool_create(&pool, parent);
    run = apr_pcalloc(pool, sizeof(*run));
    run->pool = pool;
    run->list = list;
    run->conf = conf;
    run->include_dir = include_dir;
    run->work_fd = run->result_fd = -1;
    run->dropped = geteuid() == 0 && conf->process.build_user != 0;
    run->user = run->dropped ? conf->process.build_user : geteuid();
    names_init(&run->names, pool);
    apr_pool_cleanup_register(pool, run, run_end, apr_pool_cleanup_null);
    b->run = run;
    return run;
}

/* Once in a server's life: what the kernel does not give us. */
static void report_jail(struct builder *b)
{
    const char *missing = jail_missing();

    if (missing && !b->jail_reported) {
        log_warning("INS01201", "modules are compiled without %s: the kernel does not permit it",
                    missing);
    }
    b->jail_reported = true;
}

/* The process, and the pipe that says when it has ended. */
static int launch(struct builder *b, pid_t *pid, int *fd)
{
    struct build_run *run = b->run;
    int count = run->names.list->nelts;
    int *keep = apr_palloc(run->pool, (size_t)(count + 3) * sizeof(int));
    pid_t master = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    for (int i = 0; i < count; i++) {
        keep[i] = APR_ARRAY_IDX(run->names.list, i, struct name).fd;
    }
    keep[count] = run->work_fd;
    keep[count + 1] = run->result_fd;
    keep[count + 2] = ends[1];
    *pid = fork_role("instar: builder", keep, count + 3, true);
    if (*pid == 0) {
        work_run(b, master);
    }
    close(ends[1]);
    if (*pid < 0) {
        int error = errno;

        close(ends[0]);
        return error;
    }
    *fd = ends[0];
    return 0;
}

int builder_start(struct builder *b, struct build_list *list, const struct conf *conf, int dir_fd,
                  const char *include_dir, pid_t *pid, int *fd, apr_pool_t *pool)
{
    struct build_run *run = run_create(b, list, conf, include_dir, pool);
    int error;

    *pid = -1;
    *fd = -1;
    report_jail(b);
    error = open_work(b, run, dir_fd);
    if (!error) {
        open_folders(run);
        error = launch(b, pid, fd);
    }
    if (error) {
        (void)unlinkat(dir_fd, run->work_name, AT_REMOVEDIR);
        b->run = NULL;
        apr_pool_destroy(run->pool);
    }
    return error;
}
