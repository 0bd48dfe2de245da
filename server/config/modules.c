/* SPDX-License-Identifier: Apache-2.0 */
/* LoadModule, ModuleFlags, ModuleLibs, and what <IfModule> asks: which names
 * are loaded. Whether the paths exist is for the builder to find out. */
#include "config/scan.h"

#include <string.h>

#include <apr_strings.h>

/* ModuleFlags or ModuleLibs, as read. */
struct option_line {
    const char *module; /* NULL: for all */
    const char *flags;  /* each ended by \n */
    const struct conf_node *node;
};

struct module_names {
    apr_hash_t *loaded;               /* name -> where: a const struct conf_node *, or built_in */
    apr_hash_t *sources;              /* "hello.c" -> the same */
    apr_array_header_t *flags, *libs; /* struct option_line */
};

/* Parts of the server that are modules of their own in httpd. */
static const struct {
    const char *name, *source;
} core_modules[] = {
    { "core_module", "core.c" },
    { "http_module", "http_core.c" },
    { "so_module", "mod_so.c" },
    { "unixd_module", "mod_unixd.c" },
    { "ssl_module", "mod_ssl.c" },
    { "log_config_module", "mod_log_config.c" },
    { "reqtimeout_module", "mod_reqtimeout.c" },
};
static const struct conf_node built_in;

void modules_start(struct conf_scan *scan)
{
    struct module_names *names = apr_pcalloc(scan->pool, sizeof(*names));

    names->loaded = apr_hash_make(scan->pool);
    names->sources = apr_hash_make(scan->pool);
    names->flags = apr_array_make(scan->pool, 8, sizeof(struct option_line));
    names->libs = apr_array_make(scan->pool, 8, sizeof(struct option_line));
    for (size_t i = 0; i < sizeof(core_modules) / sizeof(core_modules[0]); i++) {
        apr_hash_set(names->loaded, core_modules[i].name, APR_HASH_KEY_STRING, &built_in);
        apr_hash_set(names->sources, core_modules[i].source, APR_HASH_KEY_STRING, &built_in);
    }
    scan->names = names;
}

bool modules_have(const struct conf_scan *scan, const char *name)
{
    return apr_hash_get(scan->names->loaded, name, APR_HASH_KEY_STRING) ||
           apr_hash_get(scan->names->sources, name, APR_HASH_KEY_STRING);
}

const char *scan_place(const struct conf_node *node, const struct conf_node *at, apr_pool_t *pool)
{
    return node->file == at->file ? apr_psprintf(pool, "line %u", node->line)
                                  : apr_psprintf(pool, "%s:%u", node->file->path, node->line);
}

/* ---- LoadModule --------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);

    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* It names a C object. */
static bool good_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return name[0] && strchr(letters, name[0]) && name[strspn(name, all)] == '\0';
}

static const char *check_paths(ins_cmd *cmd, int count, const char *const paths[])
{
    for (int i = 0; i < count; i++) {
        conf_cmd_at(cmd, i + 1);
        if (paths[i][0] == '\0') {
            return "a path must not be empty";
        }
        if (count > 1 && ends_with(paths[i], ".so")) {
            return "a .so stands alone: it cannot be joined with other files";
        }
    }
    return NULL;
}

/* "dir/hello.c" counts as hello.c for <IfModule>, "dir/mod_hello.so" as mod_hello.c. */
static void add_source(struct conf_scan *scan, const char *path, const struct conf_node *node)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    if (ends_with(name, ".so")) {
        name =
            apr_pstrcat(scan->pool, apr_pstrmemdup(scan->pool, name, strlen(name) - 3), ".c", NULL);
    }
    apr_hash_set(scan->names->sources, name, APR_HASH_KEY_STRING, node);
}

static void add_module(struct conf_scan *scan, const char *name, int count,
                       const char *const paths[], const struct conf_node *node)
{
    apr_pool_t *pool = scan->conf->pool;
    struct conf_module *module = apr_array_push(scan->conf->process.modules);
    const char **list = apr_palloc(pool, (size_t)count * sizeof(*list));

    for (int i = 0; i < count; i++) {
        list[i] = conf_path(scan->conf, paths[i], pool);
        add_source(scan, paths[i], node);
    }
    memset(module, 0, sizeof(*module));
    module->name = name;
    module->path_count = count;
    module->paths = list;
    module->prebuilt = count == 1 && ends_with(paths[0], ".so");
    module->node = node;
    apr_hash_set(scan->names->loaded, name, APR_HASH_KEY_STRING, node);
}

