/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a compiler is told. One source is one command: starting gcc twice would
 * cost a third of a small module's build. Several are compiled each to an object and
 * linked behind that. The user's flags come last, so that they win.
 *
 * Measured (gcc 12, a small module, milliseconds): in all 28; -pipe saves 2.5; -g costs nothing
 * beside -g1 or none; -O2 against -O0 some 5; a precompiled instar.h saves nothing, because the
 * header is lean: so there is none. -nostdlib would save 4, and bind to ancient versions of
 * symbols.
 */
#include "builder/command.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "builder/fingerprint.h"
#include "builder/state.h"
#include "config/conf.h"

/* For modules that include APR's headers: what apr-1-config --cppflags --includes
 * says, separated by spaces. */
#ifndef INS_MODULE_CPPFLAGS
#define INS_MODULE_CPPFLAGS "-D_GNU_SOURCE -I/usr/include/apr-1.0"
#endif

/* Without -fno-delete-null-pointer-checks gcc drops code that is sure to use a
 * null pointer, a whole constructor even: the bug would go live unseen. */
static const char common_flags[] =
    "-pipe -O2 -g -fPIC -fvisibility=hidden -fstack-clash-protection "
    "-fno-delete-null-pointer-checks -Wall -fdiagnostics-color=always " INS_MODULE_CPPFLAGS;
/* A call of an undeclared function compiles in C11 and then does not link, or
 * cuts a pointer in half: said at its line instead. */
static const char c_flags[] = "-std=gnu11 -Werror=implicit-function-declaration";
static const char cxx_flags[] = "-std=gnu++17";
/* Two mappings a module in place of five: loading 500 takes half the time (8 ms
 * of 17), and so does forking a worker from that. What partial RELRO protects without
 * -z now is little; "ModuleLibs -Wl,-z,relro,-z,now" has all of it. */
static const char link_flags[] = "-shared -Wl,-z,noseparate-code -Wl,-z,norelro";

void command_fingerprint(struct fp_sum *sum)
{
    fp_add_text(sum, common_flags);
    fp_add_text(sum, c_flags);
    fp_add_text(sum, cxx_flags);
    fp_add_text(sum, link_flags);
}

/* Adds the pieces of text between the separators. */
static void add_split(apr_array_header_t *args, const char *text, char separator)
{
    const char seps[] = { separator, '\0' };

    while (text && *text) {
        size_t len = strcspn(text, seps);

        if (len > 0) {
            APR_ARRAY_PUSH(args, char *) = apr_pstrmemdup(args->pool, text, len);
        }
        text += len + (text[len] != '\0');
    }
}

static void add(apr_array_header_t *args, const char *arg)
{
    APR_ARRAY_PUSH(args, char *) = apr_pstrdup(args->pool, arg);
}

static const char *reach(const struct build_run *run, const char *path, apr_pool_t *pool)
{
    char buf[PATH_MAX];

    return apr_pstrdup(pool, names_reach(&run->names, path, buf, sizeof(buf)));
}

static const char *in_work(const struct build_run *run, const char *name, apr_pool_t *pool)
{
    return apr_psprintf(pool, "/proc/self/fd/%d/%s", run->work_fd, name);
}

