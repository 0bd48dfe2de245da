/* SPDX-License-Identifier: Apache-2.0 */
/* A hundred megabytes, or as many bytes as asked for, in constant memory: the server
 * asks for the next piece when the client has taken the last one. In the
 * configuration:
 *
 *     LoadModule stream_module modules/examples/stream.c
 *     Route GET /stream stream
 *
 * Try:  curl -o /dev/null 'http://localhost:8080/stream?bytes=1000000000'
 */
#include <stdlib.h>
#include <string.h>

#include <instar.h>

static const char line[] = "The quick brown fox jumps over the lazy dog, again and again...\n";

enum { LINE = sizeof(line) - 1 };

struct state {
    int64_t sent, total;
};

/* Fills buf with what comes next; 0 ends the answer. */
static int64_t next_piece(ins_request *r, void *data, char *buf, size_t size)
{
    struct state *state = data;
    size_t filled = 0;

    (void)r;
    while (filled < size && state->sent < state->total) {
        size_t from = (size_t)(state->sent % LINE);
        size_t n = LINE - from;

        if (n > size - filled) {
            n = size - filled;
        }
        if ((int64_t)n > state->total - state->sent) {
            n = (size_t)(state->total - state->sent);
        }
        memcpy(buf + filled, line + from, n);
        filled += n;
        state->sent += (int64_t)n;
    }
    return (int64_t)filled;
}

static int stream(ins_request *r)
{
    const char *bytes = ins_query(r, "bytes");
    struct state *state = ins_alloc(r, sizeof(*state));

    state->total = bytes ? strtoll(bytes, NULL, 10) : 100 * 1000 * 1000;
    if (state->total < 0) {
        return ins_error(r, 400, "bytes is a number, 0 at least");
    }
    ins_set_type(r, "text/plain");
    ins_set_length(r, state->total);
    ins_stream(r, next_piece, state);
    return INS_OK;
}

static const ins_handler handlers[] = { { "stream", stream }, { 0 } };

INS_MODULE(stream_module) = {
    INS_MODULE_HEADER,
    .handlers = handlers,
};
