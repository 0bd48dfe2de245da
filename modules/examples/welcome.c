/* SPDX-License-Identifier: Apache-2.0 */
/* The page that a new server shows at "/": what to try first. In the
 * configuration:
 *
 *     LoadModule welcome_module modules/examples/welcome.c
 *     Route GET / welcome
 */
#include <instar.h>

static const char page_top[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Instar</title>\n"
    "<style>\n"
    "body { font: 17px/1.5 system-ui, sans-serif; color: #23302b; background: #f7f8f4;\n"
    "       max-width: 34em; margin: 12vh auto; padding: 0 1em; }\n"
    "code { background: #e6ebe1; padding: .1em .35em; border-radius: .25em; }\n"
    "a { color: #256b4a; }\n"
    "footer { margin-top: 3em; color: #71807a; font-size: 85%; }\n"
    "</style>\n"
    "<h1>It serves.</h1>\n"
    "<p>This page is <code>modules/examples/welcome.c</code>, compiled by the server itself.\n"
    "<ol>\n"
    "<li>Open <a href=\"/hello/you\">/hello/you</a>.\n"
    "<li>Edit <code>modules/examples/hello.c</code>.\n"
    "<li>Run <code>instarctl graceful</code>, and open it again: new code, same server.\n"
    "</ol>\n"
    "<p>Break the code and reload: the old code serves on, and you read why.\n";

static int welcome(ins_request *r)
{
    ins_set_type(r, "text/html; charset=utf-8");
    ins_puts(r, page_top);
    ins_printf(r, "<footer>%s, over %s%s</footer>\n",
               r->hostname ? ins_escape_html(r, r->hostname) : "this server", r->protocol,
               r->connection->secure ? " and TLS" : "");
    return INS_OK;
}

static const ins_handler handlers[] = { { "welcome", welcome }, { 0 } };

INS_MODULE(welcome_module) = {
    INS_MODULE_HEADER,
    .handlers = handlers,
};