/* "-I/x": the option's length where arg is one that a folder follows; 0. */
static size_t folder_option(const char *arg)
{
    static const char *const options[] = { "-isystem", "-iquote", "-idirafter", "-I", "-L", "-B" };

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        size_t len = strlen(options[i]);

        if (strncmp(arg, options[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

/* Calls visit for each folder that an option names; the argument's text is
 * replaced by what it returns. */
typedef const char *(*visit_fn)(void *with, const char *folder, apr_pool_t *pool);

static void visit_folders(apr_array_header_t *args, visit_fn visit, void *with)
{
    size_t pending = 0;

    for (int i = 0; i < args->nelts; i++) {
        char **arg = &APR_ARRAY_IDX(args, i, char *);
        size_t option = pending ? 0 : folder_option(*arg);

        if (pending || (option && (*arg)[option] == '/')) {
            *arg = apr_pstrcat(args->pool, apr_pstrmemdup(args->pool, *arg, option),
                               visit(with, *arg + option, args->pool), NULL);
            pending = 0;
        }
        else {
            pending = option && (*arg)[option] == '\0' ? 1 : 0;
        }
    }
}

static const char *visit_reach(void *with, const char *folder, apr_pool_t *pool)
{
    return reach(with, folder, pool);
}

struct folder_sink {
    void (*add)(void *to, const char *folder);
    void *to;
};

static const char *visit_list(void *with, const char *folder, apr_pool_t *pool)
{
    struct folder_sink *sink = with;

    (void)pool;
    if (*folder == '/') {
        sink->add(sink->to, folder);
    }
    return folder;
}

void command_folders(const struct build *build, void (*add_folder)(void *to, const char *folder),
                     void *to, apr_pool_t *pool)
{
    apr_array_header_t *args = apr_array_make(pool, 8, sizeof(char *));
    struct folder_sink sink = { add_folder, to };

    add_split(args, build->module->flags, '\n');
    add_split(args, build->module->libs, '\n');
    visit_folders(args, visit_list, &sink);
}

int command_steps(const struct build *build)
{
    int sources = build->input->sources.count;

    return sources == 1 ? 1 : sources + 1;
}

static bool is_link(const struct build *build, int step)
{
    return build->input->sources.count > 1 && step == build->input->sources.count;
}

const char *command_folder(const struct build *build, int step, apr_pool_t *pool)
{
    const char *path = build->input->sources.list[is_link(build, step) ? 0 : step]->path;
    const char *slash = strrchr(path, '/');

    return slash == path ? "/" : apr_pstrmemdup(pool, path, (size_t)(slash - path));
}

const char *command_depfile(int index, int step, apr_pool_t *pool)
{
    return apr_psprintf(pool, "%d.%d.d", index, step);
}

const char *command_object(int index, apr_pool_t *pool)
{
    return apr_psprintf(pool, "%d.so", index);
}

static const char *part_object(int index, int step, apr_pool_t *pool)
{
    return apr_psprintf(pool, "%d.%d.o", index, step);
}

static void add_user(const struct build_run *run, apr_array_header_t *args, const char *flags)
{
    apr_array_header_t *own = apr_array_make(args->pool, 8, sizeof(char *));

    add_split(own, flags, '\n');
    visit_folders(own, visit_reach, (void *)(uintptr_t)run);
    apr_array_cat(args, own);
}

/* So that __FILE__ and the debugger see real paths. */
static void add_prefix_maps(const struct build_run *run, apr_array_header_t *args)
{
    for (int i = 0; i < run->names.list->nelts; i++) {
        const struct name *name = &APR_ARRAY_IDX(run->names.list, i, struct name);

        if (!name->direct) {
            add(args, apr_psprintf(args->pool, "-ffile-prefix-map=%s=%s", name->via, name->real));
        }
        if (name->copy) {
            /* the compiler notes where it runs */
            add(args, apr_psprintf(args->pool, "-ffile-prefix-map=%s=%s", name->copy, name->real));
        }
    }
}

static void add_compile(const struct build_run *run, apr_array_header_t *args,
                        const struct build *build, int index, int step)
{
    const char *source = build->input->sources.list[step]->path;

    add_split(args, common_flags, ' ');
    add_split(args, source_is_cxx(source) ? cxx_flags : c_flags, ' ');
    add(args, "-I");
    add(args, reach(run, run->include_dir, args->pool));
    add_prefix_maps(run, args);
    add(args, "-MD");
    add(args, "-MT");
    add(args, "x");
    add(args, "-MF");
    add(args, in_work(run, command_depfile(index, step, args->pool), args->pool));
    add_user(run, args, build->module->flags);
    add(args, reach(run, source, args->pool));
}

static void add_link(const struct build_run *run, apr_array_header_t *args,
                     const struct build *build, int index)
{
    if (build->input->sources.count > 1) {
        add_split(args, common_flags, ' ');
        add_user(run, args, build->module->flags);
        for (int i = 0; i < build->input->sources.count; i++) {
            add(args, in_work(run, part_object(index, i, args->pool), args->pool));
        }
    }
    add_split(args, link_flags, ' ');
    add(args, "-o");
    add(args, in_work(run, command_object(index, args->pool), args->pool));
    add_user(run, args, build->module->libs);
}

char **command_make(const struct build_run *run, const struct build *build, int index, int step,
                    apr_pool_t *pool)
{
    apr_array_header_t *args = apr_array_make(pool, 40, sizeof(char *));
    bool linking = is_link(build, step);
    bool cxx =
        linking ? build->input->sources.cxx : source_is_cxx(build->input->sources.list[step]->path);

    add(args, cxx ? build->input->compiler : build->input->c_compiler);
    if (!linking) {
        add_compile(run, args, build, index, step);
    }
    if (linking || build->input->sources.count == 1) {
        add_link(run, args, build, index);
    }
    else {
        add(args, "-c");
        add(args, "-o");
        add(args, in_work(run, part_object(index, step, pool), pool));
    }
    APR_ARRAY_PUSH(args, char *) = NULL;
    return (char **)(void *)args->elts;
}
