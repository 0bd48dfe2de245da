/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that others wrote: compilers' words, lists of dependencies, results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "builder/compiler.h"
#include "builder/depfile.h"
#include "builder/diagnostics.h"
#include "builder/names.h"
#include "builder/result.h"
#include "builder/sources.h"
#include "util/diag.h"

static int setup(void **state)
{
    apr_pool_t *pool;

    assert_int_equal(apr_initialize(), APR_SUCCESS);
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    *state = pool;
    return 0;
}

static int teardown(void **state)
{
    apr_pool_destroy(*state);
    apr_terminate();
    return 0;
}

/* "file:line:column error|warning words\n" for each. */
static const char *words(const struct diags *diags, apr_pool_t *pool)
{
    const char *out = "";

    for (const struct diag *d = diags->first; d; d = d->next) {
        out = apr_psprintf(pool, "%s%s:%u:%u %s %s\n", out, d->file, d->line, d->column,
                           d->severity == DIAG_ERROR ? "error" : "warning", d->message);
    }
    return out;
}

static void compilers_words(void **state)
{
    static const struct {
        const char *name, *text, *found, *loose;
    } cases[] = {
        { "gcc", "/m/a.c: In function 'f':\n/m/a.c:3:5: error: 'x' undeclared\n",
          "/m/a.c:3:5 error 'x' undeclared\n", NULL },
        { "relative", "a.c:3:5: error: words\n", "/here/a.c:3:5 error words\n", NULL },
        { "no end of line", "/m/a.c:3:5: error: words", "/m/a.c:3:5 error words\n", NULL },
        { "no column", "/m/a.c:3: error: words\n", "/m/a.c:3:0 error words\n", NULL },
        { "fatal",
          "/m/a.c:1:10: fatal error: no.h: No such file or directory\ncompilation terminated.\n",
          "/m/a.c:1:10 error no.h: No such file or directory\n", NULL },
        { "warning and note", "/m/a.c:1:1: warning: w [-Wall]\n/m/a.c:2:2: note: n\n",
          "/m/a.c:1:1 warning w [-Wall]\n", NULL },
        { "colours",
          "\033[01m\033[K/m/a.c:3:5:\033[m\033[K \033[01;31m\033[Kerror: \033[m\033[Kwords\n",
          "/m/a.c:3:5 error words\n", NULL },
        { "a link in the words",
          "/m/a.c:3:5: warning: w [\033]8;;https://gcc.gnu.org/\033\\-Wall\033]8;;\033\\]\n",
          "/m/a.c:3:5 warning w [-Wall]\n", NULL },
        { "clang", "/m/a.c:3:5: error: use of undeclared identifier 'x'\n  x = 1;\n  ^\n",
          "/m/a.c:3:5 error use of undeclared identifier 'x'\n", NULL },
        { "ld",
          "/usr/bin/ld: /tmp/cc1.o: in function `f':\n/m/a.c:7: undefined reference to `g'\n"
          "collect2: error: ld returned 1 exit status\n",
          "/m/a.c:7:0 error undefined reference to `g'\n", NULL },
        { "ld in one line", "/usr/bin/ld: /m/a.c:7: undefined reference to `g'\n",
          "/m/a.c:7:0 error undefined reference to `g'\n", NULL },
        { "ld without lines", "a.c:(.text+0x1f): undefined reference to `g'\n",
          "/here/a.c:0:0 error undefined reference to `g'\n", NULL },
        { "library",
          "/usr/bin/ld: cannot find -lnone: No such file or directory\n"
          "collect2: error: ld returned 1 exit status\n",
          "", "cannot find -lnone: No such file or directory" },
        { "cc1", "cc1: error: unrecognized command-line option '-fnone'\n", "",
          "unrecognized command-line option '-fnone'" },
        { "killed", "gcc: fatal error: Killed signal terminated program cc1\n", "",
          "Killed signal terminated program cc1" },
        { "memory", "cc1: out of memory allocating 65536 bytes after a total of 1\n", "",
          "out of memory allocating 65536 bytes after a total of 1" },
        { "as", "a.c: Assembler messages:\na.c:4: Error: no such instruction: `zzz'\n",
          "/here/a.c:4:0 error no such instruction: `zzz'\n", NULL },
        { "spaces and colons in a name", "/m/b c:d.c:3:5: error: words\n",
          "/m/b c:d.c:3:5 error words\n", NULL },
        { "quoted source", "    3 | return \"error: \";\n", "", NULL },
        { "numbers without end", "/m/a.c:99999999999999999999:1: error: w\n",
          "/m/a.c:0:1 error w\n", NULL },
        { "only a kind", "error: \n", "", "" },
        { "escape at the end", "error: x\033", "", "x" },
        { "nothing", "", "", NULL },
    };
    apr_pool_t *pool = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct diags *diags = diags_create(pool);
        const char *loose = NULL;

        diagnostics_parse(diags, cases[i].text, strlen(cases[i].text), "/here", &loose);
        if (strcmp(words(diags, pool), cases[i].found) != 0 ||
            strcmp(loose ? loose : "-", cases[i].loose ? cases[i].loose : "-") != 0) {
            fail_msg("%s: \"%s\", loose \"%s\"", cases[i].name, words(diags, pool), loose);
        }
    }
}

