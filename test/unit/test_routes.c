/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: which one a request takes, with which parameters, and what is wrong
 * with a config. Each case is a config and the answers to requests. */
#include "http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config/conf.h"

static int handle(ins_request *r)
{
    (void)r;
    return INS_OK;
}

static const ins_handler handlers[] = {
    { "a", handle }, { "b", handle }, { "c", handle },     { "d", handle },    { "e", handle },
    { "f", handle }, { "g", handle }, { "hello", handle }, { "same", handle }, { 0 }
};
static const ins_handler other_handlers[] = { { "same", handle }, { "other", handle }, { 0 } };
static ins_module one_module = { INS_MODULE_HEADER, .handlers = handlers };
static ins_module two_module = { INS_MODULE_HEADER, .handlers = other_handlers };
static ins_module *modules[] = { &one_module, &two_module, NULL };

struct ask {
    const char *request; /* "GET /x"; "@name " before it chooses a host */
    const char *answer;  /* "handler name=value ..."; "404"; "405 GET, HEAD, OPTIONS" */
};

struct match_case {
    const char *name, *config;
    struct ask asks[16];
};

static const struct match_case matches[] = {
    { "literals, parameters and the root",
      "Route GET / a\nRoute GET /hello/{name} hello\nRoute GET /x/y b\nRoute GET /x/y/ c\n",
      { { "GET /", "a" },
        { "GET /hello/world", "hello name=world" },
        { "GET /hello/", "404" },
        { "GET /hello", "404" },
        { "GET /hello/a/b", "404" },
        { "GET /x/y", "b" },
        { "GET /x/y/", "c" },
        { "GET /x", "404" },
        { "GET /X/y", "404" },
        { "GET /x/y/z/more/than/any/pattern/has", "404" } } },
    { "literal before expression before parameter before tail",
      "Route GET /u/{path...} d\nRoute GET /u/{id} c\nRoute GET /u/{id:[0-9]+} b\nRoute GET /u/me "
      "a\n",
      { { "GET /u/me", "a" },
        { "GET /u/12", "b id=12" },
        { "GET /u/12x", "c id=12x" },
        { "GET /u/x/y", "d path=x/y" },
        { "GET /u/", "d path=" },
        { "GET /u", "404" } } },
    { "backtracking",
      "Route GET /a/b/c a\nRoute GET /a/{x}/d b\nRoute GET /{y}/b/e c\nRoute GET /{y}/{z...} d\n",
      { { "GET /a/b/c", "a" },
        { "GET /a/b/d", "b x=b" },
        { "GET /a/b/e", "c y=a" },
        { "GET /a/b/f", "d y=a z=b/f" },
        { "GET /q/b/e", "c y=q" },
        { "GET /q/", "d y=q z=" } } },
    { "the whole segment, with the expression's own anchors and braces",
      "Route GET /{a:x|yz} a\nRoute GET /d/{n:[0-9]{2,4}} b\nRoute GET /s/{n:^[^/]+\\.js$} c\n"
      "Route GET /q/{n:[{}]+} d\nRoute GET /e/{n:.*} e\n",
      { { "GET /x", "a a=x" },
        { "GET /yz", "a a=yz" },
        { "GET /xz", "404" },
        { "GET /y", "404" },
        { "GET /d/1", "404" },
        { "GET /d/1234", "b n=1234" },
        { "GET /d/12345", "404" },
        { "GET /s/a.js", "c n=a.js" },
        { "GET /s/a.jsx", "404" },
        { "GET /q/{}}", "d n={}}" },
        { "GET /e/", "404" } } },
    { "equal shapes with different expressions: file order",
      "Route GET /{x:[a-z]+} b\nRoute GET /{x:[a-m]+} a\nRoute GET /{y:[a-z]+}/q c\n"
      "Route GET /{y:[a-m]+}/r d\n",
      { { "GET /abc", "b x=abc" }, { "GET /abc/q", "c y=abc" }, { "GET /abc/r", "d y=abc" } } },
    { "a more general pattern answers where the special one has not the method",
      "Route GET /u/me a\nRoute POST /u/{id} b\nRoute DELETE|PUT /u/{p...} c\n",
      { { "GET /u/me", "a" },
        { "POST /u/me", "b id=me" },
        { "DELETE /u/me", "c p=me" },
        { "PATCH /u/me", "405 GET, HEAD, POST, PUT, DELETE, OPTIONS" },
        { "OPTIONS /u/me", "405 GET, HEAD, POST, PUT, DELETE, OPTIONS" },
        { "GET /u/you", "405 POST, PUT, DELETE, OPTIONS" },
        { "PUT /u/a/b", "c p=a/b" },
        { "PROPFIND /u/a/b", "405 PUT, DELETE, OPTIONS" },
        { "PROPFIND /other", "404" } } },
    { "HEAD by GET, unless it has a route",
      "Route GET /a a\nRoute GET /b b\nRoute HEAD /b c\nRoute HEAD /c d\nRoute OPTIONS /a e\n",
      { { "HEAD /a", "a" },
        { "HEAD /b", "c" },
        { "GET /c", "405 HEAD, OPTIONS" },
        { "OPTIONS /a", "e" },
        { "OPTIONS /b", "405 GET, HEAD, OPTIONS" } } },
    { "methods are case-sensitive, and may be new ones",
      "Route REPORT|GET /a a\n",
      { { "REPORT /a", "a" }, { "get /a", "405 GET, HEAD, REPORT, OPTIONS" } } },
    { "expressions over the whole path come last, in file order",
      "Route GET ~ ^/f/(?<name>[a-z]+)\\.(?<ext>js|css)$ a\nRoute GET \"~ \\.js$\" b\n"
      "Route GET /f/x.js c\nRoute POST ~ ^/f/ d\nRoute GET ~^/g(?<more>/.*)?$ e\n",
      { { "GET /f/a.js", "a name=a ext=js" },
        { "GET /f/A.js", "b" },
        { "GET /f/x.js", "c" },
        { "POST /f/x.js", "d" },
        { "PUT /f/y.js", "405 GET, HEAD, POST, OPTIONS" },
        { "GET /g", "e" },
        { "GET /g/h", "e more=/h" },
        { "GET /h", "404" } } },
    { "expressions with alternatives and quantifiers behind their prefix",
      "Route GET ~ ^/ab?c a\nRoute GET ~ ^/x|^/y b\nRoute GET ~ ^/q(/|$) c\nRoute GET ~ ^/lit d\n"
      "Route GET ~ ^/m/[(]|^/n e\nRoute GET ~ ^/o/(?#()|^/p f\nRoute GET ~ ^/r/s\\E*$ g\n",
      { { "GET /ac", "a" },
        { "GET /abc", "a" },
        { "GET /y", "b" },
        { "GET /q", "c" },
        { "GET /qq", "404" },
        { "GET /literal", "d" },
        { "GET /n", "e" },
        { "GET /p", "f" },
        { "GET /r/", "g" } } },
    { "expressions below a literal segment and others keep their order",
      "Route GET ~ ^/a/x a\nRoute GET ~ /x b\nRoute GET ~ ^/a/ c\nRoute GET ~ ^/b/x d\n"
      "<VirtualHost *:80>\nServerName one\nRoute GET ~ ^/a/y e\nRoute GET ~ ^/a/x f\n"
      "Route GET ~ ^/b g\n</VirtualHost>\n",
      { { "GET /a/x", "a" },
        { "GET /a/z", "c" },
        { "GET /b/x", "b" },
        { "GET /c/x", "b" },
        { "@one GET /a/x", "f" },
        { "@one GET /a/xy", "f" },
        { "@one GET /a/y", "c" },
        { "@one GET /b/x", "b" },
        { "@one GET /b/q", "g" },
        { "GET /a", "404" } } },
    { "inside <Location> patterns are relative",
      "<Location /api>\nRoute GET /u/{id} a\nRoute GET v b\nRoute GET \"\" c\nRoute GET / d\n"
      "</Location>\n<Location /api/v2/>\nRoute GET /{p...} e\n</Location>\n"
      "<Location />\nRoute GET /root f\nRoute GET \"\" g\n</Location>\n",
      { { "GET /api/u/1", "a id=1" },
        { "GET /api/v", "b" },
        { "GET /api", "c" },
        { "GET /api/", "d" },
        { "GET /api/v2/x/y", "e p=x/y" },
        { "GET /api/v2", "404" },
        { "GET /root", "f" },
        { "GET /", "g" },
        { "GET /u/1", "404" } } },
    { "an expression inside a section answers there alone",
      "<LocationMatch ^/(en|fr)/>\nRoute GET ~ \\.html$ a\n</LocationMatch>\n"
      "<Location /docs>\nRoute GET ~ \\.html$ b\n</Location>\nRoute GET ~ \\.html$ c\n"
      "<Location ~ ^/z>\nRoute GET ~ \\.txt$ d\n</Location>\n"
      "<Location /w/*>\nRoute GET ~ \\.txt$ e\n</Location>\n",
      { { "GET /en/x.html", "a" },
        { "GET /docs/x.html", "b" },
        { "GET /docsx/x.html", "c" },
        { "GET /z.txt", "d" },
        { "GET /y.txt", "404" },
        { "GET /w/y.txt", "e" } } },
    { "hosts inherit, and override equal routes",
      "Route GET /a a\nRoute GET|POST /b/{x} b\nRoute GET /{l:[a-z]+}/z f\n"
      "Route GET ~ \\.js$ c\n"
      "<VirtualHost *:80>\nServerName one\nRoute GET /a d\nRoute GET /b/{renamed} e\n"
      "Route GET /new g\nRoute GET /{l:[a-m]+}/z a\nRoute GET ~ \\.js$ d\n</VirtualHost>\n"
      "<VirtualHost *:80>\nServerName two\nRoute GET /b/lit a\nRoute POST /{p...} "
      "e\n</VirtualHost>\n",
      { { "GET /a", "a" },
        { "@one GET /a", "d" },
        { "@two GET /a", "a" },
        { "@one GET /b/1", "e renamed=1" },
        { "@one POST /b/1", "b x=1" },
        { "@two GET /b/lit", "a" },
        { "@two POST /b/lit", "b x=lit" },
        { "@two POST /a", "e p=a" },
        { "@two GET /new", "405 POST, OPTIONS" },
        { "@one GET /new", "g" },
        { "@one GET /abc/z", "f l=abc" },
        { "@one GET /x.js", "d" },
        { "@two GET /x.js", "c" },
        { "@one PUT /b/1", "405 GET, HEAD, POST, OPTIONS" } } },
    { "handlers by module",
      "Route GET /a one_module:same\nRoute GET /b two:same\nRoute GET /c other tag=x n=1\n",
      { { "GET /a", "same" }, { "GET /b", "same" }, { "GET /c", "other" } } },
    { "no route at all", "", { { "GET /", "404" } } },
    { "only expressions", "Route GET ~ ^/x a\n", { { "GET /x", "a" }, { "GET /y/z/w", "404" } } },
};

