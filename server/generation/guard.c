/* SPDX-License-Identifier: Apache-2.0 */
/* Checked after each step of module code, so that the words can name the module.
 * Both checks are a system call or two. */
#include "generation/guard.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STRAY_ROUNDS = 50 };

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
    /* With -X the process is the master, too, and has the log commands. */
    known.told = waitpid(-1, NULL, WNOHANG) == 0;
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

static void kill_children(void)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    char *line = NULL, *at, *end;
    size_t size = 0;

    if (file && getline(&line, &size, file) > 0) {
        for (at = line;; at = end) {
            long pid = strtol(at, &end, 10);

            if (end == at || pid <= 0) {
                break;
            }
            (void)kill((pid_t)pid, SIGKILL);
        }
    }
    free(line);
    if (file) {
        (void)fclose(file);
    }
}

void guard_end_strays(void)
{
    const struct timespec pause = { 0, 1000000 };
    pid_t child = 0;

    /* what the dead leave behind comes to this subreaper: so more than one round */
    for (int round = 0; round < STRAY_ROUNDS && child >= 0; round++) {
        kill_children();
        do {
            child = waitpid(-1, NULL, WNOHANG);
        } while (child > 0);
        if (child == 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
}
