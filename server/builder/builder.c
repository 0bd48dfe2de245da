/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder's life in the master: its memory between reloads, and the folder
 * that its builds are in.
 */
#include "builder/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/diagnostics.h"
#include "builder/state.h"
#include "config/conf.h"
#include "util/diag.h"

static apr_status_t builder_free(void *data)
{
    struct builder *b = data;

    stamps_free(&b->stamps);
    memory_free(&b->memory);
    compilers_free(&b->compilers);
    return APR_SUCCESS;
}

struct builder *builder_create(apr_pool_t *pool)
{
    struct builder *b = apr_pcalloc(pool, sizeof(*b));

    b->pool = pool;
    memory_init(&b->memory, pool);
    stamps_init(&b->stamps, pool);
    apr_pool_cleanup_register(pool, b, builder_free, apr_pool_cleanup_null);
    return b;
}

/* With its parents, readable for all: generations load from here as User. */
static int make_path(const char *path)
{
    char copy[4096];
    size_t len = strlen(path);

    if (len >= sizeof(copy)) {
        return ENAMETOOLONG;
    }
    memcpy(copy, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (copy[i] != '/' && copy[i] != '\0') {
            continue;
        }
        copy[i] = '\0';
        if (mkdir(copy, 0755) == 0) {
            (void)chmod(copy, 0755);
        }
        else if (errno != EEXIST && access(copy, F_OK) != 0) {
            return errno;
        }
        copy[i] = path[i];
    }
    return 0;
}

int builder_open_directory(const struct conf *conf, struct diags *diags)
{
    const char *path = conf->process.build_directory;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;

    if (fd < 0 && error == ENOENT) {
        error = make_path(path);
        fd = error ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error = fd < 0 && !error ? errno : error;
    }
    if (fd < 0) {
        directive_error(diags, conf, "BuildDirectory",
                        "BuildDirectory %s cannot be used by uid %ld: %s; run as its owner, or "
                        "with -c \"BuildDirectory PATH\" of your own",
                        path, (long)geteuid(), strerror(error));
    }
    return fd;
}
