/* SPDX-License-Identifier: Apache-2.0 */
/* Error pages: small, the same for every status, and nothing of the request in
 * them that was not escaped. */

#include "http/request_internal.h"

#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

static void put(struct request *q, const char *text)
{
    size_t len = strlen(text);

    q->out_total += (int64_t)len;
    output_append(q, text, len);
}

static void put_paragraph(struct request *q, const char *words)
{
    put(q, "<p>");
    put(q, ins_escape_html(&q->pub, words));
    put(q, "</p>\n");
}

/* What only somebody here can put right. */
static void put_admin(struct request *q, int status)
{
    const char *admin = q->pub.server->server_admin;

    if (status == 500 && admin && admin != http_no_admin) {
        put_paragraph(q, apr_pstrcat(q->pub.pool, "Please tell the administrator: ", admin, NULL));
    }
}

void error_page(struct request *q, int status, const char *words)
{
    ins_request *r = &q->pub;
    char code[] = { (char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                    (char)('0' + status % 10), ' ', '\0' };
    const char *title = status_words(status);

    output_reset(q);
    apr_table_clear(r->headers_out);
    r->status = status;
    r->status_line = NULL;
    r->content_type = "text/html; charset=utf-8";
    put(q, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>");
    put(q, code);
    put(q, title);
    put(q, "</title></head>\n<body>\n<h1>");
    put(q, title);
    put(q, "</h1>\n");
    if (words) {
        put_paragraph(q, words);
    }
    put_admin(q, status);
    put(q, "</body>\n</html>\n");
    if (status == 426 && !apr_table_get(r->err_headers_out, "Upgrade")) {
        apr_table_setn(r->err_headers_out, "Upgrade", "HTTP/1.1");
    }
}

int ins_error(ins_request *r, int status, const char *words)
{
    struct request *q = request_of(r);

    status = status >= 400 && status < 600 ? status : 500;
    if (q->head_sent) {
        answer_break_off(q, "failed behind the beginning of its answer");
        return INS_OK;
    }
    error_page(q, status, words);
    return INS_OK;
}
