/* SPDX-License-Identifier: Apache-2.0 */
#include "generation/stapler.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tls/tls.h"
#include "util/log.h"
#include "util/role.h"

#define LOG_PART "generation"

enum { PAUSE_MS = 10000 };

__attribute__((noreturn)) static void be_stapler(const struct minding *m, pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) {
        _exit(EXIT_SUCCESS);
    }
    tls_staple_run(m->app->tls);
}

static void start(struct minding *m)
{
    char name[64];
    int keep[] = { log_fd() };
    pid_t parent = getpid();

    (void)snprintf(name, sizeof(name), "instar: stapler %" PRIu64, m->launch->number);
    m->stapler = fork_role(name, keep, 1, false);
    if (m->stapler == 0) {
        be_stapler(m, parent);
    }
    if (m->stapler < 0) {
        m->stapler = 0;
        log_error("INS02252", "the process that fetches OCSP responses cannot be started");
    }
}

static bool is_wanted(const struct minding *m)
{
    return m->state == MIND_SERVING && m->stapler == 0 && tls_staples(m->app->tls);
}

void stapler_run_timers(struct minding *m, int64_t now)
{
    if (is_wanted(m) && m->stapler_at <= now) {
        m->stapler_at = now + PAUSE_MS;
        start(m);
    }
}

int64_t stapler_due(const struct minding *m)
{
    return is_wanted(m) ? m->stapler_at : INT64_MAX;
}

static void end(struct minding *m)
{
    if (m->stapler > 0) {
        (void)kill(m->stapler, SIGKILL);
    }
}

void stapler_renew(struct minding *m)
{
    end(m);
    m->stapler = 0; /* its end is nobody's concern any more */
    m->stapler_at = 0;
}

void stapler_exited(struct minding *m, pid_t pid)
{
    if (pid <= 0 || pid != m->stapler) {
        return;
    }
    m->stapler = 0;
    if (m->state == MIND_SERVING) {
        log_warning("INS02253", "the process that fetches OCSP responses has ended; another one "
                                "follows");
    }
}

void stapler_stop(struct minding *m)
{
    end(m);
}
