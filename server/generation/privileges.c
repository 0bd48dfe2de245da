/* SPDX-License-Identifier: Apache-2.0 */
/* RLIMIT_NPROC counts all tasks of a user, the server's older workers too, so
 * the limit while module code sets up is relative to what runs now. It binds
 * unprivileged users alone, which is what the process is by then. */
#include "generation/privileges.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config/conf.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "generation"

enum { TASKS_MORE = 256 };

static struct rlimit before;
static bool limited;

/* "0.20 0.18 0.12 1/80 11206": the number behind the slash; 0 where the system
 * does not say. */
static unsigned long count_tasks(void)
{
    char line[128] = "";
    const char *slash;
    FILE *file = fopen("/proc/loadavg", "re");

    if (!file) {
        return 0;
    }
    slash = fgets(line, sizeof(line), file) ? strchr(line, '/') : NULL;
    (void)fclose(file);
    return slash ? strtoul(slash + 1, NULL, 10) : 0;
}

void privileges_limit_processes(void)
{
    unsigned long tasks = count_tasks();
    struct rlimit limit;

    if (tasks == 0 || getrlimit(RLIMIT_NPROC, &before) != 0) {
        return;
    }
    limit = before;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > tasks + TASKS_MORE) {
        limit.rlim_cur = tasks + TASKS_MORE;
    }
    limited = setrlimit(RLIMIT_NPROC, &limit) == 0;
}

void privileges_unlimit_processes(void)
{
    if (limited) {
        (void)setrlimit(RLIMIT_NPROC, &before);
        limited = false;
    }
}

void privileges_prepare_cores(const struct conf_process *process)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) != 0) {
        return;
    }
    if (!process->core_dump_directory) {
        limit.rlim_cur = 0;
    }
    else {
        if (geteuid() == 0) {
            limit.rlim_max = RLIM_INFINITY;
        }
        limit.rlim_cur = limit.rlim_max;
        if (limit.rlim_max == 0) {
            log_warning("INS01301", "CoreDumpDirectory has no effect: the hard limit for core "
                                    "files is 0");
        }
    }
    (void)setrlimit(RLIMIT_CORE, &limit);
}

int privileges_drop(const struct conf_process *process)
{
    const char *name = process->user_name;

    if (geteuid() == 0 && process->user == 0) {
        return EPERM;
    }
    return role_drop_privileges(process->user, process->group,
                                name && name[0] != '#' ? name : NULL);
}

void privileges_leave_directory(const struct conf_process *process)
{
    const char *path = process->core_dump_directory;

    if (path && chdir(path) != 0) {
        log_warning("INS01302", "CoreDumpDirectory %s: %s", path, strerror(errno));
        path = NULL;
    }
    if (!path && chdir("/") != 0) {
        log_warning("INS01303", "cannot change to /: %s", strerror(errno));
    }
}
