/* SPDX-License-Identifier: Apache-2.0 */
/* Text that reaches logs, JSON and terminals may come from anybody: this tells
 * characters from bytes that are none. */
#include "util/utf8.h"

#include <string.h>

/* The first byte decides the length and the bounds of the second. */
struct lead {
    uint8_t from, to, length, second_from, second_to;
};
static const struct lead leads[] = {
    { 0x00, 0x7f, 1, 0x00, 0x00 }, { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
    { 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
    { 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static size_t sequence(const struct lead *lead, const uint8_t *bytes, size_t len)
{
    if (lead->length == 1) {
        return 1;
    }
    if (len < lead->length || bytes[1] < lead->second_from || bytes[1] > lead->second_to) {
        return 0;
    }
    for (size_t i = 2; i < lead->length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return lead->length;
}

size_t utf8_length(const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)text;

    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (bytes[0] >= leads[i].from && bytes[0] <= leads[i].to) {
            return sequence(&leads[i], bytes, len);
        }
    }
    return 0;
}

/* How many bytes are missing, and the bounds of the next. */
static uint32_t make_state(uint32_t missing, uint32_t from, uint32_t to)
{
    return missing == 0 ? 0 : missing << 16 | from << 8 | to;
}

/* Behind the ASCII at the beginning, eight bytes at a time. */
static size_t skip_ascii(const char *text, size_t len)
{
    size_t i = 0;
    uint64_t word;

    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, text + i, sizeof(word));
        if ((word & 0x8080808080808080u) != 0) {
            break;
        }
    }
    return i;
}

/* Of a byte that begins a character; false where none does. */
static bool begin_character(uint32_t *state, uint8_t byte)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (byte >= leads[i].from && byte <= leads[i].to) {
            *state = make_state(leads[i].length - 1u, leads[i].second_from, leads[i].second_to);
            return true;
        }
    }
    return false;
}

bool utf8_feed(uint32_t *state, const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t i = 0;

    while (i < len) {
        if (*state == 0) {
            i += skip_ascii(text + i, len - i);
            if (i < len && !begin_character(state, bytes[i])) {
                return false;
            }
        }
        else if (bytes[i] < (*state >> 8 & 0xff) || bytes[i] > (*state & 0xff)) {
            return false;
        }
        else {
            *state = make_state((*state >> 16) - 1, 0x80, 0xbf);
        }
        i++;
    }
    return true;
}
