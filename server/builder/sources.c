/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LoadModule NAME PATH...: each path is a source file or a folder of them. What
 * is wrong with one is said at its own argument, so that the caret points there.
 */
#include "builder/sources.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "builder/diagnostics.h"
#include "builder/remember.h"
#include "config/conf.h"

static bool ends_with(const char *name, const char *const endings[])
{
    const char *dot = strrchr(name, '.');

    for (int i = 0; dot && endings[i]; i++) {
        if (strcmp(dot, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool source_is_cxx(const char *name)
{
    static const char *const endings[] = { ".cc", ".cpp", ".cxx", NULL };

    return ends_with(name, endings);
}

bool source_is_code(const char *name)
{
    static const char *const endings[] = { ".c", NULL };

    return ends_with(name, endings) || source_is_cxx(name);
}

static const char *folder_entry(const struct file *folder, const char *name, apr_pool_t *pool)
{
    size_t len = strlen(folder->path);
    bool slash = len > 0 && folder->path[len - 1] == '/';

    return apr_pstrcat(pool, folder->path, slash ? "" : "/", name, NULL);
}

/* A diagnostic for what cannot be used; arg is its argument of LoadModule. */
static bool usable(const struct file *file, const struct conf_module *module, int arg,
                   struct diags *diags)
{
    switch (file->kind) {
    case FILE_REGULAR:
        if (source_is_code(file->path)) {
            return true;
        }
        module_error(diags, module, arg,
                     "%s is not a source (.c, .cc, .cpp, .cxx), a folder of them, or a .so",
                     file->path);
        return false;
    case FILE_ABSENT:
        module_error(diags, module, arg, "there is no %s", file->path);
        return false;
    case FILE_OTHER:
        if (file->error == EINVAL) {
            module_error(diags, module, arg, "%s is neither a file nor a folder", file->path);
        }
        else {
            module_error(diags, module, arg, "%s cannot be read: %s", file->path,
                         strerror(file->error));
        }
        return false;
    case FILE_FOLDER:
        break;
    }
    module_error(diags, module, arg, "%s is a folder inside a folder", file->path);
    return false;
}

static bool add_file(apr_array_header_t *list, struct file *file, const struct conf_module *module,
                     int arg, struct diags *diags)
{
    if (!usable(file, module, arg, diags)) {
        return false;
    }
    for (int i = 0; i < list->nelts; i++) {
        if (APR_ARRAY_IDX(list, i, struct file *) == file) {
            module_error(diags, module, arg, "%s is named twice", file->path);
            return false;
        }
    }
    APR_ARRAY_PUSH(list, struct file *) = file;
    return true;
}

static bool add_folder(apr_array_header_t *list, struct memory *memory, struct file *folder,
                       const struct conf_module *module, int arg, struct diags *diags,
                       apr_pool_t *pool)
{
    bool good = true;

    if (!folder->names || !folder->names[0]) {
        module_error(diags, module, arg, "there is no C source in the folder %s", folder->path);
        return false;
    }
    for (char **name = folder->names; *name; name++) {
        struct file *file = memory_file(memory, folder_entry(folder, *name, pool));

        memory_look(memory, file);
        good = add_file(list, file, module, arg, diags) && good;
    }
    return good;
}

bool sources_resolve(struct sources *out, struct memory *memory, const struct conf_module *module,
                     struct diags *diags, apr_pool_t *pool)
{
    apr_array_header_t *list = apr_array_make(pool, module->path_count, sizeof(struct file *));
    bool good = true;

    for (int i = 0; i < module->path_count; i++) {
        struct file *file = memory_file(memory, module->paths[i]);

        memory_look(memory, file);
        if (file->kind == FILE_FOLDER) {
            good = add_folder(list, memory, file, module, i + 1, diags, pool) && good;
        }
        else {
            good = add_file(list, file, module, i + 1, diags) && good;
        }
    }
    out->count = list->nelts;
    out->list = (struct file **)(void *)list->elts;
    out->cxx = false;
    for (int i = 0; i < out->count; i++) {
        out->cxx = out->cxx || source_is_cxx(out->list[i]->path);
    }
    return good && out->count > 0;
}
