/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real paths to reachable ones and back; see names.h.
 */
#include "builder/names.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/bytes.h"

static apr_status_t names_close(void *data)
{
    struct names *names = data;

    for (int i = 0; i < names->list->nelts; i++) {
        close(APR_ARRAY_IDX(names->list, i, struct name).fd);
    }
    names->list->nelts = 0;
    return APR_SUCCESS;
}

void names_init(struct names *names, apr_pool_t *pool)
{
    names->list = apr_array_make(pool, 8, sizeof(struct name));
    apr_pool_cleanup_register(pool, names, names_close, apr_pool_cleanup_null);
}

int names_fd(const struct names *names, const char *folder)
{
    for (int i = 0; i < names->list->nelts; i++) {
        struct name *name = &APR_ARRAY_IDX(names->list, i, struct name);

        if (strcmp(name->real, folder) == 0) {
            return name->fd;
        }
    }
    return -1;
}

int names_add(struct names *names, const char *folder)
{
    int fd = names_fd(names, folder);
    struct name *name;

    if (fd >= 0) {
        return fd;
    }
    fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    name = apr_array_push(names->list);
    name->real = apr_pstrdup(names->list->pool, folder);
    name->real_len = strlen(folder);
    name->fd = fd;
    name->via_len = (size_t)snprintf(name->via, sizeof(name->via), "/proc/self/fd/%d", fd);
    name->direct = true;
    name->copy = NULL;
    name->error = 0;
    return fd;
}

void names_try(struct names *names)
{
    for (int i = 0; i < names->list->nelts; i++) {
        struct name *name = &APR_ARRAY_IDX(names->list, i, struct name);

        name->direct = !name->copy && access(name->real, X_OK) == 0;
    }
}

/* Is path the folder itself or below it? */
static bool below(const struct name *name, const char *path)
{
    return strncmp(path, name->real, name->real_len) == 0 &&
           (path[name->real_len] == '/' || path[name->real_len] == '\0');
}

const struct name *names_find(const struct names *names, const char *path)
{
    const struct name *best = NULL;

    for (int i = 0; i < names->list->nelts; i++) {
        const struct name *name = &APR_ARRAY_IDX(names->list, i, struct name);

        if (below(name, path) && (!best || name->real_len > best->real_len)) {
            best = name;
        }
    }
    return best;
}

const char *names_reach(const struct names *names, const char *path, char *buf, size_t size)
{
    const struct name *best = names_find(names, path);
    int n;

    if (!best || best->direct) {
        return path;
    }
    n = snprintf(buf, size, "%s%s", best->via, path + best->real_len);
    return n > 0 && (size_t)n < size ? buf : path;
}

/* The name that starts at text, or NULL. "/proc/self/fd/7" is not part of
 * "/proc/self/fd/71". */
static const struct name *name_at(const struct names *names, const char *text, size_t len)
{
    for (int i = 0; i < names->list->nelts; i++) {
        const struct name *name = &APR_ARRAY_IDX(names->list, i, struct name);

        if (name->via_len <= len && memcmp(text, name->via, name->via_len) == 0 &&
            (name->via_len == len || text[name->via_len] < '0' || text[name->via_len] > '9')) {
            return name;
        }
    }
    return NULL;
}

const char *names_real(const struct names *names, const char *text, size_t len, size_t *out_len,
                       apr_pool_t *pool)
{
    static const char mark[] = "/proc/self/fd/";
    const char *end = text + len, *from = text, *at = text;
    struct bytes out = { .pool = pool };

    while ((at = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1))) {
        const struct name *name = name_at(names, at, (size_t)(end - at));

        if (!name) {
            at++;
            continue;
        }
        bytes_add(&out, from, (size_t)(at - from));
        bytes_add(&out, name->real, name->real_len);
        from = at = at + name->via_len;
    }
    *out_len = len;
    if (!out.data) {
        return text;
    }
    bytes_add(&out, from, (size_t)(end - from));
    *out_len = out.len;
    return out.data;
}