static const ins_server *find_host(const struct http_case *c, const char *name, size_t len)
{
    const ins_server *s = c->main_server;

    while (s && (strlen(s->server_hostname) != len || memcmp(s->server_hostname, name, len) != 0)) {
        s = s->next;
    }
    assert_non_null(s);
    return s;
}

static const char *ask(apr_pool_t *pool, const struct http_case *c, const char *request)
{
    const ins_server *s = c->main_server;
    struct route_match match;
    const char *space;
    const char *out;

    if (*request == '@') {
        size_t len = strcspn(request + 1, " ");

        s = find_host(c, request + 1, len);
        request += len + 2;
    }
    space = strchr(request, ' ');
    assert_non_null(space);
    http_route(c->app, s, apr_pstrmemdup(pool, request, (size_t)(space - request)),
               apr_pstrdup(pool, space + 1), &match, pool);
    if (match.route == NULL) {
        return match.allow ? apr_pstrcat(pool, "405 ", match.allow, NULL) : "404";
    }
    out = match.route->handler_name;
    for (int i = 0; i < match.param_count; i++) {
        out = apr_pstrcat(pool, out, " ", match.params[i].name, "=", match.params[i].value, NULL);
    }
    return out;
}

static void a_request_takes_the_most_special_route(void **state)
{
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        const struct match_case *c = &matches[i];
        struct http_case http = http_good(*state, c->config, NULL, modules, NULL);

        for (const struct ask *a = c->asks; a->request; a++) {
            const char *answer = ask(*state, &http, a->request);

            if (strcmp(answer, a->answer) != 0) {
                fail_msg("%s: %s: got \"%s\", want \"%s\"", c->name, a->request, answer, a->answer);
            }
        }
    }
}

