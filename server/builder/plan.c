/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder_plan(): which modules must be compiled? For each one its identity
 * (sources, flags, compiler), then the stamp of that identity, then the key that
 * the stamp's files give now; if KEY.so is there, nothing is run. When nothing
 * changed this costs a stat() a file and a short sum a module.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "builder/command.h"
#include "builder/diagnostics.h"
#include "builder/objects.h"
#include "builder/prebuilt.h"
#include "builder/state.h"
#include "config/conf.h"

/* One plan under way. */
struct plan {
    struct builder *b;
    const struct conf *conf;
    int dir_fd;
    const char *include_dir;
    struct diags *diags;
    apr_pool_t *pool;
    struct build_list *list;
    apr_hash_t *by_id;              /* struct fp -> struct build: the first of its kind */
    struct fp base;                 /* what all modules have in common */
    const struct compiler *c, *cxx; /* found on first use */
    bool compiler_reported;
};

/* About the compiler, once a plan: at ModuleCompiler, or at the first module
 * where that is left to its default. */
static void compiler_error(struct plan *plan, const struct conf_module *module,
                           const struct compiler *compiler)
{
    const struct conf_node *node = directive_find(plan->conf, "ModuleCompiler");
    struct conf_module at = *module;

    if (plan->compiler_reported) {
        return;
    }
    plan->compiler_reported = true;
    if (node) {
        at.node = node;
    }
    module_error(plan->diags, &at, node ? 0 : -1,
                 "the compiler %s cannot be used: %s; install it or name another with "
                 "ModuleCompiler",
                 compiler->name, compiler->why);
}

/* Once a plan; NULL where it cannot be used. */
static const struct compiler *identify(struct plan *plan, const struct compiler **slot,
                                       const struct conf_module *module, const char *name)
{
    if (!*slot) {
        *slot =
            compiler_identify(&plan->b->compilers, name, &plan->conf->process, plan->b->memory.sum);
    }
    if ((*slot)->why) {
        compiler_error(plan, module, *slot);
        return NULL;
    }
    return *slot;
}

/* A module with a C++ source is linked by the C++ compiler. */
static bool choose_compilers(struct plan *plan, struct build *build)
{
    const char *name = plan->conf->process.module_compiler;
    const char *cxx_name = build->input->sources.cxx ? compiler_cxx(name, plan->pool) : NULL;
    const struct compiler *c = identify(plan, &plan->c, build->module, name);
    const struct compiler *cxx = c;

    if (c && cxx_name) {
        cxx = identify(plan, &plan->cxx, build->module, cxx_name);
    }
    if (!c || !cxx) {
        return false;
    }
    build->input->c_compiler = c->path;
    build->input->compiler = cxx->path;
    fp_start(plan->b->memory.sum);
    fp_add(plan->b->memory.sum, plan->base.bytes, FP_SIZE);
    fp_add(plan->b->memory.sum, c->identity.bytes, FP_SIZE);
    fp_add(plan->b->memory.sum, cxx->identity.bytes, FP_SIZE);
    return true;
}

/* Arguments that are files (an archive, an object, a linker script): what is in
 * them counts too. */
static void add_named_files(struct plan *plan, const char *args, apr_array_header_t *files)
{
    while (args && *args) {
        size_t len = strcspn(args, "\n");

        if (*args == '/') {
            struct file *file =
                memory_file(&plan->b->memory, apr_pstrmemdup(plan->pool, args, len));

            memory_look(&plan->b->memory, file);
            APR_ARRAY_PUSH(files, struct file *) = file;
        }
        args += len + (args[len] != '\0');
    }
}

void build_identify(struct build *build, struct fp_sum *sum)
{
    struct build_input *input = build->input;

    fp_start(sum);
    fp_add(sum, input->base.bytes, FP_SIZE);
    for (int i = 0; i < input->sources.count; i++) {
        fp_add_text(sum, input->sources.list[i]->path);
        fp_add(sum, input->sources.list[i]->hash.bytes, FP_SIZE);
    }
    fp_end(sum, &input->id);
    fp_to_hex(&input->id, build->stamp);
}

