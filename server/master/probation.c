/* SPDX-License-Identifier: Apache-2.0 */
/* Counting the deaths of what has just begun to serve. */
#include "master/probation.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/children.h"
#include "master/rollback.h"
#include "util/json_out.h"
#include "util/log.h"

#define LOG_PART "master"

static bool is_on(const struct master *m)
{
    return m->probation.fallback != 0 && loop_now_ms() <= m->probation.until;
}

void probation_begin(struct master *m, const struct job *job, const struct manifest *old)
{
    const struct conf_process *process = &job->manifest->conf->process;
    struct probation *p = &m->probation;

    if (old != NULL && old->number == job->manifest->number) {
        return; /* the same once more: what it had done still counts */
    }
    memset(p, 0, sizeof(*p));
    if (old == NULL || job->guilty != 0 || process->probation_time == 0) {
        return;
    }
    p->fallback = old->number;
    p->since = loop_now_ms();
    p->until = p->since + process->probation_time;
    p->allowed = process->probation_crashes;
}

static bool counts(int status)
{
    return !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
}

void probation_death(struct master *m, const struct generation *gen, const char *who, int status,
                     const char *handler)
{
    struct probation *p = &m->probation;
    char how[CHILD_WORDS], words[PROBATION_WORDS];
    int64_t span = loop_now_ms() - p->since;

    if (gen != m->serving || m->phase != PHASE_RUNNING || !is_on(m) || !counts(status)) {
        return;
    }
    if (++p->crashes < p->allowed) {
        return;
    }
    (void)snprintf(
        words, sizeof(words),
        "generation %" PRIu64 " crashed %d time%s within %" PRId64 ".%" PRId64 " s, last %s %s%s%s",
        gen->number, p->crashes, p->crashes == 1 ? "" : "s", span / 1000, span % 1000 / 100, who,
        child_words(status, how), handler[0] ? ", its last handler was " : "", handler);
    log_error("INS01153", "%s: what generation %" PRIu64 " was made of is brought back", words,
              p->fallback);
    rollback_by_itself(m, p->fallback, gen->number, words);
    memset(p, 0, sizeof(*p));
}

/* ---- Words ------------------------------------------------------------------ */

const char *probation_text(const struct master *m, apr_pool_t *pool)
{
    const struct probation *p = &m->probation;

    if (m->serving == NULL || !is_on(m)) {
        return "";
    }
    return apr_psprintf(
        pool, "generation %" PRIu64 " is on probation for %" PRId64 " s more: %d of %d crashes\n",
        m->serving->number, (p->until - loop_now_ms() + 999) / 1000, p->crashes, p->allowed);
}

void probation_member(struct jout *j, const struct master *m)
{
    const struct probation *p = &m->probation;

    jout_key(j, "probation");
    if (!is_on(m)) {
        jout_null(j);
        return;
    }
    jout_object_begin(j);
    jout_key(j, "ms_left");
    jout_int(j, p->until - loop_now_ms());
    jout_key(j, "crashes");
    jout_int(j, p->crashes);
    jout_key(j, "allowed");
    jout_int(j, p->allowed);
    jout_object_end(j);
}
