/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a JSON string, written into a buffer of fixed size: for log lines. */
#ifndef UTIL_JSON_TEXT_H
#define UTIL_JSON_TEXT_H

#include <stddef.h>

/* Escapes as much of text as fits into size bytes, never half a character or an
 * escape; bytes that are no UTF-8 become U+FFFD. Returns the bytes written, *used of text were
 * read. */
size_t json_text(char *out, size_t size, const char *text, size_t len, size_t *used);

#endif