/* All that is known before a compiler runs. */
static bool identify_build(struct plan *plan, struct build *build)
{
    struct fp_sum *sum = plan->b->memory.sum;
    apr_array_header_t *files = apr_array_make(plan->pool, 2, sizeof(struct file *));

    add_named_files(plan, build->module->flags, files);
    add_named_files(plan, build->module->libs, files);
    if (!choose_compilers(plan, build)) {
        return false;
    }
    fp_add_text(sum, build->module->flags);
    fp_add_text(sum, build->module->libs);
    for (int i = 0; i < files->nelts; i++) {
        fp_add(sum, APR_ARRAY_IDX(files, i, struct file *)->hash.bytes, FP_SIZE);
    }
    fp_end(sum, &build->input->base);
    build_identify(build, sum);
    return true;
}

/* A set of the stamp whose files, as they are now, gave a build that is still there. */
static bool find_built(struct plan *plan, struct build *build)
{
    struct builder *b = plan->b;
    struct stamp *stamp = stamp_find(&b->stamps, &b->memory, plan->dir_fd, &build->input->id);

    for (struct stamp_set *set = stamp ? stamp->sets : NULL; set; set = set->next) {
        const char *key = stamp_key(stamp, set, &b->memory);

        if (object_sound(plan->dir_fd, key, &set->object)) {
            apr_cpystrn(build->key, key, sizeof(build->key));
            build->object = apr_pstrcat(plan->pool, key, ".so", NULL);
            return true;
        }
    }
    return false;
}

static void plan_source(struct plan *plan, struct build *build)
{
    struct build_input *input = build->input;
    struct build *first;

    if (!sources_resolve(&input->sources, &plan->b->memory, build->module, plan->diags,
                         plan->pool) ||
        !identify_build(plan, build)) {
        input->failed = true;
        return;
    }
    first = apr_hash_get(plan->by_id, input->id.bytes, FP_SIZE);
    if (first) {
        input->same = first;
        apr_cpystrn(build->key, first->key, sizeof(build->key));
        build->object = first->object;
        return;
    }
    apr_hash_set(plan->by_id, input->id.bytes, FP_SIZE, build);
    if (!find_built(plan, build)) {
        build->needed = true;
        plan->list->needed++;
    }
}

static void plan_base(struct plan *plan)
{
    struct fp_sum *sum = plan->b->memory.sum;

    fp_start(sum);
    fp_add_text(sum, "instar build 1");
    fp_add_number(sum, INS_API_VERSION);
    fp_add_text(sum, plan->include_dir);
    command_fingerprint(sum);
    fp_end(sum, &plan->base);
}

/* Said before anything is tried: what to do depends on who asks. */
static void check_writable(struct plan *plan)
{
    const char *plural = plan->list->needed == 1 ? "" : "s";

    if (plan->list->needed == 0 || faccessat(plan->dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0) {
        return;
    }
    directive_error(plan->diags, plan->conf, "BuildDirectory",
                    "%d module%s must be compiled, but BuildDirectory %s cannot be written by uid "
                    "%ld: %s; run as its owner, or with -c \"BuildDirectory PATH\" of your own",
                    plan->list->needed, plural, plan->conf->process.build_directory,
                    (long)geteuid(), strerror(errno));
    for (int i = 0; i < plan->list->count; i++) {
        struct build *build = &plan->list->list[i];

        if (build->needed) {
            build->needed = false;
            build->input->failed = true;
        }
    }
    plan->list->needed = 0;
}

struct build_list *builder_plan(struct builder *b, const struct conf *conf, int dir_fd,
                                const char *include_dir, struct diags *diags, apr_pool_t *pool)
{
    const apr_array_header_t *modules = conf->process.modules;
    struct build_list *list = apr_pcalloc(pool, sizeof(*list));
    struct plan plan = { .b = b,
                         .conf = conf,
                         .dir_fd = dir_fd,
                         .include_dir = include_dir,
                         .diags = diags,
                         .pool = pool,
                         .list = list,
                         .by_id = apr_hash_make(pool) };

    memory_refresh(&b->memory);
    plan_base(&plan);
    list->count = modules->nelts;
    list->list = apr_pcalloc(pool, (size_t)list->count * sizeof(struct build) + 1);
    for (int i = 0; i < list->count; i++) {
        struct build *build = &list->list[i];

        build->module = &APR_ARRAY_IDX(modules, i, struct conf_module);
        build->input = apr_pcalloc(pool, sizeof(*build->input));
        if (build->module->prebuilt) {
            build->input->failed = !prebuilt_take(b, build, dir_fd, diags, pool);
        }
        else {
            plan_source(&plan, build);
        }
    }
    check_writable(&plan);
    stamps_sweep(&b->stamps, &b->memory);
    memory_sweep(&b->memory);
    return list;
}
