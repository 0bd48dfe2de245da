/* SPDX-License-Identifier: Apache-2.0 */
/* Messages through zlib's raw deflate. See the header. */
#include "websocket/deflate.h"

#include <stdlib.h>
#include <string.h>

#ifdef INSTAR_HAVE_ZLIB

/* for const members of z_stream */
#define ZLIB_CONST
#include <zlib.h>

enum { LEVEL = 4, MEM_LEVEL = 8, TAIL = 4, STEP_MIN = 1024, STEP_MAX = 64 * 1024 };

static const unsigned char tail[TAIL] = { 0, 0, 0xff, 0xff };

/* Of connections that keep no context. */
static _Thread_local struct {
    z_stream *deflate, *inflate;
    int deflate_bits;
} mine;

bool ws_deflate_available(void)
{
    return true;
}

/* ---- Streams -------------------------------------------------------------- */

static z_stream *make_inflate(void)
{
    z_stream *z = calloc(1, sizeof(*z));

    /* the largest window reads what was written into any smaller one */
    if (z != NULL && inflateInit2(z, -WS_WINDOW_MAX) != Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

static z_stream *make_deflate(int bits)
{
    z_stream *z = calloc(1, sizeof(*z));

    if (z != NULL &&
        deflateInit2(z, LEVEL, Z_DEFLATED, -bits, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

static void free_deflate(z_stream *z)
{
    if (z != NULL) {
        (void)deflateEnd(z);
        free(z);
    }
}

static void free_inflate(z_stream *z)
{
    if (z != NULL) {
        (void)inflateEnd(z);
        free(z);
    }
}

void ws_context_free(struct ws_context *context)
{
    free_deflate(context->deflate);
    free_inflate(context->inflate);
    *context = (struct ws_context){ NULL, NULL };
}

static z_stream *inflate_stream(struct ws_context *context, const struct ws_terms *terms)
{
    if (terms->client_keeps) {
        if (context->inflate == NULL) {
            context->inflate = make_inflate();
        }
        return context->inflate;
    }
    if (mine.inflate == NULL) {
        mine.inflate = make_inflate();
    }
    else {
        (void)inflateReset(mine.inflate);
    }
    return mine.inflate;
}

static z_stream *deflate_stream(struct ws_context *context, const struct ws_terms *terms)
{
    if (terms->server_keeps) {
        if (context->deflate == NULL) {
            context->deflate = make_deflate(terms->server_bits);
        }
        return context->deflate;
    }
    if (mine.deflate != NULL && mine.deflate_bits != terms->server_bits) {
        free_deflate(mine.deflate);
        mine.deflate = NULL;
    }
    if (mine.deflate == NULL) {
        mine.deflate = make_deflate(terms->server_bits);
        mine.deflate_bits = terms->server_bits;
    }
    else {
        (void)deflateReset(mine.deflate);
    }
    return mine.deflate;
}

/* ---- In -------------------------------------------------------------------- */

/* Some compressors end a message with a final block: the window goes on behind it. */
static bool go_on_behind_end(z_stream *z)
{
    unsigned char window[WS_WINDOW_BYTES];
    uInt len = sizeof(window);

    return inflateGetDictionary(z, window, &len) == Z_OK && inflateReset(z) == Z_OK &&
           inflateSetDictionary(z, window, len) == Z_OK;
}

static size_t room_for(const struct ws_bytes *out, uint64_t max)
{
    size_t step = out->len < STEP_MIN ? STEP_MIN : out->len > STEP_MAX ? STEP_MAX : out->len;
    uint64_t left = max - out->len + 1; /* one more shows that it is too long */

    return step < left ? step : (size_t)left;
}

/* All that z has as input. */
static int inflate_some(z_stream *z, struct ws_bytes *out, uint64_t max)
{
    for (;;) {
        size_t room = room_for(out, max);
        int rv;

        if (!ws_bytes_reserve(out, room)) {
            return WS_INTERNAL_ERROR;
        }
        z->next_out = (Bytef *)out->data + out->len;
        z->avail_out = (uInt)room;
        rv = inflate(z, Z_SYNC_FLUSH);
        out->len += room - z->avail_out;
        if (out->len > max) {
            return WS_TOO_BIG;
        }
        if (rv == Z_STREAM_END && !go_on_behind_end(z)) {
            return WS_INTERNAL_ERROR;
        }
        if (rv != Z_OK && rv != Z_STREAM_END && rv != Z_BUF_ERROR) {
            return WS_INVALID_DATA;
        }
        if (z->avail_in == 0 && z->avail_out > 0) {
            return 0;
        }
    }
}

int ws_inflate(struct ws_context *context, const struct ws_terms *terms, const char *data,
               size_t len, struct ws_bytes *out, uint64_t max)
{
    z_stream *z = inflate_stream(context, terms);
    int status;

    if (z == NULL) {
        return WS_INTERNAL_ERROR;
    }
    z->next_in = (const Bytef *)data;
    z->avail_in = (uInt)len;
    status = inflate_some(z, out, max);
    if (status != 0) {
        return status;
    }
    z->next_in = tail;
    z->avail_in = TAIL;
    return inflate_some(z, out, max);
}

size_t ws_context_window(const struct ws_context *context, char *out)
{
    uInt len = 0;

    if (context->inflate == NULL ||
        inflateGetDictionary(context->inflate, (Bytef *)out, &len) != Z_OK) {
        return 0;
    }
    return len;
}

bool ws_context_restore(struct ws_context *context, const char *window, size_t len)
{
    if (len == 0) {
        return true;
    }
    context->inflate = make_inflate();
    return context->inflate != NULL &&
           inflateSetDictionary(context->inflate, (const Bytef *)window, (uInt)len) == Z_OK;
}

/* ---- Out ------------------------------------------------------------------- */

/* With the flush's end, which is then cut off. */
static bool deflate_all(z_stream *z, const char *data, size_t len, struct ws_bytes *out)
{
    size_t bound = deflateBound(z, len) + 16;

    z->next_in = (const Bytef *)data;
    z->avail_in = (uInt)len;
    do {
        if (!ws_bytes_reserve(out, bound)) {
            return false;
        }
        z->next_out = (Bytef *)out->data + out->len;
        z->avail_out = (uInt)bound;
        if (deflate(z, Z_SYNC_FLUSH) == Z_STREAM_ERROR) {
            return false;
        }
        out->len += bound - z->avail_out;
    } while (z->avail_out == 0);
    return true;
}

int ws_deflate(struct ws_context *context, const struct ws_terms *terms, const char *data,
               size_t len, struct ws_bytes *out)
{
    size_t before = out->len;
    z_stream *z;

    if (len == 0) {
        return 0;
    }
    z = deflate_stream(context, terms);
    if (z == NULL || !deflate_all(z, data, len, out) || out->len < before + TAIL) {
        return -1;
    }
    out->len -= TAIL;
    if (out->len - before >= len && !terms->server_keeps) {
        out->len = before;
        return 0;
    }
    return 1;
}

#else

bool ws_deflate_available(void)
{
    return false;
}

int ws_inflate(struct ws_context *context, const struct ws_terms *terms, const char *data,
               size_t len, struct ws_bytes *out, uint64_t max)
{
    (void)context;
    (void)terms;
    (void)data;
    (void)len;
    (void)out;
    (void)max;
    return WS_INTERNAL_ERROR;
}

int ws_deflate(struct ws_context *context, const struct ws_terms *terms, const char *data,
               size_t len, struct ws_bytes *out)
{
    (void)context;
    (void)terms;
    (void)data;
    (void)len;
    (void)out;
    return 0;
}

void ws_context_free(struct ws_context *context)
{
    (void)context;
}

size_t ws_context_window(const struct ws_context *context, char *out)
{
    (void)context;
    (void)out;
    return 0;
}

bool ws_context_restore(struct ws_context *context, const char *window, size_t len)
{
    (void)context;
    (void)window;
    return len == 0;
}

#endif