const char *set_load_module(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct conf_scan *scan = ((struct conf_process *)conf)->scan;
    const struct conf_node *node = conf_cmd_node(cmd), *first;
    const char *words;

    if (!good_name(argv[0])) {
        return "the name is that of the module's struct in C, such as hello_module";
    }
    words = check_paths(cmd, argc - 1, argv + 1);
    if (words) {
        return words;
    }
    first = apr_hash_get(scan->names->loaded, argv[0], APR_HASH_KEY_STRING);
    if (first == &built_in) {
        conf_warn(conf_cmd_diags(cmd), node, 0, "module %s is built in, skipping", argv[0]);
    }
    else if (first) {
        conf_warn(conf_cmd_diags(cmd), node, 0, "module %s is already loaded (%s), skipping",
                  argv[0], scan_place(first, node, cmd->temp_pool));
    }
    else {
        add_module(scan, argv[0], argc - 1, argv + 1, node);
    }
    return NULL;
}

/* ---- ModuleFlags, ModuleLibs -------------------------------------------- */

static const char *add_options(ins_cmd *cmd, apr_array_header_t *lines, int argc,
                               const char *const argv[])
{
    bool named = ends_with(argv[0], "_module");
    struct option_line line = { .module = named ? argv[0] : NULL, .flags = "" };

    conf_cmd_at(cmd, 0);
    if (named && argc == 1) {
        return "flags must follow the module's name";
    }
    for (int i = named ? 1 : 0; i < argc; i++) {
        conf_cmd_at(cmd, i);
        if (argv[i][0] != '-') {
            return i == 0 ? "expected a module's name, which ends in _module, or a flag, which "
                            "begins with '-'"
                          : "a flag begins with '-'";
        }
        if (strchr(argv[i], '\n')) {
            return "a flag must not contain a line break";
        }
        line.flags = apr_pstrcat(cmd->temp_pool, line.flags, argv[i], "\n", NULL);
    }
    line.node = conf_cmd_node(cmd);
    APR_ARRAY_PUSH(lines, struct option_line) = line;
    return NULL;
}

const char *set_module_flags(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    return add_options(cmd, ((struct conf_process *)conf)->scan->names->flags, argc, argv);
}

const char *set_module_libs(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    return add_options(cmd, ((struct conf_process *)conf)->scan->names->libs, argc, argv);
}

/* The lines for all joined; those of a module are added to named, by its name. */
static const char *sort_options(struct conf_scan *scan, const apr_array_header_t *lines,
                                apr_hash_t *named)
{
    const char *all = "";

    for (int i = 0; i < lines->nelts; i++) {
        const struct option_line *line = &APR_ARRAY_IDX(lines, i, struct option_line);
        const char *before;

        if (!line->module) {
            all = apr_pstrcat(scan->conf->pool, all, line->flags, NULL);
            continue;
        }
        if (!apr_hash_get(scan->names->loaded, line->module, APR_HASH_KEY_STRING)) {
            conf_warn(scan->diags, line->node, 0, "no LoadModule names %s", line->module);
        }
        before = apr_hash_get(named, line->module, APR_HASH_KEY_STRING);
        apr_hash_set(named, line->module, APR_HASH_KEY_STRING,
                     apr_pstrcat(scan->pool, before ? before : "", line->flags, NULL));
    }
    return all;
}

/* all and its own, without the last \n; NULL where that is nothing. */
static const char *options_of(const struct conf_module *module, const char *all, apr_hash_t *named,
                              apr_pool_t *pool)
{
    const char *own = apr_hash_get(named, module->name, APR_HASH_KEY_STRING);
    char *text;

    if (!own && !*all) {
        return NULL;
    }
    text = apr_pstrcat(pool, all, own ? own : "", NULL);
    text[strlen(text) - 1] = '\0';
    return text;
}

void modules_finish(struct conf_scan *scan)
{
    apr_array_header_t *modules = scan->conf->process.modules;
    apr_pool_t *pool = scan->conf->pool;
    apr_hash_t *flags = apr_hash_make(scan->pool), *libs = apr_hash_make(scan->pool);
    const char *all_flags = sort_options(scan, scan->names->flags, flags);
    const char *all_libs = sort_options(scan, scan->names->libs, libs);

    for (int i = 0; i < modules->nelts; i++) {
        struct conf_module *module = &APR_ARRAY_IDX(modules, i, struct conf_module);

        module->flags = options_of(module, all_flags, flags, pool);
        module->libs = options_of(module, all_libs, libs, pool);
    }
}
