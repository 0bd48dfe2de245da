/* SPDX-License-Identifier: Apache-2.0 */
/* From text to tree: what httpd's manual says of lines, quotes, containers,
 * variables and conditions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_fixture.h"

#define L "Listen 1\n"

struct syntax {
    const char *name, *text;
    const char *tree;  /* without the Listen that keeps every case free of errors */
    const char *words; /* NULL: no error, no warning */
};

static const struct syntax cases[] = {
    { "an empty file", L "", "", NULL },
    { "blank lines and comments", L "\n  \t\n# a\n   # b\nA b\n", "A [b]; ", NULL },
    { "a comment begins a line only", L "A b # c\n", "A [b] [#] [c]; ", NULL },
    { "no newline at the end", L "A b", "A [b]; ", NULL },
    { "white space of every kind", L " \t A \t b\v\fc  \t\n", "A [b] [c]; ", NULL },
    { "CRLF", L "A b\r\nB \\\r\n c\r\n", "A [b]; B [c]; ", NULL },
    { "a name keeps its case", L "aBc d\n", "aBc [d]; ", NULL },
    { "continuation", L "A b \\\n  c \\\n  d\nE\n", "A [b] [c] [d]; E; ", NULL },
    { "continuation inside a word", L "A bc\\\nde\n", "A [bcde]; ", NULL },
    { "continuation inside quotes", L "A \"b \\\n c\"\n", "A [b  c]; ", NULL },
    { "continuation of a comment", L "# a \\\nB\nC\n", "C; ", NULL },
    { "continuation at the start", L "\\\n\\\nA b\n", "A [b]; ", NULL },
    { "a space behind the backslash is no continuation", L "A b\\ \nC\n", "A [b\\]; C; ", NULL },
    { "two backslashes continue too", L "A b\\\\\nc\n", "A [b\\c]; ", NULL },
    { "a backslash at the file's end", L "A b\\", "A [b\\]; ", NULL },
    { "double quotes", L "A \"b c\" \"\" \"d\"\n", "A [b c] [] [d]; ", NULL },
    { "single quotes", L "A 'b \"c\"' '\\''\n", "A [b \"c\"] [']; ", NULL },
    { "escapes in quotes", L "A \"b\\\"c\\\\d\\n\"\n", "A [b\"c\\d\\n]; ", NULL },
    { "escapes outside quotes", L "A b\\\\c\\d \\\"e\n", "A [b\\c\\d] [\\\"e]; ", NULL },
    { "the other quote needs no escape", L "A \"it's\" '\\\"'\n", "A [it's] [\\\"]; ", NULL },
    { "a quote inside a word is a letter", L "A b\"c d\"\n", "A [b\"c] [d\"]; ", NULL },
    { "a word right behind a quote", L "A \"b\"c\n", "A [b] [c]; ", NULL },
    { "a quoted name", L "\"A\" b\n", "A [b]; ", NULL },
    { "UTF-8", L "A gr\303\274n \360\237\246\213\n", "A [gr\303\274n] [\360\237\246\213]; ", NULL },
    { "a byte order mark", "\357\273\277" L "A\n", "A; ", NULL },

    { "a container", L "<A b>\nC d\n</A>\nE\n", "A [b] { C [d]; }; E; ", NULL },
    { "a container without arguments", L "<A>\n</A>\n", "A { }; ", NULL },
    { "nesting", L "<A>\n<B x>\nC\n</b>\nD\n</a>\n", "A { B [x] { C; }; D; }; ", NULL },
    { "several arguments", L "<A *:80  [::]:80 >\n</A>\n", "A [*:80] [[::]:80] { }; ", NULL },
    { "a quoted argument", L "<A \"b > c\">\n</A>\n", "A [b > c] { }; ", NULL },
    { "an expression with >", L "<If \"%{A} > 2\">\n</If>\n", "If [%{A} > 2] { }; ", NULL },
    { "space before the bracket", L "<A b >\n</A >\n", "A [b] { }; ", NULL },
    { "a container over two lines", L "<A b \\\n c>\n</A>\n", "A [b] [c] { }; ", NULL },
    { "a comment behind the bracket", L "<A b> # c\n</A> # d\n", "A [b] { }; ",
      "2:1 warning: a comment needs a line of its own: this one is ignored\n"
      "3:1 warning: a comment needs a line of its own: this one is ignored\n" },

    { "Define and use", L "Define X y\nA ${X} a${X}b${X} $X {X} $\n",
      "A [y] [ayby] [$X] [{X}] [$]; ", NULL },
    { "a value with spaces is several arguments", L "Define X \"y z\"\nA ${X}w\n", "A [y] [zw]; ",
      NULL },
    { "quotes keep it together", L "Define X \"y z\"\nA \"${X}\" '${X}'\n", "A [y z] [y z]; ",
      NULL },
    { "a value brings quotes along", L "Define X '\"y z\"'\nA ${X}\n", "A [y z]; ", NULL },
    { "a directive's name", L "Define X \"A b\"\n${X} c\n  ${X}\n", "A [b] [c]; A [b]; ", NULL },
    { "a container's name", L "Define X A\n<${X} b>\n</${X}>\n", "A [b] { }; ", NULL },
    { "a whole container", L "Define X \" <A b>\"\n${X}\nC\n</A>\n", "A [b] { C; }; ", NULL },
    { "a value with a bracket", L "Define X \"b>\"\n<A ${X}\n</A>\n", "A [b] { }; ", NULL },
    { "a value is no comment", L "Define X \"# b\"\n${X}\n", "# [b]; ", NULL },
    { "nothing at all", L "Define X ' '\n${X}\n${X}A ${X}\n", "A; ", NULL },
    { "a variable over two lines", L "Define XY z\nA ${X\\\nY} b\n", "A [z] [b]; ", NULL },
    { "a value made of others", L "Define X y\nDefine Z ${X}${X}\nDefine X n\nA ${Z}\n", "A [yy]; ",
      NULL },
    { "a value is not replaced again", L "Define X '$'\nDefine Y '${X}{Z}'\nA '${Y}'\n",
      "A [${Z}]; ", NULL },
    { "an undefined variable stays", L "A b${NO_SUCH}c\n", "A [b${NO_SUCH}c]; ",
      "2:4 warning: ${NO_SUCH} is not defined: kept as it is\n" },
    { "each undefined one is named", L "A \\\n b ${X} c\\\n ${Y}\n", "A [b] [${X}] [c] [${Y}]; ",
      "3:4 warning: ${X} is not defined: kept as it is\n"
      "4:2 warning: ${Y} is not defined: kept as it is\n" },
    { "one with a colon stays without a word", L "A ${x:y}\n", "A [${x:y}]; ", NULL },
    { "the environment", L "A '${INSTAR_TEST_VALUE}'\n", "A [from outside]; ", NULL },
    { "Define goes before the environment",
      L "Define INSTAR_TEST_VALUE x\nA ${INSTAR_TEST_VALUE}\n", "A [x]; ", NULL },
    { "UnDefine uncovers the environment",
      L "Define INSTAR_TEST_VALUE x\nUnDefine INSTAR_TEST_VALUE\nA '${INSTAR_TEST_VALUE}'\n",
      "A [from outside]; ", NULL },
    { "a bracket that is never closed", L "A ${X ${\n", "A [${X] [${]; ", NULL },
    { "a variable in a container's arguments", L "Define X y\n<A ${X}>\n</A>\n", "A [y] { }; ",
      NULL },
    { "Define outlasts its container", L "<V>\nDefine X y\n</V>\nA ${X}\n", "V { }; A [y]; ",
      NULL },
    { "percent signs are no variables", L "A %{X}e %D\n", "A [%{X}e] [%D]; ", NULL },

    { "IfDefine of what is not", L "<IfDefine X>\nA\n</IfDefine>\nB\n", "B; ", NULL },
    { "IfDefine with !", L "<IfDefine !X>\nA\n</IfDefine>\n", "A; ", NULL },
    { "IfDefine of a Define",
      L "Define X\n<IfDefine X>\nA\n</IfDefine>\n<IfDefine !X>\nB\n"
        "</IfDefine>\n",
      "A; ", NULL },
    { "IfDefine heeds case", L "Define X\n<IfDefine x>\nA\n</IfDefine>\n", "", NULL },
    { "UnDefine", L "Define X\nUnDefine X\n<IfDefine X>\nA\n</IfDefine>\n", "", NULL },
    { "IfDefine's own case does not matter", L "<ifdefine !X>\nA\n</IFDEFINE>\n", "A; ", NULL },
    { "conditions in conditions",
      L "<IfDefine X>\n<IfDefine !Y>\nA\n</IfDefine>\nB\n</IfDefine>\nC\n", "C; ", NULL },
    { "nothing is defined in what is skipped",
      L "<IfDefine X>\nDefine Y\n</IfDefine>\n"
        "<IfDefine Y>\nA\n</IfDefine>\n",
      "", NULL },
    { "no warning in what is skipped", L "<IfDefine X>\nA ${NO_SUCH}\n\"\n</IfDefine>\n", "",
      NULL },
    { "a container in what is skipped", L "<IfDefine X>\n<A b>\nC\n</A>\n</IfDefine>\nD\n", "D; ",
      NULL },
    { "a condition in a container", L "<A>\n<IfDefine !X>\nB\n</IfDefine>\nC\n</A>\nD\n",
      "A { B; C; }; D; ", NULL },
    { "IfModule of the core",
      L "<IfModule core_module>\nA\n</IfModule>\n"
        "<IfModule ssl_module>\nB\n</IfModule>\n"
        "<IfModule mod_ssl.c>\nC\n</IfModule>\n"
        "<IfModule !mod_ssl.c>\nD\n</IfModule>\n",
      "A; B; C; ", NULL },
    { "IfModule before and behind LoadModule",
      L "<IfModule x_module>\nA\n</IfModule>\nLoadModule x_module m/mod_x.c\n"
        "<IfModule x_module>\nB\n</IfModule>\n<IfModule mod_x.c>\nC\n</IfModule>\n",
      "LoadModule [x_module] [m/mod_x.c]; B; C; ", NULL },
    { "IfModule of a .so by its source",
      L "LoadModule x_module m/mod_x.so\n"
        "<IfModule mod_x.c>\nA\n</IfModule>\n",
      "LoadModule [x_module] [m/mod_x.so]; A; ", NULL },
    { "IfFile",
      L "<IfFile />\nA\n</IfFile>\n<IfFile /no/such>\nB\n</IfFile>\n"
        "<IfFile \"!/no/such\">\nC\n</IfFile>\n",
      "A; C; ", NULL },
};

