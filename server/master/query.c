/* SPDX-License-Identifier: Apache-2.0 */
/* instarctl routes: asked here, answered by a process that has all of it loaded. */
#include "master/query.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/control.h"
#include "master/job.h"
#include "master/manifest.h"
#include "master/reload.h"
#include "master/verbs.h"

void query_ask(struct master *m, const struct launch_query *query, struct control_client *client)
{
    struct launch_query *copy;
    apr_pool_t *pool;
    struct job *job;

    if (m->serving == NULL || m->serving->manifest == NULL) {
        control_reply(m, client, VERB_REFUSED,
                      client->json ? "{\"ok\": false}\n" : "nothing serves at the moment\n");
        return;
    }
    job = job_create(JOB_CHECK, "query");
    pool = job->outcome->pool;
    copy = apr_pmemdup(pool, query, sizeof(*query));
    copy->path = apr_pstrdup(pool, query->path);
    copy->method = apr_pstrdup(pool, query->method);
    copy->host = apr_pstrdup(pool, query->host);
    copy->output = memfd_create("instar-answer", MFD_CLOEXEC);
    job->query = copy;
    job->dump = DUMP_ROUTES;
    job->manifest = manifest_keep(m->serving->manifest);
    reload_add_check(m, job, client);
}

void query_answer(struct master *m, struct control_client *client, const struct job *job)
{
    int fd = job->query->output;
    struct stat st;
    char *text = fstat(fd, &st) == 0 ? calloc(1, (size_t)st.st_size + 1) : NULL;

    if (text == NULL || pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
        control_reply(m, client, VERB_REFUSED, "the answer could not be read\n");
    }
    else {
        control_reply(m, client, VERB_DONE, text);
    }
    free(text);
}
