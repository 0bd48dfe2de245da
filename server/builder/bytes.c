/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that grow: compilers' words and lists of files, of unknown length.
 */
#include "builder/bytes.h"

#include <string.h>

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
    if (!bytes->data || bytes->room - bytes->len < len + 1) {
        char *grown = apr_palloc(bytes->pool, 2 * (bytes->len + len) + 128);

        if (bytes->data) {
            memcpy(grown, bytes->data, bytes->len);
        }
        bytes->data = grown;
        bytes->room = 2 * (bytes->len + len) + 128;
    }
    if (len > 0) {
        memcpy(bytes->data + bytes->len, data, len);
    }
    bytes->len += len;
    bytes->data[bytes->len] = '\0';
}

void bytes_add_text(struct bytes *bytes, const char *text)
{
    bytes_add(bytes, text, strlen(text));
}
