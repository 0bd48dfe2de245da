/* SPDX-License-Identifier: Apache-2.0 */
/* Files become text here, once each: master and generation see the same bytes,
 * whatever happens on the disk meanwhile. What is no text is refused before the
 * parser can choke on it. */
#include "config/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

#include "util/utf8.h"
#include "util/read_whole.h"

static const char byte_order_mark[] = "\xef\xbb\xbf";

/* About a file as a whole: at the Include that named it, if one did. */
__attribute__((format(printf, 4, 5))) static void complain(struct conf_reader *rd, const char *path,
                                                           const struct conf_node *node,
                                                           const char *format, ...)
{
    va_list args;
    const char *words;

    va_start(args, format);
    words = apr_pvsprintf(rd->temp, format, args);
    va_end(args);
    if (node) {
        conf_error(rd->diags, node, 0, "%s: %s", path, words);
    }
    else {
        diags_add(rd->diags, DIAG_CONFIG, DIAG_ERROR, path, 0, 0, "%s", words);
    }
}

static void complain_at(struct conf_reader *rd, const struct conf_file *file, unsigned line,
                        size_t at, const char *words)
{
    const char *start = file->text + at, *end;

    while (start > file->text && start[-1] != '\n') {
        start--;
    }
    end = memchr(start, '\n', file->length - (size_t)(start - file->text));
    if (!end) {
        end = file->text + file->length;
    }
    at -= (size_t)(start - file->text);
    diags_add(rd->diags, DIAG_CONFIG, DIAG_ERROR, file->path, line, (unsigned)at + 1, "%s", words);
    diags_excerpt(rd->diags, start, (size_t)(end - start), (unsigned)at + 1);
}

static unsigned count_lines(const char *text, size_t length)
{
    unsigned lines = 0;
    const char *end = text + length;

    while ((text = memchr(text, '\n', (size_t)(end - text)))) {
        text++;
        lines++;
    }
    return lines;
}

/* The first byte from at on that does not belong to a character; length where
 * all do. Eight plain bytes at a time: that is what nearly all configs are. */
static size_t find_invalid(const char *text, size_t at, size_t length)
{
    while (at < length) {
        uint64_t eight;
        size_t n;

        if (length - at >= sizeof(eight)) {
            memcpy(&eight, text + at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        n = utf8_length(text + at, length - at);
        if (n == 0) {
            return at;
        }
        at += n;
    }
    return length;
}

/* One error a line; the lines themselves are read all the same. */
static void check_utf8(struct conf_reader *rd, const struct conf_file *file)
{
    unsigned line = 1;
    size_t counted = 0, at = 0;

    while ((at = find_invalid(file->text, at, file->length)) < file->length) {
        const char *end;

        line += count_lines(file->text + counted, at - counted);
        counted = at;
        complain_at(rd, file, line, at, "not UTF-8: save the file in that encoding");
        end = memchr(file->text + at, '\n', file->length - at);
        if (!end) {
            break;
        }
        at = (size_t)(end - file->text);
    }
}

/* False where the text must not be parsed at all. */
static bool check_text(struct conf_reader *rd, struct conf_file *file)
{
    const char *nul = memchr(file->text, '\0', file->length);

    if (nul) {
        size_t at = (size_t)(nul - file->text);

        complain_at(rd, file, 1 + count_lines(file->text, at), at,
                    "a NUL byte: this is a binary file, not a config");
        return false;
    }
    if (file->length >= 3 && memcmp(file->text, byte_order_mark, 3) == 0) {
        file->text += 3;
        file->length -= 3;
    }
    check_utf8(rd, file);
    return true;
}

static const struct snapshot *keep(struct conf_reader *rd, struct snapshot *snapshot)
{
    if (!check_text(rd, &snapshot->file)) {
        return NULL;
    }
    APR_ARRAY_PUSH(rd->conf->files, const struct conf_file *) = &snapshot->file;
    apr_hash_set(rd->snapshot, snapshot->file.path, APR_HASH_KEY_STRING, snapshot);
    return snapshot;
}

const struct snapshot *snapshot_text(struct conf_reader *rd, const char *name, const char *text,
                                     size_t length)
{
    struct snapshot *snapshot = apr_pcalloc(rd->pool, sizeof(*snapshot));

    snapshot->file.path = name;
    snapshot->file.text = apr_pstrmemdup(rd->pool, text, length);
    snapshot->file.length = length;
    if (length > CONF_FILE_MAX) {
        complain(rd, name, NULL, "longer than the %d MiB a config file may have",
                 CONF_FILE_MAX >> 20);
        return NULL;
    }
    return keep(rd, snapshot);
}

/* What is open as fd, checked by what it is: a regular file, or /dev/null as the
 * empty one. False with the error reported. */
static bool check_kind(struct conf_reader *rd, const char *path, const struct conf_node *node,
                       const struct stat *st)
{
    static const char null_device[] = "/dev/null";

    if (S_ISDIR(st->st_mode)) {
        complain(rd, path, node, "this is a directory, not a config file");
        return false;
    }
    if (!S_ISREG(st->st_mode) && strcmp(path, null_device) != 0) {
        complain(rd, path, node, "not a regular file");
        return false;
    }
    if (S_ISREG(st->st_mode) && st->st_size > CONF_FILE_MAX) {
        complain(rd, path, node, "%ld bytes long, more than the %d MiB a config file may have",
                 (long)st->st_size, CONF_FILE_MAX >> 20);
        return false;
    }
    return true;
}

static const struct snapshot *load(struct conf_reader *rd, const char *path,
                                   const struct conf_node *node, int fd)
{
    struct snapshot *snapshot;
    struct stat st;
    ssize_t length;
    char *text;

    if (fstat(fd, &st) != 0) {
        complain(rd, path, node, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    if (!check_kind(rd, path, node, &st)) {
        return NULL;
    }
    snapshot = apr_pcalloc(rd->pool, sizeof(*snapshot));
    text = apr_palloc(rd->pool, (size_t)st.st_size + 1);
    length = read_whole(fd, text, (size_t)st.st_size);
    if (length < 0) {
        complain(rd, path, node, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    text[length] = '\0';
    snapshot->file.path = apr_pstrdup(rd->pool, path);
    snapshot->file.text = text;
    snapshot->file.length = (size_t)length;
    snapshot->device = st.st_dev;
    snapshot->inode = st.st_ino;
    return keep(rd, snapshot);
}

/* As it was when it was read from the disk. */
static const struct snapshot *take_stored(struct conf_reader *rd, const char *path,
                                          const struct conf_node *node)
{
    struct snapshot *snapshot;

    for (int i = 0; i < rd->stored->files->nelts; i++) {
        const struct conf_file *file =
            APR_ARRAY_IDX(rd->stored->files, i, const struct conf_file *);

        if (strcmp(file->path, path) == 0) {
            snapshot = apr_pcalloc(rd->pool, sizeof(*snapshot));
            snapshot->file = *file;
            return keep(rd, snapshot);
        }
    }
    complain(rd, path, node, "is not in the store");
    return NULL;
}

const struct snapshot *snapshot_take(struct conf_reader *rd, const char *path,
                                     const struct conf_node *node)
{
    const struct snapshot *snapshot = apr_hash_get(rd->snapshot, path, APR_HASH_KEY_STRING);
    int fd;

    if (snapshot) {
        return snapshot;
    }
    if (rd->stored) {
        return take_stored(rd, path, node);
    }
    /* O_NONBLOCK: a FIFO must be refused, not waited for */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        complain(rd, path, node, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    snapshot = load(rd, path, node, fd);
    (void)close(fd);
    return snapshot;
}
