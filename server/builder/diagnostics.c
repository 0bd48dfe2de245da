/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compilers talk to people. What programs need of it (which file, which line,
 * what) is found in lines like
 *   FILE:LINE:COLUMN: error: WORDS      gcc, clang
 *   FILE:LINE: undefined reference to   ld, with debug information
 *   FILE:(.text+0x1f): undefined reference to
 *   cc1: error: WORDS                   no place: "loose"
 * The text itself is handed on unchanged elsewhere.
 */
#include "builder/diagnostics.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "util/diag.h"

enum { ENTRIES_MAX = 100, NUMBER_MAX = 1000000000, WORDS_MAX = 8192 };

const struct conf_node *directive_find(const struct conf *conf, const char *name)
{
    const struct conf_node *found = NULL;

    for (const struct conf_node *node = conf->root ? conf->root->children : NULL; node;
         node = node->next) {
        found = conf_is(node, name) ? node : found;
    }
    return found;
}

void directive_error(struct diags *diags, const struct conf *conf, const char *name,
                     const char *format, ...)
{
    const struct conf_node *node = directive_find(conf, name);
    char words[WORDS_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    if (node) {
        conf_report(diags, DIAG_BUILD, DIAG_ERROR, node, 0, "%s", words);
    }
    else {
        diags_add(diags, DIAG_BUILD, DIAG_ERROR, NULL, 0, 0, "%s", words);
    }
}

/* Without escape sequences: CSI ... letter, and OSC ... BEL or ESC \. */
static char *plain(const char *text, size_t len, apr_pool_t *pool)
{
    char *out = apr_palloc(pool, len + 1), *to = out;
    const char *end = text + len;

    while (text < end) {
        if (*text != '\033') {
            *to++ = *text ? *text : ' ';
            text++;
            continue;
        }
        text++;
        if (text < end && *text == '[') {
            for (text++; text < end && (*text < '@' || *text > '~'); text++) {
            }
            text += text < end;
        }
        else if (text < end && *text == ']') {
            for (text++; text < end && *text != '\007' && *text != '\033'; text++) {
            }
            text += text < end ? (*text == '\033' && text + 1 < end ? 2 : 1) : 0;
        }
    }
    *to = '\0';
    return out;
}

struct kind {
    const char *words;
    enum diag_severity severity;
    bool keep; /* the words are part of the message */
};

static const struct kind kinds[] = {
    { "fatal error: ", DIAG_ERROR, false },
    { "internal compiler error: ", DIAG_ERROR, true },
    { "error: ", DIAG_ERROR, false },
    { "Error: ", DIAG_ERROR, false }, /* as */
    { "Fatal error: ", DIAG_ERROR, false },
    { "sorry, unimplemented: ", DIAG_ERROR, true },
    { "warning: ", DIAG_WARNING, false },
    { "Warning: ", DIAG_WARNING, false },
    { "undefined reference to ", DIAG_ERROR, true }, /* ld, also lld and gold */
    { "undefined symbol: ", DIAG_ERROR, true },
    { "multiple definition of ", DIAG_ERROR, true },
    { "cannot find ", DIAG_ERROR, true },
    { "relocation ", DIAG_ERROR, true },
    { "file not recognized", DIAG_ERROR, true },
    { "unrecognized option ", DIAG_ERROR, true },
    { "final link failed", DIAG_ERROR, true },
    { "out of memory ", DIAG_ERROR, true },
    { "virtual memory exhausted", DIAG_ERROR, true },
};

/* What a line says, cut into pieces. */
struct found {
    const char *file; /* NULL: loose */
    size_t file_len;
    unsigned line, column;
    const struct kind *kind;
    const char *message;
};

/* The kind whose words stand at p. */
static const struct kind *kind_at(const char *p)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strncmp(p, kinds[i].words, strlen(kinds[i].words)) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* The first ": " with a kind behind it. */
static const char *find_kind(const char *line, const struct kind **kind)
{
    const char *p = line;

    *kind = kind_at(p);
    while (!*kind && (p = strstr(p, ": "))) {
        p += 2;
        *kind = kind_at(p);
    }
    return *kind ? p : NULL;
}

/* A number that ends at *end, with a colon before it, which *end is then; false
 * where there is none. One that is no line number is 0. */
static bool number_before(const char *start, const char **end, unsigned *number)
{
    const char *p = *end;
    unsigned long n;

    while (p > start && p[-1] >= '0' && p[-1] <= '9') {
        p--;
    }
    if (p == *end || p == start || p[-1] != ':') {
        return false;
    }
    n = strtoul(p, NULL, 10);
    *number = n < NUMBER_MAX ? (unsigned)n : 0;
    *end = p - 1;
    return true;
}

/* The place before the kind: "FILE:LINE:COLUMN", "FILE:LINE", "FILE:(.text+0x1f)", behind
 * linkers' own names ("/usr/bin/ld: "). */
static void find_place(const char *line, const char *end, struct found *found)
{
    const char *start = line;
    const char *own = NULL;
    unsigned number;

    for (const char *p = line; p < end && (p = strstr(p, ": ")) && p + 2 < end; p += 2) {
        own = p + 2;
    }
    start = own ? own : start;
    if (number_before(start, &end, &found->line)) {
        if (number_before(start, &end, &number)) {
            found->column = found->line;
            found->line = number;
        }
    }
    else {
        const char *section = memmem(start, (size_t)(end - start), ":(", 2);

        if (!section) {
            return;
        }
        end = section;
    }
    found->file = start;
    found->file_len = (size_t)(end - start);
}

static bool understand(const char *line, struct found *found)
{
    const char *kind = find_kind(line, &found->kind);
    size_t words;

    found->file = NULL;
    found->line = found->column = 0;
    if (!kind) {
        return false;
    }
    words = strlen(found->kind->words);
    found->message = found->kind->keep ? kind : kind + words;
    if (kind - line >= 2) {
        find_place(line, kind - 2, found);
    }
    /* "compilation terminated" and collect2's summary say nothing new */
    return strncmp(line, "collect2: ", 10) != 0;
}

static const char *absolute(const struct found *found, const char *folder, apr_pool_t *pool)
{
    const char *file = apr_pstrmemdup(pool, found->file, found->file_len);

    if (file[0] == '/' || file[0] == '<') {
        return file;
    }
    return apr_pstrcat(pool, folder, "/", file, NULL);
}

/* gcc quotes the line in the line behind its message: " 12 |   text". */
static void add_excerpt(struct diags *diags, unsigned column, const char *next, size_t len)
{
    size_t blank = strspn(next, " ");
    size_t digits = strspn(next + blank, "0123456789");
    size_t before = blank + digits + 3;

    if (digits > 0 && before <= len && strncmp(next + blank + digits, " | ", 3) == 0) {
        diags_excerpt(diags, next + before, len - before, column);
    }
}

static void add(struct diags *diags, const struct found *found, const char *folder,
                const char *next)
{
    const struct diag *before = diags->last;

    diags_add(diags, DIAG_BUILD, found->kind->severity, absolute(found, folder, diags->pool),
              found->line, found->column, "%s", found->message);
    if (next && found->column && diags->last != before) {
        add_excerpt(diags, found->column, next, strcspn(next, "\n"));
    }
}

unsigned diagnostics_parse(struct diags *diags, const char *text, size_t len, const char *folder,
                           const char **loose)
{
    char *line = plain(text, len, diags->pool), *next;
    unsigned errors = 0, total = 0;

    for (; line && total < ENTRIES_MAX; line = next) {
        struct found found;

        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        if (!understand(line, &found)) {
            continue;
        }
        if (found.file) {
            add(diags, &found, folder, next);
            total++;
            errors += found.kind->severity == DIAG_ERROR;
        }
        else if (loose && !*loose && found.kind->severity == DIAG_ERROR) {
            *loose = apr_pstrdup(diags->pool, found.message);
        }
    }
    return errors;
}