static void the_line_itself_is_quoted(void **state)
{
    struct diags *diags = diags_create(*state);
    static const char text[] = "/m/a.c:12:5: error: words\n   12 |   x = 1;\n      |   ^\n";

    assert_int_equal(diagnostics_parse(diags, text, sizeof(text) - 1, "/", NULL), 1);
    assert_non_null(diags->first->excerpt);
    assert_non_null(strstr(diags->first->excerpt, "  x = 1;"));
}

static void entries_are_bounded(void **state)
{
    apr_pool_t *pool = *state;
    struct diags *diags = diags_create(pool);
    char *text = apr_pcalloc(pool, 10000 * 20 + 1);

    for (int i = 0; i < 10000; i++) {
        strcat(text + (size_t)i * 19, "/m/a.c:1:1: error:\n");
    }
    diagnostics_parse(diags, text, strlen(text), "/", NULL);
    memset(text, ':', 190000);
    diagnostics_parse(diags, text, 190000, "/", NULL);
    assert_in_range(diags->errors, 0, 100);
}

static void dependencies(void **state)
{
    static const struct {
        const char *text, *names;
    } cases[] = {
        { "x: /m/a.c /m/b.h\n", "[/m/a.c][/m/b.h]" },
        { "x: /m/a.c \\\n /m/b.h \\\r\n  /m/c.h", "[/m/a.c][/m/b.h][/m/c.h]" },
        { "x: a\\ b.c c\\#d $$e\n", "[a b.c][c#d][$e]" },
        { "x: a\\\\\\ b back\\slash end\\\\\n", "[a\\ b][back\\slash][end\\\\]" },
        { "x:\n", "" },
        { "", "" },
        { "no rule", "" },
        { "x: a\\", "[a\\]" },
        { "x: \\\n", "" },
    };
    apr_pool_t *pool = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        apr_array_header_t *list = apr_array_make(pool, 1, sizeof(const char *));
        const char *out = "";

        depfile_parse(cases[i].text, strlen(cases[i].text), list);
        for (int n = 0; n < list->nelts; n++) {
            out = apr_pstrcat(pool, out, "[", APR_ARRAY_IDX(list, n, const char *), "]", NULL);
        }
        assert_string_equal(out, cases[i].names);
    }
}

