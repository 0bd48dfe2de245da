/* SPDX-License-Identifier: Apache-2.0 */
/* A number is eight bytes, the lowest first; a string is its length plus one (0:
 * NULL), its bytes and a NUL. */
#include "master/pack.h"

#include <limits.h>
#include <string.h>

#include <apr_strings.h>

enum { NUMBER_BYTES = 8 };

void pack_start(struct pack *pack, size_t expected, apr_pool_t *pool)
{
    pack->pool = pool;
    pack->size = expected > 256 ? expected : 256;
    pack->bytes = apr_palloc(pool, pack->size);
    pack->length = 0;
}

static char *reserve(struct pack *pack, size_t length)
{
    char *at;

    if (pack->size - pack->length < length) {
        char *larger;

        pack->size = (pack->size + length) * 2;
        larger = apr_palloc(pack->pool, pack->size);
        memcpy(larger, pack->bytes, pack->length);
        pack->bytes = larger;
    }
    at = pack->bytes + pack->length;
    pack->length += length;
    return at;
}

void pack_number(struct pack *pack, uint64_t number)
{
    char *at = reserve(pack, NUMBER_BYTES);

    for (int i = 0; i < NUMBER_BYTES; i++) {
        at[i] = (char)(unsigned char)(number >> (8 * i));
    }
}

void pack_bytes(struct pack *pack, const char *bytes, size_t length)
{
    char *at;

    pack_number(pack, (uint64_t)length + 1);
    at = reserve(pack, length + 1);
    memcpy(at, bytes, length);
    at[length] = '\0';
}

void pack_string(struct pack *pack, const char *text)
{
    if (text == NULL) {
        pack_number(pack, 0);
    }
    else {
        pack_bytes(pack, text, strlen(text));
    }
}

/* ---- Reading ------------------------------------------------------------ */

static const char *take(struct unpack *from, uint64_t length)
{
    const char *at = from->at;

    if (from->bad || from->left < length) {
        from->bad = true;
        return NULL;
    }
    from->at += length;
    from->left -= (size_t)length;
    return at;
}

uint64_t unpack_number(struct unpack *from)
{
    const char *at = take(from, NUMBER_BYTES);
    uint64_t number = 0;

    for (int i = 0; at != NULL && i < NUMBER_BYTES; i++) {
        number |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return number;
}

int unpack_count(struct unpack *from)
{
    uint64_t count = unpack_number(from);

    if (count > from->left || count > INT_MAX) {
        from->bad = true;
        return 0;
    }
    return (int)count;
}

/* NULL where there is none, or where it is bad. */
static const char *take_string(struct unpack *from, size_t *length)
{
    uint64_t with_nul = unpack_number(from);
    const char *at = with_nul > 0 ? take(from, with_nul) : NULL;

    if (at != NULL && at[with_nul - 1] != '\0') {
        from->bad = true;
        at = NULL;
    }
    *length = at != NULL ? (size_t)with_nul - 1 : 0;
    return at;
}

const char *unpack_string(struct unpack *from, size_t *length, apr_pool_t *pool)
{
    size_t len;
    const char *at = take_string(from, &len);

    if (length != NULL) {
        *length = len;
    }
    return at != NULL ? apr_pmemdup(pool, at, len + 1) : NULL;
}

void unpack_into(struct unpack *from, char *into, size_t size)
{
    size_t len;
    const char *at = take_string(from, &len);

    len = len < size ? len : size - 1;
    memset(into, 0, size);
    if (at != NULL) {
        memcpy(into, at, len);
    }
}
