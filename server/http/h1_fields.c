/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields (RFC 9112, 5): one line each, and those few that decide how the
 * message is framed and routed. No two of these have a name of the same length, so
 * that one look at the length tells which one a field might be. */

#include "http/h1_internal.h"

#include <string.h>

#include "http/chars.h"

static bool note_host(struct h1_head *head, struct h1_field *field, const char *value)
{
    size_t name_len = 0;

    if (head->host_seen) {
        return h1_refuse(head, 400, "more than one Host field");
    }
    head->host_seen = true;
    if (!h1_host_valid(value, field->value_len, &name_len)) {
        return h1_refuse(head, 400, "malformed Host field");
    }
    if (head->form != H1_ABSOLUTE && head->form != H1_AUTHORITY) {
        head->host_at = field->value_at;
        head->host_len = field->value_len;
        head->host_name_len = (uint32_t)name_len;
    }
    return true;
}

/* "5, 5" and repeated fields are one number as long as they agree (RFC 9112,
 * 6.3). Elements may not be empty: this is no place for leniency. */
static bool same_numbers(struct h1_head *head, const char *text, const char *end)
{
    const char *comma;
    int64_t number;

    for (;; text = comma + 1) {
        const char *stop;

        comma = memchr(text, ',', (size_t)(end - text));
        stop = comma ? comma : end;
        while (text < stop && (*text == ' ' || *text == '\t')) {
            text++;
        }
        while (stop > text && (stop[-1] == ' ' || stop[-1] == '\t')) {
            stop--;
        }
        if (!http_decimal(text, (size_t)(stop - text), &number) ||
            (head->content_length >= 0 && head->content_length != number)) {
            return false;
        }
        head->content_length = number;
        if (!comma) {
            return true;
        }
    }
}

/* What the request's reader sees afterwards is one field with one number. */
static bool note_content_length(struct h1_head *head, struct h1_field *field, const char *value)
{
    const char *comma = memchr(value, ',', field->value_len);
    bool repeated = head->content_length >= 0;

    if (!same_numbers(head, value, value + field->value_len)) {
        return h1_refuse(head, 400, "malformed Content-Length");
    }
    if (comma) {
        for (field->value_len = 0; http_is(value[field->value_len], CHAR_DIGIT);) {
            field->value_len++;
        }
    }
    head->field_count -= repeated;
    return true;
}

static bool note_coding(struct h1_head *head, const char *name, size_t len)
{
    size_t token = 0;

    while (token < len && http_is(name[token], CHAR_TOKEN)) {
        token++;
    }
    if (token == 0 || (token < len && !strchr("; \t", name[token]))) {
        return h1_refuse(head, 400, "malformed Transfer-Encoding");
    }
    if (head->chunked) {
        return h1_refuse(head, 400, "chunked is not the last transfer coding");
    }
    if (!http_same_word(name, token, "chunked")) {
        head->coded = true;
        return true;
    }
    head->chunked = true;
    return token == len || h1_refuse(head, 400, "chunked takes no parameters");
}

static bool note_transfer_encoding(struct h1_head *head, struct h1_field *field, const char *value)
{
    const char *at = value, *end = value + field->value_len, *element;
    size_t len;
    bool any = false;

    while (http_list_next(&at, end, &element, &len)) {
        if (!note_coding(head, element, len)) {
            return false;
        }
        any = true;
    }
    return any || h1_refuse(head, 400, "malformed Transfer-Encoding");
}

static bool note_connection(struct h1_head *head, struct h1_field *field, const char *value)
{
    const char *at = value, *end = value + field->value_len, *element;
    size_t len;

    while (http_list_next(&at, end, &element, &len)) {
        head->connection_close |= http_same_word(element, len, "close");
        head->connection_keep |= http_same_word(element, len, "keep-alive");
        head->connection_upgrade |= http_same_word(element, len, "upgrade");
    }
    return true;
}

static bool note_expect(struct h1_head *head, struct h1_field *field, const char *value)
{
    if (field->value_len == 0) {
        return true; /* a list without elements expects nothing */
    }
    head->expect_continue = http_same_word(value, field->value_len, "100-continue");
    return head->expect_continue || h1_refuse(head, 417, "unknown expectation");
}