struct error_case {
    const char *config, *words; /* a part of the words */
};

static const struct error_case errors[] = {
    { "Route GET /a a\nRoute GET /a b\n", "2: the same route as in line 1 of test" },
    { "Route GET /a/{x} a\nRoute POST|GET /a/{y} b\n", "2: the same route as in line 1 of test" },
    { "Route GET /{x:[0-9]+} a\nRoute GET /{y:[0-9]+} b\n", "2: the same route as in line 1" },
    { "Route GET /{x...} a\nRoute GET /{y...} b\n", "2: the same route as in line 1" },
    { "Route GET ~ ^/x a\nRoute POST ~ ^/x b\nRoute POST|GET ~ ^/x b\n",
      "3: the same route as in line 2" },
    { "Route GET /api/x a\n<Location /api>\nRoute GET x b\n</Location>\n",
      "3: the same route as in line 1" },
    { "<VirtualHost *:80>\nRoute GET /a a\nRoute GET /a b\n</VirtualHost>\n",
      "3: the same route as in line 2" },
    { "Route get /a a\n", "1: Route: a method is in upper case" },
    { "Route GET| /a a\n", "1: Route: a method is in upper case" },
    { "Route GET|GET /a a\n", "1: the method GET stands in it twice" },
    { "Route * /a a\n", "1: Route: a method is" },
    { "Route GET|WS /a a\n", "1: Route: WS stands alone" },
    { "Route WS|GET /a a\n", "1: Route: WS stands alone" },
    { "Route WS /a a\n", "1: a is a handler: its method is GET, or another" },
    { "Route WS /a zzzzzzzz\n", "1: no loaded module has a WebSocket endpoint zzzzzzzz\n" },
    { "Route WS /a two:same\n",
      "1: two_module has no WebSocket endpoint same; its WebSocket endpoints: none" },
    { "Route CONNECT /a a\n", "1: Route: CONNECT" },
    { "Route GET a a\n", "1: a pattern begins with '/'" },
    { "Route GET \"\" a\n", "1: a pattern begins with '/'" },
    { "Route GET /{} a\n", "1: a parameter has a name" },
    { "Route GET /{x a\n", "1: '}' is missing" },
    { "Route GET /x} a\n", "1: a parameter is a whole segment" },
    { "Route GET /{x}.js a\n", "1: a parameter is a whole segment" },
    { "Route GET /a{x} a\n", "1: a parameter is a whole segment" },
    { "Route GET /{x:} a\n", "1: an expression is missing" },
    { "Route GET /{x.y} a\n", "1: a parameter is {name}" },
    { "Route GET /{x...}/y a\n", "1: {name...} takes the rest of the path" },
    { "Route GET /{x}/{x} a\n", "1: the parameter x stands in it twice" },
    { "Route GET /a/../b a\n", "1: '.' and '..' are gone" },
    { "Route GET /a?x=1 a\n", "1: a pattern has no query" },
    { "Route GET /a/* a\n", "1: '*' is no wildcard" },
    { "Route GET /{x:[} a\n", "1: '}' is missing" },
    { "Route GET /{x:(} a\n", "1: the expression ( is wrong at its byte 2: missing closing" },
    { "Route GET ~ ( a\n", "1: the expression ( is wrong at its byte 2: missing closing" },
    { "Route GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q} a\n",
      "1: it has more than 16 parameters" },
    { "Route GET /a\n", "1: Route" },
    { "Route GET ~ ^/a\n", "1: Route: the handler is missing" },
    { "Route GET /a same\n",
      "1: both one_module and two_module have a handler same: write one_module:same" },
    { "Route GET /a helo\n", "1: no loaded module has a handler helo; did you mean hello?" },
    { "Route GET /a zzzzzzzz\n", "1: no loaded module has a handler zzzzzzzz\n" },
    { "Route GET /a three:a\n", "1: no module three is loaded" },
    { "Route GET /a two:a\n", "1: two_module has no handler a; its handlers: same, other" },
    { "Route GET /a a isolate=yes\n", "1: Route: isolate= is reserved" },
    { "Route GET /a a Isolate=yes\n", "1: Route: isolate= is reserved" },
    { "Route GET /a a tag\n", "1: Route: behind the handler stand key=value pairs" },
    { "<LocationMatch ^/a>\nRoute GET /b a\n</LocationMatch>\n",
      "2: inside a section with wildcards or an expression" },
    { "<Location /a*>\nRoute GET /b a\n</Location>\n",
      "2: inside a section with wildcards or an expression" },
    { "<Location ~ ^/a>\nRoute GET b a\n</Location>\n",
      "2: inside a section with wildcards or an expression" },
    { "<LocationMatch (>\nRoute GET b a\n</LocationMatch>\n", "1: the expression ( is wrong" },
};

