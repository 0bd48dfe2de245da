/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads make's quoting as compilers write it: "\ " is a space, "\#" a hash, "$$" a dollar, a
 * backslash before the line's end continues it, and backslashes before a space
 * are doubled.
 */
#include "builder/depfile.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

static bool is_end(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\0';
}

/* Backslashes at p; what they quote decides what they mean. Returns how many
 * bytes of input were used, and writes what they stand for. */
static size_t unquote(const char *p, char *out, size_t *written)
{
    size_t slashes = strspn(p, "\\");
    char next = p[slashes];

    *written = 0;
    if (next == ' ' || next == '\t' || next == '#') {
        for (size_t i = 0; i < slashes / 2; i++) {
            out[(*written)++] = '\\';
        }
        if (slashes % 2 == 1) {
            out[(*written)++] = next;
            return slashes + 1;
        }
        return slashes;
    }
    memcpy(out, p, slashes);
    *written = slashes;
    return slashes;
}

/* A backslash and the line's end: as a space. */
static bool is_continuation(const char *p)
{
    return p[0] == '\\' && (p[1] == '\n' || (p[1] == '\r' && p[2] == '\n'));
}

/* The name at p into out; returns its end. */
static const char *read_name(const char *p, char *out, size_t *len)
{
    *len = 0;
    while (!is_end(*p) && !is_continuation(p)) {
        if (*p == '\\') {
            size_t written;

            p += unquote(p, out + *len, &written);
            *len += written;
        }
        else {
            p += *p == '$' && p[1] == '$' ? 1 : 0;
            out[(*len)++] = *p++;
        }
    }
    return p;
}

void depfile_parse(const char *text, size_t len, apr_array_header_t *list)
{
    char *name = apr_palloc(list->pool, len + 1);
    const char *p = strstr(text, ": ");

    /* an empty list of names ends behind the colon */
    p = p ? p + 2 : "";
    while (*p && list->nelts < DEPFILE_MAX_FILES) {
        size_t n;

        if (is_end(*p) || is_continuation(p)) {
            p++;
            continue;
        }
        p = read_name(p, name, &n);
        if (n > 0) {
            APR_ARRAY_PUSH(list, const char *) = apr_pstrmemdup(list->pool, name, n);
        }
    }
}

char *depfile_load(int dir_fd, const char *name, size_t *len, apr_pool_t *pool)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    char *text = NULL;
    ssize_t n = -1;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= DEPFILE_MAX_BYTES) {
        text = apr_palloc(pool, (size_t)st.st_size + 1);
        n = read(fd, text, (size_t)st.st_size);
    }
    close(fd);
    if (n < 0) {
        return NULL;
    }
    text[n] = '\0';
    *len = (size_t)n;
    return text;
}
