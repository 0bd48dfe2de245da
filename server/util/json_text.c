/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_text.h"

#include <stdbool.h>
#include <string.h>

#include "util/utf8.h"

enum { ESCAPE_MAX = 6 };

/* The escape of the character at text, which has n bytes (0: it is none); 0: it stands for itself.
 */
static size_t escape(char out[ESCAPE_MAX], const char *text, size_t n)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)*text;
    const char *found = c ? strchr(from, c) : NULL;

    if (n == 0) {
        memcpy(out, "\\ufffd", ESCAPE_MAX);
        return ESCAPE_MAX;
    }
    out[0] = '\\';
    if (found) {
        out[1] = to[found - from];
        return 2;
    }
    if (c >= 0x20 && c != 0x7f) {
        return 0;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return ESCAPE_MAX;
}

size_t json_text(char *out, size_t size, const char *text, size_t len, size_t *used)
{
    size_t written = 0;

    *used = 0;
    while (*used < len) {
        char code[ESCAPE_MAX];
        const char *from = text + *used;
        size_t n = utf8_length(from, len - *used);
        size_t escaped = escape(code, from, n);
        size_t need = escaped ? escaped : n;

        if (written + need > size) {
            break;
        }
        memcpy(out + written, escaped ? code : from, need);
        written += need;
        *used += n ? n : 1;
    }
    return written;
}
