/* SPDX-License-Identifier: Apache-2.0 */
/* Of log.c alone: how a line of the error log is made. Any thread. */
#ifndef UTIL_LOG_LINE_H
#define UTIL_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/log.h"

enum { LINE_MAX_BYTES = 8192 };

/* What a line says beside its words. */
struct line_facts {
    const char *tag, *part;
    int part_len;
    ins_level level;
    struct log_about about;
};

/* A whole line for sink, with its newline; words that do not fit are cut. Its length. */
size_t line_make(char out[LINE_MAX_BYTES], const struct log_sink *sink, bool json,
                 const struct line_facts *f, const char *words, size_t len);

#endif
