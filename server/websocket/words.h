/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar that WebSocket's header fields share: tokens in lists. */
#ifndef WEBSOCKET_WORDS_H
#define WEBSOCKET_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct ws_word {
    const char *text;
    size_t len;
};

static inline void ws_skip_space(const char **at)
{
    while (**at == ' ' || **at == '\t') {
        (*at)++;
    }
}
/* Takes a token (RFC 9110, 5.6.2); false where none begins here. */
bool ws_token(const char **at, struct ws_word *word);
/* In any case. */
bool ws_word_is(const struct ws_word *word, const char *text);
/* Is it among the tokens of a comma separated list? Case counts where it is asked for. */
bool ws_list_has(const char *list, const char *word, bool case_counts);
/* Tokens alone, at least one, none twice. */
bool ws_list_valid(const char *list);

#endif
