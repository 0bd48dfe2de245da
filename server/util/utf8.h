/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, at most U+10FFFF. */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that text begins with; 0 where it begins with none.
 * len > 0. */
size_t utf8_length(const char *text, size_t len);

/* Text that comes in pieces: *state is 0 at first, and again wherever a character
 * has ended. False as soon as no bytes that follow could make it valid. */
bool utf8_feed(uint32_t *state, const char *text, size_t len);

#endif
