/* SPDX-License-Identifier: Apache-2.0 */
/* When a generation dies without a word, its last note on the scoreboard says
 * what it was doing, and a module's name in that says which line of the config
 * to look at. */
#include <string.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/job.h"
#include "master/probe.h"
#include "scoreboard/scoreboard.h"
#include "util/diag.h"

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool mentions(const char *words, const char *name)
{
    size_t len = strlen(name);
    const char *at;

    for (at = strstr(words, name); at != NULL; at = strstr(at + 1, name)) {
        if ((at == words || !is_name_char(at[-1])) && !is_name_char(at[len])) {
            return true;
        }
    }
    return false;
}

const struct conf_node *blame_module(const struct manifest *manifest, const char *words)
{
    const apr_array_header_t *modules = manifest->conf->process.modules;

    for (int i = 0; i < modules->nelts; i++) {
        const struct conf_module *module = &APR_ARRAY_IDX(modules, i, struct conf_module);

        if (mentions(words, module->name)) {
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
    const char *asked = probe_words(job, job->outcome->pool);
    const struct conf_node *node;
    enum diag_stage stage;
    char doing[SB_DOING] = "";

    if (gen->slot != NULL) {
        /* Its writer may be in the middle of it: only bounded, never trusted. */
        memcpy(doing, gen->slot->doing, sizeof(doing) - 1);
        doing[sizeof(doing) - 1] = '\0';
    }
    stage = stage_of(doing);
    node = blame_module(job->manifest, doing);
    if (asked != NULL) {
        stage = DIAG_PROBE;
        words = apr_pstrcat(job->outcome->pool, words, " while it was asked for ", asked, NULL);
    }
    else if (doing[0] != '\0') {
        words = apr_pstrcat(job->outcome->pool, words, " while ", doing, NULL);
    }
    if (node != NULL) {
        conf_report(job->outcome->diags, stage, DIAG_ERROR, node, -1, "the new generation %s",
                    words);
    }
    else {
        diags_add(job->outcome->diags, stage, DIAG_ERROR, NULL, 0, 0, "the new generation %s",
                  words);
    }
}
