/* SPDX-License-Identifier: Apache-2.0 */
/* A job's second half: what the new generation needs is opened, it is forked,
 * and what it reports is taken over. */
#include <errno.h>
#include <string.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/listeners.h"
#include "master/log_commands.h"
#include "master/numbers.h"
#include "util/diag.h"

static bool take_number(struct master *m, struct diags *diags)
{
    uint64_t number = m->last_number + 1;
    int error = m->number_file != NULL ? numbers_write(m->number_file, number) : 0;

    if (error != 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "%s: the generation's number could not be written: %s", m->number_file,
                  strerror(error));
        return false;
    }
    m->last_number = number;
    return true;
}

/* A successor finds sockets and logs in the manifest already. */
static bool open_outside(struct master *m, struct job *job)
{
    struct diags *diags = job->outcome->diags;
    struct manifest *manifest = job->manifest;
    unsigned errors = diags->errors;

    if (job->kind == JOB_SUCCESSOR) {
        return true;
    }
    m->log_folder = manifest->conf->process.server_root;
    manifest->logs = logs_open(manifest->conf, log_command_open, m, diags, manifest->pool);
    manifest->log_hold = log_hold_take(m, manifest->logs);
    m->log_folder = NULL;
    return listeners_open(m, manifest, m->serving != NULL ? m->serving->manifest : NULL, diags) &&
           diags->errors == errors;
}

bool job_open(struct master *m, struct job *job)
{
    return open_outside(m, job) && take_number(m, job->outcome->diags);
}

bool job_start_generation(struct master *m, struct job *job)
{
    struct diags *diags = job->outcome->diags;
    bool check = job->kind == JOB_CHECK || diags->errors > 0;

    if (job->query != NULL) {
        /* of what serves already: its logs are open */
    }
    else if (check) {
        logs_check(job->manifest->conf, diags);
    }
    else if (!job_open(m, job)) {
        return false;
    }
    job->gen = generation_start(m, job->manifest, diags, check ? CHECK_NUMBER : m->last_number,
                                job->dump, check);
    if (job->gen == NULL) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the generation could not be started: %s", strerror(errno));
    }
    return job->gen != NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_known(const struct diags *diags, const struct diag *e)
{
    const struct diag *old;

    for (old = diags->first; old != NULL; old = old->next) {
        if (old->stage == e->stage && old->severity == e->severity && old->line == e->line &&
            old->column == e->column && same_text(old->file, e->file) &&
            same_text(old->message, e->message)) {
            return true;
        }
    }
    return false;
}

/* A worker that fails knows the module's name and not who asked for it. */
static void add_place(const struct manifest *manifest, struct diag *e)
{
    const struct conf_node *node = e->file == NULL ? blame_module(manifest, e->message) : NULL;

    if (node != NULL) {
        e->file = node->file->path;
        e->line = node->line;
        e->column = node->column;
    }
}

void job_take_diags(struct job *job, int fd)
{
    struct diags *diags = job->outcome->diags;
    struct diags *said = diags_create(diags->pool);
    struct diags *fresh = diags_create(diags->pool);
    struct diag *e, *next;
    int error = diags_read(said, fd);

    if (error != 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the generation's own report could not be read: %s", strerror(error));
        return;
    }
    /* It was given what the master had found, and may tell it again. */
    for (e = said->first; e != NULL; e = next) {
        next = e->next;
        if (!is_known(diags, e)) {
            e->next = NULL;
            add_place(job->manifest, e);
            *(fresh->last ? &fresh->last->next : &fresh->first) = e;
            fresh->last = e;
            *(e->severity == DIAG_ERROR ? &fresh->errors : &fresh->warnings) += 1;
        }
    }
    fresh->output = diags->output == NULL ? said->output : NULL;
    diags_append(diags, fresh);
    diags_order(diags);
    if (diags->errors == 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the generation failed without saying why");
    }
}