static void a_wrong_route_is_named_with_its_line(void **state)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct http_case http = http_text(*state, errors[i].config, NULL, modules, NULL);
        const char *words = http_words(http.diags, *state);

        if (strstr(words, errors[i].words) != words || http.diags->errors != 1) {
            fail_msg("%s: got \"%s\", want \"%s\"", errors[i].config, words, errors[i].words);
        }
    }
}

static void deep_and_long_paths_end(void **state)
{
    struct http_case http =
        http_good(*state, "Route GET /{a}/{b}/x a\nRoute GET /l/{p...} b\n", NULL, modules, NULL);
    char *path = apr_pcalloc(*state, 9001);

    for (int i = 0; i < 9000; i++) {
        path[i] = '/';
    }
    path[1] = 'l';
    path[2] = '/';
    assert_string_equal(ask(*state, &http, apr_pstrcat(*state, "GET ", path, NULL)),
                        apr_pstrcat(*state, "b p=", path + 3, NULL));
}

static void options_and_indexes_are_kept(void **state)
{
    struct http_case http = http_good(
        *state, "Route GET /a a\n<VirtualHost *:80>\nRoute GET /b b k=v=w\n</VirtualHost>\n", NULL,
        modules, NULL);
    struct route_match match;

    assert_int_equal(http_route_count(http.app), 2);
    http_route(http.app, http.main_server->next, "GET", "/b", &match, *state);
    assert_non_null(match.route);
    assert_int_equal(match.route->index, 1);
    assert_string_equal(apr_table_get(match.route->options, "k"), "v=w");
    assert_string_equal(match.route->pattern, "/b");
    assert_ptr_equal(match.route->module, &one_module);
    assert_int_equal(match.route->node->line, 3);
}

static void an_expression_that_explodes_does_not_match(void **state)
{
    struct http_case http =
        http_good(*state, "Route GET ~ ^/(a+)+$ a\nRoute GET ~ ^/a b\n", NULL, modules, NULL);

    assert_string_equal(ask(*state, &http, "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"),
                        "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_takes_the_most_special_route),
        cmocka_unit_test(a_wrong_route_is_named_with_its_line),
        cmocka_unit_test(deep_and_long_paths_end),
        cmocka_unit_test(options_and_indexes_are_kept),
        cmocka_unit_test(an_expression_that_explodes_does_not_match),
    };

    one_module.name = "one_module";
    two_module.name = "two_module";
    return cmocka_run_group_tests(tests, http_setup, http_teardown);
}
