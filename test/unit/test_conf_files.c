/* SPDX-License-Identifier: Apache-2.0 */
/* Configs of several files: Include and its patterns, loops, what is no config
 * file at all, limits; and the log files that a config names. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config/logs.h"
#include "config_fixture.h"

/* Reads a.conf of a folder, and expects these. */
static struct config_case expect(apr_pool_t *pool, const char *folder, const char *tree,
                                 const char *words)
{
    struct config_case result = config_file(pool, folder, "a.conf");

    assert_string_equal(config_tree(result.conf, pool), tree);
    assert_string_equal(config_words(result.diags, pool), words);
    return result;
}

static void include_puts_a_file_in_its_place(void **state)
{
    const char *f = config_folder(*state);
    struct config_case result;

    config_write(f, "a.conf", "Listen 1\n<A>\nInclude sub/b.conf\nD\n</A>\nInclude sub/b.conf\n");
    config_write(f, "sub/b.conf", "B ${X}\n<C>\n</C>\nDefine X y");
    result = expect(*state, f, "Listen [1]; A { B [${X}]; C { }; D; }; B [y]; C { }; ",
                    "b.conf:1:3 warning: ${X} is not defined: kept as it is\n");
    assert_int_equal(result.conf->files->nelts, 2);
    assert_string_equal(result.conf->path, apr_pstrcat(*state, f, "/a.conf", NULL));
}

static void include_takes_patterns_and_folders(void **state)
{
    const char *f = config_folder(*state);

    config_write(f, "a.conf",
                 "Listen 1\nInclude d/*.conf\nX\nInclude d\nX\nInclude */s/[ab].conf\nX\n"
                 "IncludeOptional no/*.conf\nIncludeOptional d/?x\nIncludeOptional none.conf\n"
                 "IncludeOptional d/20.conf\n");
    config_write(f, "d/20.conf", "Twenty\n");
    config_write(f, "d/10.conf", "Ten\n");
    config_write(f, "d/.hidden.conf", "Hidden\n");
    config_write(f, "d/readme", "Read\n");
    config_write(f, "d/s/b.conf", "B\n");
    config_write(f, "e/s/a.conf", "EA\n");
    config_write(f, "e/s/c.conf", "EC\n");
    expect(*state, f,
           "Listen [1]; Ten; Twenty; X; Hidden; Ten; Twenty; Read; B; X; B; EA; X; Twenty; ", "");
}

static void the_server_root_is_no_pattern(void **state)
{
    const char *f = apr_pstrcat(*state, config_folder(*state), "/a[1]*", NULL);

    config_write(f, "a.conf", "Listen 1\nInclude b.conf\nInclude ./[c].conf\n");
    config_write(f, "b.conf", "B\n");
    config_write(f, "c.conf", "C\n");
    (void)expect(*state, f, "Listen [1]; B; C; ", "");
}

static void missing_files_are_errors_unless_optional(void **state)
{
    const char *f = config_folder(*state);

    config_write(f, "a.conf", "Listen 1\nInclude none.conf\nInclude x/*.conf\nInclude\nA\n");
    (void)expect(*state, f, "Listen [1]; A; ",
                 apr_pstrcat(*state, "a.conf:2:9 error: ", f,
                             "/none.conf: cannot be opened: No such file or directory\n"
                             "a.conf:3:9 error: no file matches ",
                             f, "/x/*.conf: use IncludeOptional if that is no error\n",
                             "a.conf:4:1 error: Include takes one argument: Include PATH\n", NULL));
}

static void a_missing_config_is_one_error(void **state)
{
    const char *f = config_folder(*state);

    (void)expect(*state, f, "", "a.conf:0:0 error: cannot be opened: No such file or directory\n");
    assert_int_equal(mkdir(apr_pstrcat(*state, f, "/a.conf", NULL), 0755), 0);
    (void)expect(*state, f, "", "a.conf:0:0 error: this is a directory, not a config file\n");
}

static void what_is_no_text_is_refused(void **state)
{
    const char *f = config_folder(*state);
    static const char binary[] = "Listen 1\n\177ELF\0\1\2\3\nA\n";

    config_write(f, "a.conf", "Listen 1\nInclude b.conf\nInclude pipe\nInclude /dev/null\nA\n");
    config_write_bytes(f, "b.conf", binary, sizeof(binary) - 1);
    assert_int_equal(mkfifo(apr_pstrcat(*state, f, "/pipe", NULL), 0644), 0);
    (void)expect(*state, f, "Listen [1]; A; ",
                 apr_pstrcat(*state,
                             "b.conf:2:5 error: a NUL byte: this is a binary file, not a config\n"
                             "a.conf:3:9 error: ",
                             f, "/pipe: not a regular file\n", NULL));
}

