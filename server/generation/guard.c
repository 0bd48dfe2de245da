/* SPDX-License-Identifier: Apache-2.0 */
/* Checked after each step of module code, so that the words can name the module.
 * Both checks are a system call or two. */
#include "generation/guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t pid;
    nlink_t threads;
    bool told; /* of a process: the next module did not start it */
} known;

/* A link of its parent for each thread, and two more. */
static nlink_t count_threads(void)
{
    struct stat st;

    return stat("/proc/self/task", &st) == 0 ? st.st_nlink : 0;
}

void guard_start(void)
{
    known.pid = getpid();
    known.threads = count_threads();
}

const char *guard_check(void)
{
    nlink_t threads;
    pid_t child;

    if (getpid() != known.pid) {
        /* module code forked and both came back here */
        _exit(1);
    }
    threads = count_threads();
    if (threads > known.threads) {
        known.threads = threads;
        return "a thread";
    }
    do {
        child = waitpid(-1, NULL, WNOHANG);
    } while (child > 0);
    if (child == 0 && !known.told) {
        known.told = true;
        return "a process";
    }
    return NULL;
}
