/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and lists of them. */
#include "websocket/words.h"

#include <string.h>
#include <strings.h>

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool ws_token(const char **at, struct ws_word *word)
{
    const char *s = *at;

    while (is_token_byte(*s)) {
        s++;
    }
    *word = (struct ws_word){ *at, (size_t)(s - *at) };
    *at = s;
    return word->len > 0;
}

bool ws_word_is(const struct ws_word *word, const char *text)
{
    return strlen(text) == word->len && strncasecmp(word->text, text, word->len) == 0;
}

/* The next one of a list: false at its end, or where something else stands (*at is not at the
 * end then). */
static bool next_in_list(const char **at, struct ws_word *word)
{
    ws_skip_space(at);
    while (**at == ',') {
        (*at)++;
        ws_skip_space(at);
    }
    if (!ws_token(at, word)) {
        return false;
    }
    ws_skip_space(at);
    return **at == ',' || **at == '\0';
}

bool ws_list_has(const char *list, const char *word, bool case_counts)
{
    struct ws_word w;

    while (next_in_list(&list, &w)) {
        if (case_counts ? strlen(word) == w.len && memcmp(w.text, word, w.len) == 0
                        : ws_word_is(&w, word)) {
            return true;
        }
    }
    return false;
}

bool ws_list_valid(const char *list)
{
    struct ws_word w;
    const char *at = list;
    unsigned count = 0;

    while (next_in_list(&at, &w)) {
        struct ws_word other;

        for (const char *before = list; before < w.text && next_in_list(&before, &other);) {
            if (other.text != w.text && other.len == w.len &&
                memcmp(other.text, w.text, w.len) == 0) {
                return false;
            }
        }
        count++;
    }
    return count > 0 && *at == '\0';
}