static void loops_are_shown_as_a_chain(void **state)
{
    const char *f = config_folder(*state);

    config_write(f, "a.conf", "Listen 1\nInclude b.conf\nA\n");
    config_write(f, "b.conf", "B\nInclude c.conf\nB2\n");
    config_write(f, "c.conf", "Include link.conf\nC\n");
    assert_int_equal(symlink("b.conf", apr_pstrcat(*state, f, "/link.conf", NULL)), 0);
    (void)expect(*state, f, "Listen [1]; B; C; B2; A; ",
                 apr_pstrcat(*state, "c.conf:1:9 error: Include loop: ", f, "/b.conf includes ", f,
                             "/c.conf includes ", f, "/link.conf\n", NULL));
}

static void depth_has_a_limit(void **state)
{
    const char *f = config_folder(*state);
    struct config_case result;

    config_write(f, "a.conf", "Listen 1\nInclude 1.conf\n");
    for (int i = 1; i < 200; i++) {
        config_write(f, apr_psprintf(*state, "%d.conf", i),
                     apr_psprintf(*state, "Include %d.conf\nInclude %d.conf\n", i + 1, i + 1));
    }
    result = config_file(*state, f, "a.conf");
    assert_int_equal(result.diags->errors, 1);
    assert_non_null(strstr(result.diags->first->message, "nested deeper than 128 files"));
}

static void including_without_end_is_stopped(void **state)
{
    const char *f = config_folder(*state);
    struct config_case result;

    config_write(f, "a.conf", "Listen 1\nInclude 1.conf\n");
    for (int i = 1; i < 30; i++) {
        config_write(f, apr_psprintf(*state, "%d.conf", i),
                     apr_psprintf(*state, "Include %d.conf\nInclude %d.conf\n", i + 1, i + 1));
    }
    config_write(f, "30.conf", "A\n");
    result = config_file(*state, f, "a.conf");
    assert_int_equal(result.diags->errors, 1);
    assert_non_null(strstr(result.diags->first->message, "more than 10000 files are included"));
}

static void sizes_have_limits(void **state)
{
    static const char listen_line[] = "Listen 1\n";
    const char *f = config_folder(*state);
    size_t length = CONF_FILE_MAX + 1;
    char *text = malloc(length);
    struct config_case result;

    memset(text, '\n', length);
    config_write(f, "a.conf", "Listen 1\nInclude b.conf\nA\n");
    config_write_bytes(f, "b.conf", text, length);
    (void)expect(
        *state, f, "Listen [1]; A; ",
        apr_pstrcat(*state, "a.conf:2:9 error: ", f,
                    "/b.conf: 8388609 bytes long, more than the 8 MiB a config file may have\n",
                    NULL));
    config_write(f, "a.conf",
                 "Listen 1\nInclude b.conf\nInclude b.conf\nInclude b.conf\nInclude b.conf\nA\n");
    config_write_bytes(f, "b.conf", text, length - 1);
    (void)expect(*state, f, "Listen [1]; ",
                 "a.conf:5:9 error: the config is longer than 32 MiB in all\n");
    memset(text, 'x', length);
    memmove(text, listen_line, sizeof(listen_line) - 1);
    text[length - 3] = '\n';
    config_write_bytes(f, "a.conf", text, length - 1);
    result = config_file(*state, f, "a.conf");
    assert_string_equal(config_words(result.diags, *state),
                        "a.conf:2:1 error: a line of more than 1024 KiB\n");
    assert_string_equal(config_tree(result.conf, *state), "Listen [1]; x; ");
    free(text);
}

static void a_long_line_is_read(void **state)
{
    static const char head[] = "Listen 1\nA ";
    size_t length = 500000;
    char *text = malloc(length + 1);
    struct config_case result;

    memset(text, 'x', length);
    memmove(text, head, 11);
    for (size_t i = 12; i < length; i += 2) {
        text[i] = ' ';
    }
    text[length] = '\0';
    result = config_text(*state, text);
    assert_string_equal(config_words(result.diags, *state), "");
    assert_int_equal(result.conf->root->children->next->argc, (int)(length - 11) / 2 + 1);
    free(text);
}

static void variables_do_not_explode(void **state)
{
    struct config_case result;
    const char *text = "Listen 1\nDefine X0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n";

    for (int i = 1; i < 60; i++) {
        text = apr_psprintf(*state, "%sDefine X%d ${X%d}${X%d}\n", text, i, i - 1, i - 1);
    }
    result = config_text(*state, text);
    assert_true(result.diags->errors > 0);
    assert_non_null(strstr(result.diags->first->message, "too long once its variables"));
}

