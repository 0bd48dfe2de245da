/* SPDX-License-Identifier: Apache-2.0 */
/* A long-lived connection keeps the request that opened it as the text of its head, which is
 * small and can go anywhere. Whoever needs the request reads that text again. */

#include "http/request_internal.h"

#include <string.h>

enum { AROUND_FIELD = 4 }; /* ": " and CRLF */

size_t request_head_size(const struct request *q)
{
    size_t size = q->head.line_len + 2 + 2;

    for (unsigned n = 0; n < q->head.field_count; n++) {
        size += q->head.fields[n].name_len + q->head.fields[n].value_len + AROUND_FIELD;
    }
    return size;
}

static char *put(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

void request_head_write(const struct request *q, char *out)
{
    out = put(out, q->head.request_line, q->head.line_len);
    out = put(out, "\r\n", 2);
    for (unsigned n = 0; n < q->head.field_count; n++) {
        const struct h1_field *field = &q->head.fields[n];

        out = put(out, field->name, field->name_len);
        out = put(out, ": ", 2);
        out = put(out, field->value, field->value_len);
        out = put(out, "\r\n", 2);
    }
    (void)put(out, "\r\n", 2);
}

/* The bytes are parsed where they then stay. */
static bool parse(struct request *q, const char *head, size_t len)
{
    const struct h1_limits any = { .line = UINT32_MAX, .fields = 0, .field_size = UINT32_MAX };
    char *copy = apr_palloc(q->pub.pool, len + 1);

    memcpy(copy, head, len);
    copy[len] = '\0';
    return h1_parse_head(&q->head, copy, len, &any) == H1_COMPLETE;
}

struct request *request_again(struct http_app *app, const char *head, size_t len,
                              const struct request_source *source, const struct request_io *io,
                              void *owner, const struct request_place *place)
{
    struct request *q = place ? request_make(app) : request_take(app);

    if (q && !parse(q, head, len)) {
        request_free(q);
        return NULL;
    }
    if (q) {
        (void)request_begin_at(q, source, io, owner, place);
    }
    return q;
}
