/* SPDX-License-Identifier: Apache-2.0 */
/* Checked after each step of module code, so that the words can name the module.
 * Both checks are a system call or two. */
#include "generation/guard.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t pid;
    nlink_t threads;
} begin;

/* A link of its parent for each thread, and two more. */
static nlink_t count_threads(void)
{
    struct stat st;

    return stat("/proc/self/task", &st) == 0 ? st.st_nlink : 0;
}

void guard_start(void)
{
    begin.pid = getpid();
    begin.threads = count_threads();
}

const char *guard_check(void)
{
    pid_t child;

    if (getpid() != begin.pid) {
        /* module code forked and both came back here */
        _exit(1);
    }
    if (count_threads() > begin.threads) {
        return "a thread";
    }
    do {
        child = waitpid(-1, NULL, WNOHANG);
    } while (child > 0);
    return child == 0 ? "a process" : NULL;
}