static bool note_upgrade(struct h1_head *head, struct h1_field *field, const char *value)
{
    (void)value;
    head->upgrade_seen |= field->value_len > 0;
    return true;
}

static const struct known_field {
    const char *name, *usual; /* as most clients write it */
    bool (*note)(struct h1_head *head, struct h1_field *field, const char *value);
} known_by_length[] = {
    [4] = { "host", "Host", note_host },
    [6] = { "expect", "Expect", note_expect },
    [7] = { "upgrade", "Upgrade", note_upgrade },
    [10] = { "connection", "Connection", note_connection },
    [14] = { "content-length", "Content-Length", note_content_length },
    [17] = { "transfer-encoding", "Transfer-Encoding", note_transfer_encoding },
};

static bool note_field(struct h1_head *head, struct h1_field *field, const char *buf)
{
    const size_t count = sizeof(known_by_length) / sizeof(*known_by_length);
    const struct known_field *known;

    if (field->name_len >= count) {
        return true;
    }
    known = &known_by_length[field->name_len];
    if (!known->note || (memcmp(buf + field->name_at, known->usual, field->name_len) != 0 &&
                         !http_same_word(buf + field->name_at, field->name_len, known->name))) {
        return true;
    }
    return known->note(head, field, buf + field->value_at);
}

static struct h1_field *new_field(struct h1_head *head, unsigned max)
{
    if (head->field_count >= head->field_capacity || (max && head->field_count >= max)) {
        h1_refuse(head, 431, "too many header fields");
        return NULL;
    }
    return &head->fields[head->field_count];
}

bool h1_field_line(struct h1_head *head, const char *buf, size_t at, size_t len, unsigned max)
{
    const char *name = buf + at, *end = name + len, *p = name, *value;
    struct h1_field *field = new_field(head, max);

    if (!field) {
        return false;
    }
    while (p < end && http_is(*p, CHAR_TOKEN)) {
        p++;
    }
    if (p == name || p == end || *p != ':') {
        return h1_refuse(head, 400, "malformed header field name");
    }
    for (value = p + 1; value < end && (*value == ' ' || *value == '\t'); value++) {
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (!http_text_clean(value, (size_t)(end - value))) {
        return h1_refuse(head, 400, "control character in a header field");
    }
    field->name_at = (uint32_t)at;
    field->name_len = (uint32_t)(p - name);
    field->value_at = (uint32_t)(value - buf);
    field->value_len = (uint32_t)(end - value);
    head->field_count++;
    return note_field(head, field, buf);
}

static bool settle_coding(struct h1_head *head)
{
    if (!head->chunked && !head->coded) {
        return true;
    }
    if (head->proto_num < 1001) {
        return h1_refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
    }
    if (head->content_length >= 0) {
        return h1_refuse(head, 400, "both Content-Length and Transfer-Encoding");
    }
    return !head->coded || h1_refuse(head, 501, "transfer coding not implemented");
}

/* Without a length nobody can tell an HTTP/1.0 client's body from its next
 * request (RFC 1945, 8.3). */
static bool settle_length(struct h1_head *head)
{
    if (head->proto_num >= 1001 || head->content_length >= 0 || !head->posts) {
        return true;
    }
    return h1_refuse(head, 411, "a body in HTTP/1.0 wants a Content-Length");
}

bool h1_settle_fields(struct h1_head *head)
{
    bool modern = head->proto_num >= 1001;

    if (modern && !head->host_seen) {
        return h1_refuse(head, 400, "no Host field");
    }
    if (head->host_seen && head->host_name_len == 0) {
        return h1_refuse(head, 400, "empty Host field");
    }
    head->expect_continue &= modern && (head->chunked || head->content_length > 0);
    head->upgrade = modern && head->upgrade_seen && head->connection_upgrade;
    head->keep_alive = !head->connection_close && (modern || head->connection_keep);
    return settle_coding(head) && settle_length(head);
}
