/* SPDX-License-Identifier: Apache-2.0 */
/* <Location> and <LocationMatch>: which sections a path is in, and in what order their
 * directives are laid over each other. */
#include "http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config/conf.h"

/* Mark WORD: configs remember the words that were merged into them, in order. */
struct mark_conf {
    const char *words;
};

static void *create_mark(apr_pool_t *pool, const char *path)
{
    struct mark_conf *conf = apr_palloc(pool, sizeof(*conf));

    (void)path;
    conf->words = "";
    return conf;
}

static void *merge_mark(apr_pool_t *pool, void *base, void *over)
{
    struct mark_conf *conf = apr_palloc(pool, sizeof(*conf));

    conf->words = apr_pstrcat(pool, ((struct mark_conf *)base)->words,
                              ((struct mark_conf *)over)->words, NULL);
    return conf;
}

static const char *set_mark(ins_cmd *cmd, void *conf, const char *word)
{
    struct mark_conf *mark = conf;

    mark->words = apr_pstrcat(cmd->pool, mark->words, word, NULL);
    return NULL;
}

static const ins_directive mark_directives[] = {
    INS_TAKE1("Mark", set_mark, INS_IN_SERVER | INS_IN_LOCATION, "a word"), { 0 }
};
static ins_module mark_module = { INS_MODULE_HEADER, .directives = mark_directives,
                                  .create_location = create_mark, .merge_location = merge_mark };
static ins_module *modules[] = { &mark_module, NULL };

struct section_case {
    const char *name, *config;
    struct {
        const char *path; /* "@host /path" */
        const char *words;
    } asks[16];
};

#define IN(path, body) "<Location " path ">\n" body "</Location>\n"
#define RE(expression, body) "<LocationMatch " expression ">\n" body "</LocationMatch>\n"

static const struct section_case cases[] = {
    { "no section", "Mark d\n", { { "/", "d" }, { "/x", "d" } } },
    { "a path at a segment's boundary",
      "Mark d\n" IN("/a", "Mark a\n") IN("/a/b/", "Mark b\n") IN("/", "Mark r\n"),
      { { "/", "dr" },
        { "/a", "dar" },
        { "/a/", "dar" },
        { "/a/x", "dar" },
        { "/ab", "dr" },
        { "/a/b", "dar" },
        { "/a/b/", "dabr" },
        { "/a/b/c/d/e", "dabr" },
        { "/A", "dr" } } },
    { "file order, whatever the kind",
      RE("b", "Mark 1\n") IN("/a", "Mark 2\n") RE("^/a", "Mark 3\n") IN("/a/*", "Mark 4\n")
          IN("~ \"b$\"", "Mark 5\n") IN("/", "Mark 6\n") IN("/a", "Mark 7\n"),
      { { "/a/b", "1234567" }, { "/a", "2367" }, { "/b", "156" }, { "/a/b/c", "12367" } } },
    { "wildcards do not cross a slash, and match the whole path",
      IN("/u/*/x", "Mark 1\n") IN("/f?", "Mark 2\n") IN("/[ab]", "Mark 3\n"),
      { { "/u/me/x", "1" },
        { "/u/me/you/x", "" },
        { "/u/me/x/y", "" },
        { "/fo", "2" },
        { "/f", "" },
        { "/b", "3" } } },
    { "the main server's sections, then the host's",
      "Mark m\n<VirtualHost *:80>\nServerName one\nMark h\n" IN("/", "Mark 3\n")
          RE("x", "Mark 4\n") "</VirtualHost>\n" IN("/", "Mark 1\n")
              IN("/x", "Mark 2\n") "<VirtualHost *:80>\nServerName two\n</VirtualHost>\n",
      { { "/x", "m12" }, { "@one /x", "mh1234" }, { "@one /y", "mh13" }, { "@two /x", "m12" } } },
    { "a section without a directive of the module",
      IN("/a", "LimitRequestBody 1\n"),
      { { "/a", "" }, { "/b", "" } } },
};

static ins_server *find_host(const struct http_case *c, const char *name, size_t len)
{
    ins_server *s = c->main_server;

    while (s && (strlen(s->server_hostname) != len || memcmp(s->server_hostname, name, len) != 0)) {
        s = s->next;
    }
    assert_non_null(s);
    return s;
}

static void **locate(apr_pool_t *pool, const struct http_case *c, const char *path)
{
    ins_server *s = c->main_server;

    if (*path == '@') {
        size_t len = strcspn(path + 1, " ");

        s = find_host(c, path + 1, len);
        path += len + 2;
    }
    return http_locate(c->app, s, path, pool);
}