static void containers_have_a_depth(void **state)
{
    const char *text = "Listen 1\n";
    struct config_case result;

    for (int i = 0; i < 200; i++) {
        text = apr_pstrcat(*state, text, i % 2 ? "<IfDefine !X>\n" : "<A>\n", NULL);
    }
    result = config_text(*state, text);
    assert_int_equal(result.diags->errors, 1);
    assert_string_equal(result.diags->first->message, "containers are nested deeper than 128");
}

static void containers_end_in_their_file(void **state)
{
    const char *f = config_folder(*state);

    config_write(f, "a.conf", "Listen 1\n<A>\nInclude b.conf\n</A>\nInclude c.conf\nD\n");
    config_write(f, "b.conf", "</A>\nB\n");
    config_write(f, "c.conf", "<C>\n");
    (void)expect(*state, f, "Listen [1]; A { B; }; C { }; D; ",
                 "b.conf:1:1 error: </A> ends nothing: no container is open in this file\n"
                 "c.conf:1:1 error: <C> is never closed: </C> is missing\n");
}

static void logs_are_opened_once_each(void **state)
{
    const char *f = config_folder(*state);
    struct config_case result;
    struct log_set *set;
    apr_pool_t *pool;
    int fd;

    config_write(f, "a.conf",
                 "Listen 1\nErrorLog e.log\nCustomLog c.log x\n<V>\nErrorLog e.log\n</V>\n"
                 "CustomLog stderr x\nCustomLog no/such x\nCustomLog pipe x\n");
    assert_int_equal(mkfifo(apr_pstrcat(*state, f, "/pipe", NULL), 0644), 0);
    result = expect(*state, f,
                    "Listen [1]; ErrorLog [e.log]; CustomLog [c.log] [x]; V { ErrorLog [e.log]; "
                    "}; CustomLog [stderr] [x]; CustomLog [no/such] [x]; CustomLog [pipe] [x]; ",
                    "");
    apr_pool_create(&pool, *state);
    set = logs_open(result.conf, NULL, NULL, result.diags, pool);
    assert_int_equal(set->count, 3);
    assert_int_equal(result.diags->errors, 2);
    assert_int_equal(result.diags->first->stage, DIAG_START);
    assert_int_equal(result.diags->first->line, 8);
    assert_int_equal(result.diags->first->column, 11);
    assert_non_null(strstr(result.diags->last->message, "a FIFO that nobody reads"));
    fd = logs_find(set, "e.log");
    assert_true(fd > 2);
    assert_int_equal(fd, logs_find(set, apr_pstrcat(*state, f, "/e.log", NULL)));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND);
    assert_true(logs_find(set, "stderr") > 2);
    assert_int_equal(logs_find(set, "no/such"), -1);
    apr_pool_destroy(pool);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void what_a_start_would_say_of_logs_is_known_without_opening(void **state)
{
    const char *f = config_folder(*state);
    struct config_case result;

    config_write(f, "a.conf",
                 "Listen 1\nDefaultRuntimeDir run/x\nErrorLog run/e.log\nCustomLog no/such x\n"
                 "CustomLog run/x/c.log x\nCustomLog a.conf/c.log x\nCustomLog /tmp x\n"
                 "CustomLog new.log x\nCustomLog stderr x\n");
    result = config_file(*state, f, "a.conf");
    assert_int_equal(result.diags->errors, 0);
    logs_check(result.conf, result.diags);
    assert_int_equal(result.diags->errors, 3);
    assert_int_equal(result.diags->first->stage, DIAG_START);
    assert_int_equal(result.diags->first->line, 4);
    assert_int_equal(result.diags->first->next->line, 6);
    assert_int_equal(result.diags->last->line, 7);
    assert_int_not_equal(access(apr_pstrcat(*state, f, "/new.log", NULL), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(include_puts_a_file_in_its_place),
        cmocka_unit_test(include_takes_patterns_and_folders),
        cmocka_unit_test(the_server_root_is_no_pattern),
        cmocka_unit_test(missing_files_are_errors_unless_optional),
        cmocka_unit_test(a_missing_config_is_one_error),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(loops_are_shown_as_a_chain),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(including_without_end_is_stopped),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(a_long_line_is_read),
        cmocka_unit_test(variables_do_not_explode),
        cmocka_unit_test(containers_have_a_depth),
        cmocka_unit_test(containers_end_in_their_file),
        cmocka_unit_test(logs_are_opened_once_each),
        cmocka_unit_test(what_a_start_would_say_of_logs_is_known_without_opening),
    };

    return cmocka_run_group_tests(tests, config_setup, config_teardown);
}
