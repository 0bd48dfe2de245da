/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects. The location often comes from a client, so it is made to be one
 * URI reference whatever it holds, and one that begins with '/' stays on this server. */

#include "http/request_internal.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "http/chars.h"

static const char *escape(ins_request *r, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *copy = apr_palloc(r->pool, strlen(text) * 3 + 1), *at = copy;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c > 0x20 && c < 0x7f && !strchr("\"<>\\^`{|}", c)) {
            *at++ = *text;
        }
        else {
            *at++ = '%';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    *at = '\0';
    return copy;
}

/* A browser reads "//host" and "/\host" as another server. */
static const char *make_safe(ins_request *r, const char *location)
{
    if (*location != '/') {
        return escape(r, location);
    }
    return apr_pstrcat(r->pool, "/", escape(r, location + strspn(location, "/\\")), NULL);
}

int ins_redirect(ins_request *r, int status, const char *location)
{
    struct request *q = request_of(r);
    const char *to;
    bool known = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;

    if (q->head_sent) {
        answer_break_off(q, "redirected behind the beginning of its answer");
        return INS_OK;
    }
    output_reset(q);
    to = make_safe(r, location);
    r->status = known ? status : 302;
    apr_table_setn(r->headers_out, "Location", to);
    ins_set_type(r, "text/html; charset=utf-8");
    to = ins_escape_html(r, to);
    ins_printf(r, "<!DOCTYPE html>\n<title>%d %s</title>\n<p>See <a href=\"%s\">%s</a>.</p>\n",
               r->status, status_words(r->status), to, to);
    return INS_OK;
}
