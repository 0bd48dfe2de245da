/* SPDX-License-Identifier: Apache-2.0 */
/* A job's second half: the new generation is forked, and where it fails, the
 * person who asked is told what it was doing, and which line asked for that. */
#include <errno.h>
#include <string.h>

#include "builder/builder.h"
#include "config/conf.h"
#include "config/logs.h"
#include "master/generations.h"
#include "master/job.h"
#include "master/listeners.h"
#include "master/numbers.h"
#include "master/place.h"
#include "scoreboard/scoreboard.h"
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
    manifest->logs = logs_open(manifest->conf, diags, manifest->pool);
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

    if (!check && !job_open(m, job)) {
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
            *(fresh->last ? &fresh->last->next : &fresh->first) = e;
            fresh->last = e;
            *(e->severity == DIAG_ERROR ? &fresh->errors : &fresh->warnings) += 1;
        }
    }
    fresh->output = diags->output == NULL ? said->output : NULL;
    diags_append(diags, fresh);
    if (diags->errors == 0) {
        diags_add(diags, DIAG_START, DIAG_ERROR, NULL, 0, 0,
                  "the generation failed without saying why");
    }
}

/* ---- Blame ------------------------------------------------------------- */

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool mentions(const char *doing, const char *name)
{
    size_t len = strlen(name);
    const char *at;

    for (at = strstr(doing, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == doing || !is_name_char(at[-1])) && !is_name_char(at[len])) {
            return true;
        }
    }
    return false;
}

static const struct conf_node *module_line(const struct manifest *manifest, const char *doing)
{
    const apr_array_header_t *modules = manifest->conf->process.modules;

    for (int i = 0; i < modules->nelts; i++) {
        const struct conf_module *module = &APR_ARRAY_IDX(modules, i, struct conf_module);

        if (mentions(doing, module->name)) {
            return module->node;
        }
    }
    return NULL;
}

static enum diag_stage stage_of(const char *doing)
{
    if (begins_with(doing, "loading")) {
        return DIAG_LOAD;
    }
    return begins_with(doing, "reading") ? DIAG_CONFIG : DIAG_START;
}

void job_blame(struct job *job, const struct generation *gen, const char *words)
{
    char doing[SB_DOING] = "";

    if (gen->slot != NULL) {
        /* Its writer may be in the middle of it: only bounded, never trusted. */
        memcpy(doing, gen->slot->doing, sizeof(doing) - 1);
        doing[sizeof(doing) - 1] = '\0';
    }
    place_error(job->outcome->diags, stage_of(doing), module_line(job->manifest, doing), -1,
                "the new generation %s%s%s", words, doing[0] != '\0' ? " while " : "", doing);
}
