/* SPDX-License-Identifier: Apache-2.0 */
/* conf_apply(): every kind of row, what setters are given, and the units that
 * they share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config_fixture.h"

struct sample {
    int number, flag;
    const char *text;
    const char *seen; /* what setters were given */
};

static const char *none(ins_cmd *cmd, void *conf)
{
    struct sample *sample = conf;

    sample->seen = apr_pstrcat(cmd->pool, sample->seen, "none;", NULL);
    return NULL;
}

static const char *one(ins_cmd *cmd, void *conf, const char *arg)
{
    struct sample *sample = conf;

    if (strcmp(arg, "bad") == 0) {
        return "must not be bad";
    }
    sample->seen = apr_pstrcat(cmd->pool, sample->seen, arg, ";", NULL);
    return NULL;
}

static const char *two(ins_cmd *cmd, void *conf, const char *a, const char *b)
{
    struct sample *sample = conf;

    sample->seen = apr_pstrcat(cmd->pool, sample->seen, a, "+", b, ";", NULL);
    return NULL;
}

static const char *flag(ins_cmd *cmd, void *conf, int on)
{
    struct sample *sample = conf;

    sample->seen = apr_pstrcat(cmd->pool, sample->seen, on ? "on;" : "off;", NULL);
    return NULL;
}

static const char *many(ins_cmd *cmd, void *conf, int argc, const char *const argv[])
{
    struct sample *sample = conf;

    assert_ptr_equal(conf_cmd_node(cmd)->argv, argv);
    assert_non_null(conf_cmd_diags(cmd));
    assert_string_equal(cmd->file, "test");
    assert_string_equal(cmd->name, "Many");
    assert_string_equal(cmd->path, "/x");
    if (strcmp(argv[argc - 1], "bad") == 0) {
        conf_cmd_at(cmd, argc - 1);
        return "the last is bad";
    }
    sample->seen = apr_psprintf(cmd->pool, "%s%d;", sample->seen, argc);
    return NULL;
}

enum { EVERYWHERE = INS_IN_SERVER | INS_IN_LOCATION };

static const ins_directive rows[] = {
    { .name = "None", .args = INS_ARGS_NONE, .where = EVERYWHERE, .set = { .none = none } },
    INS_TAKE1("One", one, EVERYWHERE, ""),
    INS_TAKE2("Two", two, EVERYWHERE, ""),
    { .name = "Flag",
      .args = INS_ARGS_FLAG,
      .where = EVERYWHERE,
      .set = { .flag = flag },
      .syntax = "On|Off" },
    { .name = "Each",
      .args = INS_ARGS_ITERATE,
      .where = EVERYWHERE,
      .set = { .one = one },
      .syntax = "WORD..." },
    INS_TAKE_ARGV("Many", many, 1, 3, "A [B [C]]", EVERYWHERE, ""),
    INS_INT("Number", struct sample, number, -5, 10, NULL, EVERYWHERE, ""),
    INS_FLAG("Switch", struct sample, flag, EVERYWHERE, ""),
    INS_STRING("Text", struct sample, text, NULL, EVERYWHERE, ""),
    INS_FLAG("InServer", struct sample, flag, INS_IN_SERVER, ""),
    INS_FLAG("InLocation", struct sample, flag, INS_IN_LOCATION, ""),
    INS_FLAG("InMain", struct sample, flag, INS_IN_GLOBAL, ""),
    { .name = "Broken", .args = INS_ARGS_ONE, .where = EVERYWHERE },
    { 0 },
};

static void apply_all(const struct conf_node *node, struct sample *sample, struct diags *diags,
                      apr_pool_t *pool)
{
    for (; node; node = node->next) {
        for (const ins_directive *row = rows; row->name; row++) {
            if (conf_is(node, row->name)) {
                conf_apply(row, node, NULL, "/x", sample, diags, pool, pool);
            }
        }
        apply_all(node->children, sample, diags, pool);
    }
}

struct application {
    const char *text, *seen, *words;
};

