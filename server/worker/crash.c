/* SPDX-License-Identifier: Apache-2.0 */
/* The last thing that a crashing worker does. Answers whose lines wait have been sent, so the
 * lines are worth an attempt; it must not keep the worker alive, nor change what its death looks
 * like. What is left out: a stack that has overflowed, since there is none to run on. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "worker/state.h"

enum { PATIENCE_S = 2 };

static void on_crash(int number)
{
    static atomic_flag begun = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&begun)) {
        (void)alarm(PATIENCE_S); /* by default it kills */
        access_log_rescue(worker_self->http);
        (void)alarm(0);
    }
    (void)raise(number); /* delivered when the handler returns, by default now */
}

void crash_keep_lines(void)
{
    static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
    struct sigaction action = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };

    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        struct sigaction now;

        /* a module or a sanitizer may have its own */
        if (sigaction(crashes[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
            (void)sigaction(crashes[i], &action, NULL);
        }
    }
}
