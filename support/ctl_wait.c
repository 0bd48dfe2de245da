/* SPDX-License-Identifier: Apache-2.0 */
/* Time, keys, the end, and asking: for the verbs that stay. */
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "master/verbs.h"

enum { ASK_TRIES = 20, ASK_PAUSE_MS = 100 };

volatile sig_atomic_t ctl_ended;

static void on_end(int number)
{
    (void)number;
    ctl_ended = 1;
}

void ctl_catch_end(void)
{
    struct sigaction action = { .sa_handler = on_end };

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

double ctl_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int ctl_wait(double seconds, bool keys)
{
    struct pollfd p = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
    unsigned char key = 0;

    if (ctl_ended || poll(&p, 1, (int)(seconds * 1000)) <= 0) {
        return 0;
    }
    if (read(STDIN_FILENO, &key, 1) != 1) {
        ctl_ended = 1; /* the terminal is gone */
    }
    return key;
}

const char *ctl_ask(const struct whereabouts *w, const char *verb, apr_pool_t *pool)
{
    struct control_answer answer;

    for (int i = 0; i < ASK_TRIES && !ctl_ended; i++) {
        if (control_ask(w, verb, &answer, pool) == 0) {
            return answer.code == VERB_DONE ? answer.text : NULL;
        }
        if (kill(w->pid, 0) != 0 && errno == ESRCH) {
            return NULL;
        }
        (void)ctl_wait(ASK_PAUSE_MS / 1000.0, false);
    }
    return NULL;
}