static void names_there_and_back(void **state)
{
    apr_pool_t *pool = *state;
    struct names *names = apr_palloc(pool, sizeof(*names)); /* closed with the pool */
    struct name *name;
    char buf[256];
    const char *text, *real;
    size_t len;

    names_init(names, pool);
    assert_true(names_add(names, "/usr") >= 0);
    assert_int_equal(names_add(names, "/usr"), names_fd(names, "/usr"));
    assert_int_equal(names_add(names, "/no/such"), -1);
    name = &APR_ARRAY_IDX(names->list, 0, struct name);
    assert_string_equal(names_reach(names, "/usr/x.h", buf, sizeof(buf)), "/usr/x.h");
    name->direct = false;
    text = apr_pstrcat(pool, name->via, "/x.h", NULL);
    assert_string_equal(names_reach(names, "/usr/x.h", buf, sizeof(buf)), text);
    assert_string_equal(names_reach(names, "/usrx/x.h", buf, sizeof(buf)), "/usrx/x.h");
    text = apr_psprintf(pool, "in %s/x.h, %s and %s9/y", name->via, name->via, name->via);
    real = names_real(names, text, strlen(text), &len, pool);
    assert_string_equal(real, apr_psprintf(pool, "in /usr/x.h, /usr and %s9/y", name->via));
    assert_int_equal(len, strlen(real));
}

static void results_there_and_back(void **state)
{
    apr_pool_t *pool = *state;
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct result in = { .index = 1,
                         .outcome = RESULT_FAILED,
                         .detail = 7,
                         .output = "words",
                         .output_len = 5,
                         .files = "names",
                         .files_len = 5 };
    struct result out;
    int64_t offset = 0;

    assert_int_equal(result_write(fd, &in), 0);
    assert_int_equal(result_write(fd, &in), 0);
    assert_true(result_read(fd, &offset, 2, &out, pool));
    assert_int_equal(out.detail, 7);
    assert_string_equal(out.output, "words");
    assert_string_equal(out.files, "names");
    assert_true(result_read(fd, &offset, 2, &out, pool));
    assert_false(result_read(fd, &offset, 2, &out, pool));
    close(fd);
}

/* Any single byte of a record may be anything. */
static void results_are_not_believed(void **state)
{
    apr_pool_t *pool = *state;
    struct result in = { .index = 1, .outcome = RESULT_BUILT, .output = "", .files = "" };

    for (int at = 0; at < 24; at++) {
        for (int value = 0; value < 256; value += 51) {
            int fd = memfd_create("test", MFD_CLOEXEC);
            unsigned char byte = (unsigned char)value;
            struct result out;
            int64_t offset = 0;

            assert_int_equal(result_write(fd, &in), 0);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
            if (result_read(fd, &offset, 2, &out, pool)) {
                assert_in_range(out.index, 0, 1);
                assert_in_range(out.outcome, 0, RESULT_OUTCOMES - 1);
                assert_int_equal(out.output_len, 0);
            }
            close(fd);
        }
    }
}

static void the_cxx_compiler_that_goes_with_it(void **state)
{
    static const char *const pairs[][2] = {
        { "gcc", "g++" },
        { "gcc-12", "g++-12" },
        { "/opt/cc/bin/x86_64-linux-gnu-gcc-12", "/opt/cc/bin/x86_64-linux-gnu-g++-12" },
        { "clang-14", "clang++-14" },
        { "cc", "c++" },
        { "g++", "g++" },
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        assert_string_equal(compiler_cxx(pairs[i][0], *state), pairs[i][1]);
    }
    assert_null(compiler_cxx("tool", *state));
}

static void sources_by_name(void **state)
{
    (void)state;
    assert_true(source_is_code("/m/a.c"));
    assert_true(source_is_code("a.cpp") && source_is_cxx("a.cc"));
    assert_false(source_is_cxx("a.c"));
    assert_false(source_is_code("a.h") || source_is_code("c") || source_is_code("a.c~"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(compilers_words),          CASE(the_line_itself_is_quoted),
        CASE(entries_are_bounded),      CASE(dependencies),
        CASE(names_there_and_back),     CASE(results_there_and_back),
        CASE(results_are_not_believed), CASE(the_cxx_compiler_that_goes_with_it),
        CASE(sources_by_name),
    };

    return cmocka_run_group_tests_name("build texts", tests, NULL, NULL);
}
