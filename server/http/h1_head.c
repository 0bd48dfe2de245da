/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request as lines: finds them however the bytes are cut, holds
 * them against the limits, and turns offsets into strings when the last one is
 * there. What stands in a line is read in h1_target.c and h1_fields.c. */

#include "http/h1_internal.h"

#include <string.h>

#include "http/chars.h"

enum { LONGEST_FIELDS = 16 }; /* fields of full LimitRequestFieldSize that one head may have */

void h1_head_init(struct h1_head *head, struct h1_field *fields, unsigned capacity)
{
    memset(head, 0, sizeof(*head));
    head->fields = fields;
    head->field_capacity = capacity;
    head->content_length = -1;
}

size_t h1_head_max(const struct h1_limits *limits)
{
    return H1_SKIP_MAX + (size_t)limits->line + LONGEST_FIELDS * ((size_t)limits->field_size + 2) +
           4;
}

bool h1_refuse(struct h1_head *head, int status, const char *why)
{
    head->status = status;
    head->why = why;
    return false;
}

/* The log wants to know what was asked, also where the line is wrong or has no end. */
static enum h1_outcome refused(struct h1_head *head, const char *buf, size_t len)
{
    if (head->lines == 0) {
        const char *line = buf + head->line_start;
        const char *lf = memchr(line, '\n', len - head->line_start);

        head->line_at = (uint32_t)head->line_start;
        head->line_len = (uint32_t)((lf ? lf : buf + len) - line);
    }
    head->request_line = head->method = buf + head->line_at;
    return H1_REFUSED;
}

static bool too_long(struct h1_head *head, const struct h1_limits *limits, size_t line_len)
{
    if (head->lines == 0) {
        return line_len > limits->line && !h1_refuse(head, 414, "request line too long");
    }
    return line_len > limits->field_size && !h1_refuse(head, 431, "header field too long");
}

/* Of a line that is not empty: its first byte tells much of what is not HTTP. */
static bool check_start(struct h1_head *head, char first)
{
    if (first == '\r' || http_is(first, CHAR_TOKEN)) {
        return true;
    }
    return h1_refuse(head, 400,
                     head->lines == 0 ? "malformed method" : "malformed header field name");
}

/* An unfinished line: only what more bytes cannot cure. Its last byte may be the CR. */
static bool check_partial(struct h1_head *head, const char *buf, size_t len,
                          const struct h1_limits *limits)
{
    size_t line_len = len - head->line_start;

    if (line_len > 0 && !check_start(head, buf[head->line_start])) {
        return false;
    }
    if (len >= h1_head_max(limits)) {
        return h1_refuse(head, 431, "request head too large");
    }
    return line_len == 0 || !too_long(head, limits, line_len - 1);
}

static bool skip_empty_line(struct h1_head *head)
{
    head->skipped += 2;
    return head->skipped <= H1_SKIP_MAX || h1_refuse(head, 400, "empty lines instead of a request");
}

/* The buffer stays where it is from now on: offsets become pointers. */
static void publish(struct h1_head *head, char *buf)
{
    struct h1_field *field = head->fields;

    head->request_line = buf + head->line_at;
    head->method = head->request_line;
    head->target = buf + head->target_at;
    head->path = buf + head->path_at;
    head->host = head->host_at ? buf + head->host_at : NULL;
    buf[head->line_at + head->line_len] = '\0';
    for (unsigned n = 0; n < head->field_count; n++, field++) {
        field->name = buf + field->name_at;
        field->value = buf + field->value_at;
        buf[field->name_at + field->name_len] = '\0';
        buf[field->value_at + field->value_len] = '\0';
    }
}

/* buf[at..at+len): a whole line without CRLF. *end is told that it was the last one. */
static bool take_line(struct h1_head *head, const char *buf, size_t at, size_t len,
                      const struct h1_limits *limits, bool *end)
{
    if (len == 0) {
        *end = head->lines > 0;
        return *end || skip_empty_line(head);
    }
    if (head->lines++ > 0) {
        return h1_field_line(head, buf, at, len, limits->fields);
    }
    head->line_at = (uint32_t)at;
    head->line_len = (uint32_t)len;
    return h1_request_line(head, buf, at, len);
}

/* The next line, up to its LF at lf. What an unfinished line is refused for comes
 * first: it may not matter how the bytes were cut. */
static bool next_line(struct h1_head *head, const char *buf, const char *lf,
                      const struct h1_limits *limits, bool *end)
{
    const char *line = buf + head->line_start;
    bool crlf = lf > line && lf[-1] == '\r';
    size_t len = (size_t)(lf - line) - crlf;

    if (lf > line && !check_start(head, *line)) {
        return false;
    }
    if ((size_t)(lf - buf) >= h1_head_max(limits)) {
        return h1_refuse(head, 431, "request head too large");
    }
    if (too_long(head, limits, len)) {
        return false;
    }
    if (!crlf) {
        return h1_refuse(head, 400, "line ends in LF alone");
    }
    if (!take_line(head, buf, head->line_start, len, limits, end)) {
        return false;
    }
    head->line_start = head->scanned = (size_t)(lf - buf) + 1;
    return true;
}

enum h1_outcome h1_parse_head(struct h1_head *head, char *buf, size_t len,
                              const struct h1_limits *limits)
{
    bool end = false;

    head->length = len;
    while (head->status == 0 && head->scanned < len) {
        const char *lf = memchr(buf + head->scanned, '\n', len - head->scanned);

        if (lf == NULL) {
            head->scanned = len;
            break;
        }
        if (next_line(head, buf, lf, limits, &end) && end) {
            head->length = head->line_start;
            if (h1_settle_fields(head)) {
                publish(head, buf);
                return H1_COMPLETE;
            }
        }
    }
    if (head->status == 0 && check_partial(head, buf, len, limits)) {
        return H1_MORE;
    }
    return refused(head, buf, len);
}
