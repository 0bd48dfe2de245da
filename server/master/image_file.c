/* SPDX-License-Identifier: Apache-2.0 */
/* An image in a memfd, and what is more than plain data in it: the serving manifest. */
#include "master/image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "master/store_state.h"
#include "util/diag.h"

enum { IMAGE_MAX = 256 << 20 };

/* ---- In a memfd --------------------------------------------------------------------- */

int image_write(const struct image_bytes *image)
{
    int fd = memfd_create("instar-state", MFD_CLOEXEC), error;
    size_t done = 0;

    while (fd >= 0 && done < image->length) {
        ssize_t n = write(fd, image->bytes + done, image->length - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            error = n < 0 ? errno : ENOSPC;
            (void)close(fd);
            errno = error;
            return -1;
        }
        done += (size_t)n;
    }
    return fd;
}

struct image *image_read(int fd, const char **why, apr_pool_t *pool)
{
    struct stat st;
    struct image *g;
    void *map;

    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > IMAGE_MAX) {
        *why = "there is no state to read";
        return NULL;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        *why = apr_pstrdup(pool, strerror(errno));
        return NULL;
    }
    g = image_unpack(map, (size_t)st.st_size, why, pool); /* copies what it keeps */
    (void)munmap(map, (size_t)st.st_size);
    return g;
}

/* ---- The serving manifest ------------------------------------------------------------- */

static bool refuse(struct diags *diags, const char *words)
{
    diags_add(diags, DIAG_CONFIG, DIAG_ERROR, NULL, 0, 0,
              "the config that is served cannot be taken over: %s", words);
    return false;
}

bool image_manifest(const struct image *g, struct manifest *manifest, struct diags *diags)
{
    apr_pool_t *pool = manifest->pool;
    struct conf *stored = text_unpack(g->conf, g->conf_len, pool);
    struct build_list *builds = apr_pcalloc(pool, sizeof(*builds));
    const apr_array_header_t *modules;

    if (stored == NULL) {
        return refuse(diags, "it makes no sense");
    }
    conf_read_stored(&manifest->conf, stored, diags, pool);
    if (diags->errors > 0) {
        return false;
    }
    modules = manifest->conf->process.modules;
    if (modules->nelts != g->builds->nelts) {
        return refuse(diags, "its modules are others");
    }
    builds->count = modules->nelts;
    builds->list = apr_pcalloc(pool, (size_t)builds->count * sizeof(struct build) + 1);
    for (int i = 0; i < builds->count; i++) {
        const struct image_build *from = &APR_ARRAY_IDX(g->builds, i, struct image_build);
        struct build *build = &builds->list[i];

        build->module = &APR_ARRAY_IDX(modules, i, struct conf_module);
        if (strcmp(build->module->name, from->module) != 0) {
            return refuse(diags, "its modules are others");
        }
        (void)apr_cpystrn(build->key, from->key, sizeof(build->key));
        (void)apr_cpystrn(build->stamp, from->stamp, sizeof(build->stamp));
        build->object = apr_pstrdup(pool, from->object);
    }
    manifest->builds = builds;
    manifest->number = g->manifest_number;
    manifest->before = g->manifest_before;
    manifest->stored = g->manifest_stored;
    return true;
}
