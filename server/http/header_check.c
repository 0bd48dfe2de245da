/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that modules set. Whatever could end a line early is refused, here when
 * it is set, and again when the head is written, for the tables are public. */

#include "http/request_internal.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"

bool header_is_safe(const char *name, const char *value)
{
    size_t len = strlen(name);

    return len > 0 && http_all(name, len, CHAR_TOKEN) && http_text_clean(value, strlen(value));
}

static void refuse_field(const struct request *q, const char *name, const char *value)
{
    request_complain(q, "INS01501", INS_ERR,
                     "a handler set a header field that would break the answer: %s: %s",
                     name ? name : "(null)", value ? value : "(null)");
}

static bool accept_field(const struct request *q, const char *name, const char *value)
{
    if (name && value && header_is_safe(name, value)) {
        return true;
    }
    refuse_field(q, name, value);
    return false;
}

static bool is_field(const char *name, const char *lower)
{
    return http_same_word(name, strlen(name), lower);
}

/* Two of them have a place of their own. */
static bool set_special(ins_request *r, const char *name, const char *value)
{
    int64_t length;

    if (is_field(name, "content-type")) {
        ins_set_type(r, value);
        return true;
    }
    if (is_field(name, "content-length")) {
        if (http_decimal(value, strlen(value), &length)) {
            ins_set_length(r, length);
        }
        return true;
    }
    return false;
}

void ins_set_header(ins_request *r, const char *name, const char *value)
{
    if (accept_field(request_of(r), name, value) && !set_special(r, name, value)) {
        apr_table_set(r->headers_out, name, value);
    }
}

void ins_add_header(ins_request *r, const char *name, const char *value)
{
    if (accept_field(request_of(r), name, value) && !set_special(r, name, value)) {
        apr_table_add(r->headers_out, name, value);
    }
}

void ins_set_type(ins_request *r, const char *type)
{
    struct request *q = request_of(r);

    size_t len = type ? strlen(type) : 0;

    if (type && http_text_clean(type, len)) {
        r->content_type = q->safe_type = apr_pstrmemdup(r->pool, type, len);
    }
    else {
        refuse_field(q, "Content-Type", type);
    }
}

void ins_set_length(ins_request *r, int64_t length)
{
    struct request *q = request_of(r);

    if (length >= 0 && !q->head_sent) {
        q->out_declared = length;
    }
}

void ins_set_status(ins_request *r, int status)
{
    r->status = status;
}
