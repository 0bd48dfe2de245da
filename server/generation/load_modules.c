/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopen() of what the builder made, and the checks that let module code
 * near a request. A constructor may do anything at all: `doing` is written before
 * it runs, so that the master can name it when this process is gone.
 */
#include "generation/loading.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>

#include <apr_strings.h>

#include "builder/builder.h"

/* Where built objects are: the process is in BuildDirectory, which may lie below
 * a directory that User cannot enter; its full path where that leads here too,
 * because debuggers read it later. */
static const char *objects_folder(const struct loading *l)
{
    const char *full = l->launch->conf->process.build_directory;
    struct stat by_name, here;

    if (stat(full, &by_name) == 0 && stat(".", &here) == 0 && by_name.st_dev == here.st_dev &&
        by_name.st_ino == here.st_ino) {
        return full;
    }
    return ".";
}

/* dlerror() begins with the object's path, which says nothing to the reader. */
static const char *link_error(const char *path)
{
    const char *words = dlerror();
    size_t len = strlen(path);

    if (!words) {
        return "the dynamic linker gave no reason";
    }
    if (strncmp(words, path, len) == 0 && strncmp(words + len, ": ", 2) == 0) {
        return words + len + 2;
    }
    return words;
}

/* The size that the linker knows the symbol by; 0 where it is no data. */
static size_t data_size(const void *address)
{
    Dl_info info;
    void *extra = NULL;
    const ElfW(Sym) * symbol;

    if (!dladdr1(address, &info, &extra, RTLD_DL_SYMENT) || !extra) {
        return 0;
    }
    symbol = extra;
    return ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT ? symbol->st_size : 0;
}

/* NULL, or why the structure is not one that this server can use. */
static const char *check_structure(struct loading *l, const ins_module *m, size_t size)
{
    /* the header alone is the same in all versions */
    if (size < offsetof(ins_module, index) || m->magic != INS_MAGIC) {
        return "is not a module of this server: it must be an ins_module that begins with "
               "INS_MODULE_HEADER";
    }
    if (m->api_version != INS_API_VERSION) {
        return apr_psprintf(l->pool,
                            "was compiled for module API version %u, this server has version %d: "
                            "compile it again with this server's instar.h",
                            m->api_version, INS_API_VERSION);
    }
    if (m->size != sizeof(ins_module) || size < sizeof(ins_module)) {
        return apr_psprintf(l->pool,
                            "has another layout (%u bytes, this server's has %u): compile it "
                            "again with this server's instar.h",
                            m->size, (unsigned)sizeof(ins_module));
    }
    if (m->index != -1) {
        return "is loaded already by another LoadModule, or does not begin with INS_MODULE_HEADER";
    }
    return NULL;
}

static void adopt(struct loading *l, const struct conf_module *cm, void *handle, int index)
{
    ins_module *m = dlsym(handle, cm->name);
    const char *refused;

    if (!m) {
        conf_report(l->diags, DIAG_LOAD, DIAG_ERROR, cm->node, -1,
                    "%s exports no symbol %s: LoadModule's first argument must be the name of the "
                    "structure that the module defines with INS_MODULE(%s)",
                    cm->paths[0], cm->name, cm->name);
        return;
    }
    refused = check_structure(l, m, data_size(m));
    if (refused) {
        conf_report(l->diags, DIAG_LOAD, DIAG_ERROR, cm->node, -1, "%s in %s %s", cm->name,
                    cm->paths[0], refused);
        return;
    }
    m->index = index;
    m->name = cm->name;
    l->app->modules[index] = m;
}

static void load(struct loading *l, const struct conf_module *cm, const char *path, int index)
{
    void *handle;

    loading_doing(l, "loading %s (%s)", cm->name, cm->paths[0]);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (loading_left_behind(l, index, DIAG_LOAD, "when it is loaded (a constructor)")) {
        return;
    }
    if (handle) {
        adopt(l, cm, handle, index);
        return;
    }
    conf_report(l->diags, DIAG_LOAD, DIAG_ERROR, cm->node, -1, "cannot load %s: %s", cm->name,
                link_error(path));
}

static const char *object_of(const struct loading *l, const struct conf_module *cm)
{
    const struct build_list *builds = l->launch->builds;

    for (int i = 0; builds && i < builds->count; i++) {
        if (builds->list[i].module == cm) {
            return builds->list[i].object;
        }
    }
    return NULL;
}

void modules_load(struct loading *l)
{
    const apr_array_header_t *list = l->launch->conf->process.modules;
    const char *folder = apr_pstrcat(l->pool, objects_folder(l), "/", NULL);

    l->all_loaded = true;
    for (int i = 0; i < list->nelts; i++) {
        const struct conf_module *cm = &APR_ARRAY_IDX(list, i, struct conf_module);
        const char *object = object_of(l, cm);
        int index = FIRST_LOADED + i;

        /* what was not built was reported when it was not built */
        if (object) {
            load(l, cm, apr_pstrcat(l->pool, *object == '/' ? "" : folder, object, NULL), index);
        }
        if (!l->app->modules[index]) {
            l->all_loaded = false;
        }
    }
}
