/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to a rollback; all else is a reload's. */
#include "master/rollback.h"

#include <inttypes.h>

#include <apr_strings.h>

#include "builder/builder.h"
#include "master/job.h"
#include "master/reload.h"
#include "master/store.h"
#include "util/diag.h"

void rollback_request(struct master *m, uint64_t target, struct control_client *client)
{
    struct job *job = job_create(JOB_ROLLBACK, "rollback");

    job->target = target;
    job_add_client(job, client);
    reload_queue(m, job);
}

void rollback_by_itself(struct master *m, uint64_t target, uint64_t guilty, const char *words)
{
    struct job *job = job_create(JOB_ROLLBACK, "rollback");

    job->target = target;
    job->guilty = guilty;
    job->unwanted = m->serving->manifest->number;
    outcome_note(job->outcome, "by itself: %s", words);
    reload_queue(m, job);
}

bool rollback_is_stale(const struct master *m, const struct job *job)
{
    return job->guilty != 0 &&
           (m->serving == NULL || m->serving->manifest->number != job->unwanted);
}

static bool refuse(struct master *m, struct job *job, const char *words)
{
    diags_add(job->outcome->diags, DIAG_CONFIG, DIAG_ERROR, NULL, 0, 0, "%s; kept: %s", words,
              store_kept_words(m, job->outcome->pool));
    return false;
}

bool rollback_read(struct master *m, struct job *job)
{
    uint64_t target = job->target;

    if (target == 0 && m->serving != NULL) {
        target = m->serving->manifest->before;
    }
    if (target == 0) {
        return refuse(m, job,
                      "nothing is known that served before: there is nothing to go back to");
    }
    job->manifest = store_load(m, target, job->outcome->diags);
    if (job->manifest == NULL) {
        return false;
    }
    job->outcome->rolled_back_to = job->manifest->number;
    job->outcome->unchanged = job->manifest->builds->count;
    outcome_note(job->outcome, "the config and modules of generation %" PRIu64,
                 job->manifest->number);
    return true;
}

void rollback_note(struct master *m, const struct job *job, const struct generation *old)
{
    apr_pool_t *pool = job->outcome->pool;
    const char *words = apr_psprintf(pool, "rolled back to %" PRIu64, job->manifest->number);

    if (old != NULL) {
        if (job->guilty != 0) {
            words = apr_psprintf(pool, "%s; %s",
                                 APR_ARRAY_IDX(job->outcome->notes, 0, const char *), words);
        }
        store_thrown_out(m, old->number, job->guilty != 0, words);
    }
}
