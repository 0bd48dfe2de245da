/* SPDX-License-Identifier: Apache-2.0 */
/* Text to logical lines, logical lines to words; httpd's rules. */
#ifndef CONFIG_LEXER_H
#define CONFIG_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <apr_pools.h>

#include "config/conf.h"

/* Where a piece of a line's text comes from: a physical line of a joined one, or what
 * replaced a ${VAR}. */
struct lexer_join {
    size_t at;       /* in the line's text */
    uint32_t offset; /* in the file */
    bool replaced;   /* every byte of it stands at offset */
};

/* Space that grows as needed and is used again for every line. */
struct lexer_scratch {
    apr_pool_t *pool;
    char *text;
    size_t text_size;
    struct lexer_join *joins;
    int joins_size;
};

struct lexer {
    const struct conf_file *file;
    size_t at;     /* the next byte to read */
    unsigned line; /* its line, from 1 */
    struct lexer_scratch *scratch;
};

/* One directive's text: continuations joined, white space at both ends gone.
 * Good until the next call. */
struct logical_line {
    const char *text;
    size_t length;
    size_t lead; /* bytes cut off at the front of the joined text */
    const struct lexer_join *joins;
    int join_count;
    unsigned line, column; /* where text begins, from 1 */
    bool too_long;         /* over CONF_LINE_MAX: text is its beginning */
};

/* A word of a line: [start, end) without its quotes. */
struct word {
    size_t start, end;
    char quote;    /* '"', '\'' or 0 */
    bool unclosed; /* the line ended before the quote did */
};

/* The next line that is neither empty nor a comment; false at the end. */
bool lexer_next(struct lexer *lexer, struct logical_line *line);
/* Where a byte of the line's text stands in the file. */
uint32_t lexer_offset(const struct logical_line *line, size_t at);
/* out: line made anew in scratch, still without text. The bytes that follow come from
 * from[at, at + length) or, as a value, stand for what is at from[at]. */
void lexer_copy_start(struct lexer_scratch *scratch, const struct logical_line *from,
                      struct logical_line *out);
void lexer_copy(struct lexer_scratch *scratch, const struct logical_line *from, size_t at,
                size_t length, struct logical_line *out);
void lexer_copy_value(struct lexer_scratch *scratch, const struct logical_line *from, size_t at,
                      const char *value, struct logical_line *out);
/* Trims what has been copied. */
void lexer_copy_end(struct logical_line *out);

/* The next word of text from *at; false at the end. */
bool word_next(const char *text, size_t length, size_t *at, struct word *word);
/* The word with its backslashes resolved, into out (room for its length and
 * one more). Returns its length. */
size_t word_copy(const char *text, const struct word *word, char *out);

bool lexer_space(char c);

#endif