static void run_case(apr_pool_t *pool, const struct syntax *test)
{
    struct config_case result = config_text(pool, test->text);
    const char *tree = config_tree(result.conf, pool);
    static const char listen[] = "Listen [1]; ";

    assert_true(strncmp(tree, listen, sizeof(listen) - 1) == 0);
    assert_string_equal(tree + sizeof(listen) - 1, test->tree);
    assert_string_equal(config_words(result.diags, pool), test->words ? test->words : "");
}

static void text_becomes_a_tree(void **state)
{
    setenv("INSTAR_TEST_VALUE", "from outside", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_pool_t *pool;

        print_message("  %s\n", cases[i].name);
        apr_pool_create(&pool, *state);
        run_case(pool, &cases[i]);
        apr_pool_destroy(pool);
    }
}

static const struct conf_node *first_behind_listen(const struct config_case *result)
{
    return result->conf->root->children->next;
}

static void a_node_knows_its_places(void **state)
{
    struct config_case result = config_text(*state, L "# x\n  A \\\n  \"b c\"   d \\\n\te\n");
    const struct conf_node *node = first_behind_listen(&result);

    assert_int_equal(node->line, 3);
    assert_int_equal(node->column, 3);
    conf_error(result.diags, node, -1, "name");
    conf_error(result.diags, node, 0, "b");
    conf_error(result.diags, node, 1, "d");
    conf_error(result.diags, node, 2, "e");
    conf_error(result.diags, node, 3, "none such: %lld %zu", 1LL << 40, (size_t)7);
    assert_string_equal(config_words(result.diags, *state),
                        "3:3 error: name\n4:3 error: b\n4:11 error: d\n5:2 error: e\n"
                        "3:3 error: none such: 1099511627776 7\n");
    assert_string_equal(result.diags->first->next->excerpt, "      \"b c\"   d \\\n      ^");
}