static const char *words_at(apr_pool_t *pool, const struct http_case *c, const char *path)
{
    return ((struct mark_conf *)locate(pool, c, path)[mark_module.index])->words;
}

static void sections_are_merged_in_order(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_case http = http_good(*state, cases[i].config, NULL, modules, NULL);

        for (int n = 0; cases[i].asks[n].path; n++) {
            const char *got = words_at(*state, &http, cases[i].asks[n].path);

            if (strcmp(got, cases[i].asks[n].words) != 0) {
                fail_msg("%s: %s: got \"%s\", want \"%s\"", cases[i].name, cases[i].asks[n].path,
                         got, cases[i].asks[n].words);
            }
        }
    }
}

static void merged_configs_are_remembered(void **state)
{
    struct http_case http = http_good(*state,
                                      "LimitRequestBody 5\n" IN("/a", "LimitRequestBody 10\n")
                                          IN("/a/b", "Mark x\n") IN("/c", "Mark y\n"),
                                      NULL, modules, NULL);
    void **first = locate(*state, &http, "/a/x");
    const struct http_location_conf *conf = locate(*state, &http, "/a/b")[core_module.index];

    assert_ptr_equal(first, locate(*state, &http, "/a/y"));
    assert_ptr_not_equal(first, locate(*state, &http, "/a/b"));
    assert_ptr_equal(locate(*state, &http, "/x"), http.main_server->lookup_defaults);
    assert_int_equal(conf->limit_request_body, 10);
    conf = locate(*state, &http, "/c")[core_module.index];
    assert_int_equal(conf->limit_request_body, 5);
}

/* More sets of sections than are remembered: each is right all the same. */
static void many_sets_of_sections_are_right(void **state)
{
    enum { COUNT = 12 };
    const char *text = "";
    struct http_case http;

    for (int i = 0; i < COUNT; i++) {
        text = apr_psprintf(*state, "%s<LocationMatch %c>\nMark %c\n</LocationMatch>\n", text,
                            'a' + i, 'a' + i);
    }
    http = http_good(*state, text, NULL, modules, NULL);
    for (int set = 0; set < 1 << COUNT; set++) {
        char path[COUNT + 2] = "/";
        int len = 1;

        for (int i = 0; i < COUNT; i++) {
            if (set & 1 << i) {
                path[len++] = (char)('a' + i);
            }
        }
        assert_string_equal(words_at(*state, &http, path), path + 1);
    }
}

static void thousands_of_sections_may_match_at_once(void **state)
{
    enum { COUNT = 3000 };
    char *text = apr_palloc(*state, COUNT * 64);
    size_t used = 0;
    struct http_case http;
    const char *words;

    for (int i = 0; i < COUNT; i++) {
        used +=
            (size_t)sprintf(text + used, "<Location /same>\nMark %c\n</Location>\n", 'a' + i % 26);
    }
    http = http_good(*state, text, NULL, modules, NULL);
    words = words_at(*state, &http, "/same/x");
    assert_int_equal(strlen(words), COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(words[i], 'a' + i % 26);
    }
}

static const struct {
    const char *config, *words;
} errors[] = {
    { IN("a", ""), "1: a path begins with '/'" },
    { RE("\"a[\"", ""), "1: the expression a[ is wrong at its byte 3: missing terminating ]" },
    { IN("~ \"(\"", ""), "1: the expression ( is wrong" },
    { IN("\"~ (\"", ""), "1: the expression ( is wrong" },
    { IN("/a", IN("/b", "")), "2: <Location> cannot stand inside <Location>" },
    { RE("/a", IN("/b", "")), "2: <Location> cannot stand inside <LocationMatch>" },
    { IN("\"\"", ""), "1: <Location> wants a path" },
};

static void a_wrong_section_is_named_with_its_line(void **state)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct http_case http = http_text(*state, errors[i].config, NULL, modules, NULL);
        const char *words = http_words(http.diags, *state);

        if (strstr(words, errors[i].words) != words) {
            fail_msg("%s: got \"%s\", want \"%s\"", errors[i].config, words, errors[i].words);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_are_merged_in_order),
        cmocka_unit_test(merged_configs_are_remembered),
        cmocka_unit_test(many_sets_of_sections_are_right),
        cmocka_unit_test(thousands_of_sections_may_match_at_once),
        cmocka_unit_test(a_wrong_section_is_named_with_its_line),
    };

    return cmocka_run_group_tests(tests, http_setup, http_teardown);
}
