/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a WebSocket that is offered: another process's word, perhaps another release's. */
#include "worker/socket_wire.h"

#include <string.h>

static bool terms_sound(const struct ws_terms *t)
{
    return !t->on || (ws_deflate_available() && t->server_bits >= WS_WINDOW_MIN &&
                      t->server_bits <= WS_WINDOW_MAX && t->client_bits <= WS_WINDOW_MAX);
}

/* A text with its NUL, or NULL. */
static bool text_sound(const char *text, uint32_t len)
{
    return len == 0 || memchr(text, '\0', len) == text + len - 1;
}

static const char *next_string(const char **at, uint32_t len)
{
    const char *string = *at;

    *at += len;
    return len > 0 ? string : NULL;
}

bool socket_wire_read(struct socket_wire *wire, struct socket_strings *s, const void *data,
                      size_t len)
{
    const char *at = (const char *)data + sizeof(*wire);

    if (len < sizeof(*wire)) {
        return false;
    }
    memcpy(wire, data, sizeof(*wire));
    if (wire->size != sizeof(*wire) || !ws_parser_sound(&wire->parser) ||
        !terms_sound(&wire->terms) || wire->window > WS_WINDOW_BYTES ||
        len - sizeof(*wire) != (uint64_t)wire->head + wire->id + wire->user + wire->protocol +
                                   wire->message + wire->output + wire->window + wire->state) {
        return false;
    }
    s->head = next_string(&at, wire->head);
    s->id = next_string(&at, wire->id);
    s->user = next_string(&at, wire->user);
    s->protocol = next_string(&at, wire->protocol);
    s->message = next_string(&at, wire->message);
    s->output = next_string(&at, wire->output);
    s->window = next_string(&at, wire->window);
    s->state = next_string(&at, wire->state);
    return s->head != NULL && s->id != NULL && text_sound(s->id, wire->id) &&
           text_sound(s->user, wire->user) && text_sound(s->protocol, wire->protocol);
}