static void an_argument_stands_where_its_variable_does(void **state)
{
    struct config_case result = config_text(*state, L "Define X \"b c\"\nA d${X} \\\n ${X}e f\n");
    const struct conf_node *node = first_behind_listen(&result);

    assert_int_equal(node->argc, 5);
    for (int i = 0; i < node->argc; i++) {
        conf_error(result.diags, node, i, "%s", node->argv[i]);
    }
    assert_string_equal(config_words(result.diags, *state),
                        "3:3 error: db\n3:4 error: c\n4:2 error: b\n4:2 error: ce\n4:8 error: f\n");
}

static void raw_is_all_behind_the_name(void **state)
{
    struct config_case result =
        config_text(*state, L "Define X y\nA  \"b c\"   ${X} 'd'  \n<B  \"e\" f >\n</B>\n");
    const struct conf_node *node = first_behind_listen(&result);

    assert_string_equal(node->raw, "\"b c\"   y 'd'");
    assert_string_equal(node->next->raw, "\"e\" f ");
    assert_true(node->hash == conf_hash("a"));
    assert_true(conf_is(node, "a"));
    assert_false(conf_is(node, "ab"));
    assert_false(conf_is(result.conf->root, "a"));
    assert_ptr_equal(node->parent, result.conf->root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_a_tree),
        cmocka_unit_test(a_node_knows_its_places),
        cmocka_unit_test(an_argument_stands_where_its_variable_does),
        cmocka_unit_test(raw_is_all_behind_the_name),
    };

    return cmocka_run_group_tests(tests, config_setup, config_teardown);
}
