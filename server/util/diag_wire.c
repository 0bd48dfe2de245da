/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics as bytes in a memfd. The writer is a process in which module code
 * ran, so the reader copies first and believes nothing: not the lengths, not that
 * the bytes stand still, not that the descriptor is what it should be. */
#include "util/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_strings.h>

static const char magic[8] = "INSDIAG1";
static const uint32_t no_text = UINT32_MAX;

struct wire_head {
    char magic[sizeof(magic)];
    uint32_t errors, warnings;
    uint32_t entries;
    uint32_t output_len; /* or no_text; the bytes follow */
};

/* Behind it: file, message, excerpt. */
struct wire_entry {
    uint32_t stage, severity, line, column;
    uint32_t lengths[3]; /* or no_text */
};

struct buffer {
    char *data;
    size_t len, cap;
};

static bool put(struct buffer *b, const void *data, size_t len)
{
    if (len > b->cap - b->len) {
        return false;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
    return true;
}

static uint32_t text_length(const char *text)
{
    return text ? (uint32_t)strnlen(text, DIAGS_MAX_BYTES) : no_text;
}

static bool put_text(struct buffer *b, const char *text)
{
    return !text || put(b, text, text_length(text));
}

static bool put_entry(struct buffer *b, const struct diag *e)
{
    const char *texts[3] = { e->file, e->message, e->excerpt };
    struct wire_entry wire = {
        .stage = e->stage, .severity = e->severity, .line = e->line, .column = e->column
    };
    size_t before = b->len;
    bool fits;

    for (int i = 0; i < 3; i++) {
        wire.lengths[i] = text_length(texts[i]);
    }
    fits = put(b, &wire, sizeof(wire)) && put_text(b, texts[0]) && put_text(b, texts[1]) &&
           put_text(b, texts[2]);
    if (!fits) {
        b->len = before;
    }
    return fits;
}

static void serialise(const struct diags *d, struct buffer *b)
{
    static const char cut[] = "\n... the rest of the compiler's output is left out\n";
    enum { OUTPUT_MAX = DIAGS_MAX_BYTES / 2 };
    struct wire_head head = { .errors = d->errors,
                              .warnings = d->warnings,
                              .output_len = text_length(d->output) };
    bool is_cut = d->output && head.output_len > OUTPUT_MAX;

    memcpy(head.magic, magic, sizeof(magic));
    if (is_cut) {
        head.output_len = OUTPUT_MAX + sizeof(cut) - 1;
    }
    b->len = sizeof(head);
    if (d->output) {
        (void)put(b, d->output, is_cut ? OUTPUT_MAX : head.output_len);
    }
    if (is_cut) {
        (void)put(b, cut, sizeof(cut) - 1);
    }
    /* entries that do not fit are still counted in errors: "and N more" */
    for (const struct diag *e = d->first; e && put_entry(b, e); e = e->next) {
        head.entries++;
    }
    memcpy(b->data, &head, sizeof(head));
}

int diags_write(const struct diags *d, int fd)
{
    struct buffer b = { .cap = DIAGS_MAX_BYTES };
    size_t done = 0;
    int rv = 0;

    b.data = malloc(b.cap);
    if (!b.data) {
        return ENOMEM;
    }
    serialise(d, &b);
    while (done < b.len && rv == 0) {
        ssize_t n = pwrite(fd, b.data + done, b.len - done, (off_t)done);

        if (n > 0) {
            done += (size_t)n;
        }
        else if (n < 0 && errno != EINTR) {
            rv = errno;
        }
    }
    free(b.data);
    return rv;
}

/* Takes len bytes off the front; NULL where there are fewer. */
static const char *take(struct buffer *b, size_t len)
{
    const char *at = b->data + b->len;

    if (len > b->cap - b->len) {
        return NULL;
    }
    b->len += len;
    return at;
}

/* False where the bytes are malformed. *text is a copy or NULL. */
static bool take_text(struct buffer *b, uint32_t len, const char **text, apr_pool_t *pool)
{
    const char *at;

    *text = NULL;
    if (len == no_text) {
        return true;
    }
    at = take(b, len);
    *text = at ? apr_pstrmemdup(pool, at, len) : NULL;
    return at != NULL;
}

static bool take_entry(struct buffer *b, struct diags *into)
{
    struct wire_entry wire;
    const char *at = take(b, sizeof(wire)), *texts[3];

    if (!at) {
        return false;
    }
    memcpy(&wire, at, sizeof(wire));
    for (int i = 0; i < 3; i++) {
        if (!take_text(b, wire.lengths[i], &texts[i], into->pool)) {
            return false;
        }
    }
    if (wire.stage >= DIAG_STAGES || wire.severity > DIAG_WARNING || !texts[1]) {
        return false;
    }
    diags_add(into, wire.stage, wire.severity, texts[0], wire.line, wire.column, "%s", texts[1]);
    if (into->last) {
        diag_set_excerpt(into->last, texts[2], into->pool);
    }
    return true;
}

static bool parse(struct buffer *b, struct diags *into)
{
    struct wire_head head;
    const char *at = take(b, sizeof(head));

    if (!at) {
        return false;
    }
    memcpy(&head, at, sizeof(head));
    if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.entries > DIAGS_KEPT ||
        !take_text(b, head.output_len, &into->output, into->pool)) {
        return false;
    }
    for (uint32_t i = 0; i < head.entries; i++) {
        if (!take_entry(b, into)) {
            return false;
        }
    }
    if (head.errors > into->errors) {
        into->errors = head.errors;
    }
    if (head.warnings > into->warnings) {
        into->warnings = head.warnings;
    }
    return true;
}

/* Only memory can be read without a chance of waiting for somebody. */
static bool is_memfd(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fcntl(fd, F_GET_SEALS) >= 0;
}

static int read_all(int fd, struct buffer *b)
{
    while (b->len < b->cap) {
        ssize_t n = pread(fd, b->data + b->len, b->cap - b->len, (off_t)b->len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        b->len += n > 0 ? (size_t)n : 0;
    }
    b->cap = b->len;
    b->len = 0;
    return 0;
}

int diags_read(struct diags *into, int fd)
{
    struct buffer b = { .cap = DIAGS_MAX_BYTES };
    struct diags *read;
    int rv;

    if (!is_memfd(fd)) {
        return EINVAL;
    }
    b.data = malloc(b.cap);
    if (!b.data) {
        return ENOMEM;
    }
    rv = read_all(fd, &b);
    if (rv == 0) {
        read = diags_create(into->pool);
        rv = parse(&b, read) ? 0 : EBADMSG;
        /* what could be read is worth more than nothing */
        diags_append(into, read);
    }
    free(b.data);
    return rv;
}