static const struct application cases[] = {
    { "None\n", "none;", "" },
    { "None x\n", "", "2:6 error: None takes no argument: None\n" },
    { "One x\none \"y z\"\n", "x;y z;", "" },
    { "One\nOne a b\n", "",
      "2:1 error: One takes one argument: One VALUE\n"
      "3:7 error: One takes one argument: One VALUE\n" },
    { "One bad\n", "", "2:5 error: One: must not be bad\n" },
    { "Two a b\nTwo a\nTwo a b c\n", "a+b;",
      "3:1 error: Two takes two arguments: Two VALUE VALUE\n"
      "4:9 error: Two takes two arguments: Two VALUE VALUE\n" },
    { "Flag on\nFlag OFF\nFlag yes\n", "on;off;", "4:6 error: Flag: must be On or Off\n" },
    { "Each a bad c bad\nEach\n", "a;c;",
      "2:8 error: Each: must not be bad\n2:14 error: Each: must not be bad\n"
      "3:1 error: Each takes at least one argument: Each WORD...\n" },
    { "Many a\nMany a b c\nMany a bad\nMany\nMany a b c d\n", "1;3;",
      "4:8 error: Many: the last is bad\n"
      "5:1 error: Many takes one to three arguments: Many A [B [C]]\n"
      "6:12 error: Many takes one to three arguments: Many A [B [C]]\n" },
    { "Number -5\nNumber 10\nNumber 11\nNumber -6\nNumber 1.5\nNumber +1\nNumber 0x1\n", "",
      "4:8 error: Number: must be a whole number from -5 to 10\n"
      "5:8 error: Number: must be a whole number from -5 to 10\n"
      "6:8 error: Number: must be a whole number from -5 to 10\n"
      "7:8 error: Number: must be a whole number from -5 to 10\n"
      "8:8 error: Number: must be a whole number from -5 to 10\n" },
    { "Switch On\nText hello\n", "", "" },
    { "Switch 1\n", "", "2:8 error: Switch: must be On or Off\n" },
    { "Broken x\n", "", "2:8 error: Broken: the module's directive table has no setter for it\n" },
    { "<VirtualHost *>\nInServer On\nInMain On\nInLocation On\n</VirtualHost>\n", "",
      "4:1 error: InMain may not stand in <VirtualHost> (line 2): it belongs in the main server\n"
      "5:1 error: InLocation may not stand in <VirtualHost> (line 2): it belongs in a "
      "<Location>\n" },
    { "<VirtualHost *>\n<LocationMatch x>\nInServer On\nInMain On\nInLocation On\n"
      "</LocationMatch>\n</VirtualHost>\n",
      "",
      "4:1 error: InServer may not stand in <LocationMatch> (line 3): it belongs in the main "
      "server or a <VirtualHost>\n"
      "5:1 error: InMain may not stand in <LocationMatch> (line 3): it belongs in the main "
      "server\n" },
    { "InServer On\nInMain On\nInLocation On\n", "",
      "4:1 error: InLocation may not stand here: it belongs in a <Location>\n" },
    { "<Directory />\nInServer On\nInLocation On\n</Directory>\n", "",
      "3:1 error: InServer may not stand in <Directory> (line 2): it belongs in the main server or "
      "a <VirtualHost>\n"
      "4:1 error: InLocation may not stand in <Directory> (line 2): it belongs in a "
      "<Location>\n" },
};

static void rows_are_checked_and_set(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sample sample = { .seen = "" };
        struct config_case result =
            config_text(*state, apr_pstrcat(*state, "Listen 1\n", cases[i].text, NULL));

        print_message("  %s", cases[i].text);
        assert_string_equal(config_words(result.diags, *state), "");
        apply_all(result.conf->root->children, &sample, result.diags, *state);
        assert_string_equal(config_words(result.diags, *state), cases[i].words);
        assert_string_equal(sample.seen, cases[i].seen);
    }
}

static void fields_are_stored(void **state)
{
    struct sample sample = { .seen = "" };
    struct config_case result =
        config_text(*state, "Listen 1\nNumber -3\nSwitch on\nText \"a b\"\n");

    apply_all(result.conf->root->children, &sample, result.diags, *state);
    assert_int_equal(sample.number, -3);
    assert_int_equal(sample.flag, 1);
    assert_string_equal(sample.text, "a b");
}

struct quantity {
    const char *text;
    int64_t value; /* -1: refused */
};

static void times_are_read(void **state)
{
    static const struct quantity times[] = {
        { "0", 0 },
        { "10", 10000 },
        { "10s", 10000 },
        { "500ms", 500 },
        { "5m", 300000 },
        { "5mi", 300000 },
        { "5MIN", 300000 },
        { "2h", 7200000 },
        { "1d", 86400000 },
        { "", -1 },
        { "s", -1 },
        { "-1", -1 },
        { "1 s", -1 },
        { " 1", -1 },
        { "1x", -1 },
        { "1.5", -1 },
        { "0x10", -1 },
        { "1sec", -1 },
        { "9999999999999999999999", -1 },
        { "9999999999d", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        int64_t ms = -1;

        assert_int_equal(conf_time(times[i].text, &ms), times[i].value >= 0);
        assert_int_equal(ms, times[i].value);
    }
}

static void sizes_are_read(void **state)
{
    static const struct quantity sizes[] = {
        { "0", 0 },
        { "10", 10 },
        { "10B", 10 },
        { "10k", 10240 },
        { "10KB", 10240 },
        { "64M", 64 << 20 },
        { "2g", 2LL << 30 },
        { "", -1 },
        { "k", -1 },
        { "-1", -1 },
        { "1kk", -1 },
        { "1t", -1 },
        { "99999999999999999999", -1 },
        { "9999999999999G", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int64_t bytes = -1;

        assert_int_equal(conf_size(sizes[i].text, &bytes), sizes[i].value >= 0);
        assert_int_equal(bytes, sizes[i].value);
    }
}

static void paths_are_below_the_server_root(void **state)
{
    struct config_case result = config_text(*state, "Listen 1\n");
    char path[10000];

    assert_string_equal(conf_path(result.conf, "a/b", *state), "/srv/a/b");
    assert_string_equal(conf_path(result.conf, "./a/../b", *state), "/srv/b");
    assert_string_equal(conf_path(result.conf, "/a", *state), "/a");
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_true(strlen(conf_path(result.conf, path, *state)) > sizeof(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_checked_and_set),
        cmocka_unit_test(fields_are_stored),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(paths_are_below_the_server_root),
    };

    return cmocka_run_group_tests(tests, config_setup, config_teardown);
}
