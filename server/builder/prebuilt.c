/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A .so that somebody else built is copied into BuildDirectory under the key of
 * its content, because people replace such files in place while a living
 * generation has them mapped.
 */
#include "builder/prebuilt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/diagnostics.h"
#include "builder/objects.h"
#include "builder/state.h"
#include "config/conf.h"

enum { ATTEMPTS = 3 };

static void key_of(struct builder *b, const struct file *file, char key[BUILD_KEY_HEX])
{
    struct fp fp;

    fp_start(b->memory.sum);
    fp_add_text(b->memory.sum, "instar prebuilt 1");
    fp_add(b->memory.sum, file->hash.bytes, FP_SIZE);
    fp_end(b->memory.sum, &fp);
    fp_to_hex(&fp, key);
}

static bool complain(const struct build *build, const struct file *file, struct diags *diags)
{
    if (file->kind == FILE_ABSENT) {
        module_error(diags, build->module, 1, "there is no %s", file->path);
    }
    else if (file->kind == FILE_FOLDER || file->error == EINVAL) {
        module_error(diags, build->module, 1, "%s is not a file", file->path);
    }
    else {
        module_error(diags, build->module, 1, "%s cannot be read: %s", file->path,
                     strerror(file->error));
    }
    return false;
}

static int copy(struct builder *b, const struct build *build, const struct file *file, int dir_fd,
                const char **what)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error;

    *what = "open";
    if (fd < 0) {
        return errno;
    }
    error = object_adopt(dir_fd, fd, build->key, b->memory.sum, &file->hash, what);
    close(fd);
    return error;
}

static const char *reason(int error)
{
    if (error == ESTALE) {
        return "it is being written";
    }
    return error == ENODATA ? "it is empty" : strerror(error);
}

bool prebuilt_take(struct builder *b, struct build *build, int dir_fd, struct diags *diags,
                   apr_pool_t *pool)
{
    struct file *file = memory_file(&b->memory, build->module->paths[0]);
    struct file_stat seen = { 0 };
    const char *what = NULL;
    int error = ESTALE;

    for (int i = 0; i < ATTEMPTS && error == ESTALE; i++) {
        if (i > 0) {
            memory_refresh(&b->memory);
        }
        memory_look(&b->memory, file);
        if (file->kind != FILE_REGULAR) {
            return complain(build, file, diags);
        }
        key_of(b, file, build->key);
        error = object_sound(dir_fd, build->key, &seen) ? 0 : copy(b, build, file, dir_fd, &what);
    }
    if (error) {
        module_error(diags, build->module, 1, "%s cannot be copied to BuildDirectory (%s): %s%s",
                     file->path, what, reason(error),
                     error == EACCES
                         ? "; run as its owner, or with -c \"BuildDirectory PATH\" of your own"
                         : "");
        build->key[0] = '\0';
        return false;
    }
    build->object = apr_pstrcat(pool, build->key, ".so", NULL);
    return true;
}
