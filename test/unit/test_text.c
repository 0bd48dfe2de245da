/* SPDX-License-Identifier: Apache-2.0 */
/* Text that leaves the server: JSON, log lines, and the UTF-8 below both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_general.h>

#include "util/json_out.h"
#include "util/log.h"
#include "util/utf8.h"

static apr_pool_t *pool;
static int log_memory;

static int set_up(void **state)
{
    (void)state;
    log_memory = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return log_memory < 0 || apr_initialize() != APR_SUCCESS ||
           apr_pool_create(&pool, NULL) != APR_SUCCESS;
}

static int tear_down(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return close(log_memory);
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        { "a", 1 },
        { "\x7f", 1 },
        { "\xc3\xa9", 2 },
        { "\xe2\x82\xac", 3 },
        { "\xf0\x9f\x98\x80", 4 },
        { "\xf4\x8f\xbf\xbf", 4 },
        { "\x80", 0 },
        { "\xbf", 0 },
        { "\xc0\x80", 0 },
        { "\xc1\xbf", 0 },
        { "\xe0\x80\x80", 0 },
        { "\xe0\x9f\xbf", 0 },
        { "\xed\xa0\x80", 0 },
        { "\xf0\x8f\xbf\xbf", 0 },
        { "\xf4\x90\x80\x80", 0 },
        { "\xf5\x80\x80\x80", 0 },
        { "\xff", 0 },
        { "\xc3", 0 },
        { "\xe2\x82", 0 },
        { "\xe2\x82x", 0 },
        { "\xf0\x9f\x98", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(utf8_length(cases[i].text, strlen(cases[i].text)), cases[i].length);
    }
    assert_int_equal(utf8_length("", 1), 1);
}

static void json_nests_and_separates(void **state)
{
    struct jout *j = jout_create(pool);
    size_t len;

    (void)state;
    jout_object_begin(j);
    jout_key(j, "ok");
    jout_bool(j, true);
    jout_key(j, "list");
    jout_array_begin(j);
    jout_int(j, -9223372036854775807 - 1);
    jout_uint(j, UINT64_MAX);
    jout_object_begin(j);
    jout_object_end(j);
    jout_array_begin(j);
    jout_array_end(j);
    jout_null(j);
    jout_array_end(j);
    jout_key(j, "none");
    jout_string(j, NULL);
    jout_object_end(j);
    assert_string_equal(jout_text(j, &len),
                        "{\"ok\": true, \"list\": [-9223372036854775808, 18446744073709551615, {}, "
                        "[], null], \"none\": null}");
    assert_int_equal(len, strlen(jout_text(j, NULL)));
}

static void json_escapes_whatever_comes(void **state)
{
    static const char text[] = "\"\\/\b\f\n\r\t\x01\x7f\0é\xff\xed\xa0\x80";
    struct jout *j = jout_create(pool);

    (void)state;
    jout_string_n(j, text, sizeof(text) - 1);
    assert_string_equal(jout_text(j, NULL),
                        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\\u0000é\\ufffd\\ufffd\\ufffd"
                        "\\ufffd\"");
}

static void json_grows(void **state)
{
    struct jout *j = jout_create(pool);
    size_t len;

    (void)state;
    jout_array_begin(j);
    for (int i = 0; i < 10000; i++) {
        jout_string(j, "0123456789");
    }
    jout_array_end(j);
    (void)jout_text(j, &len);
    assert_int_equal(len, 10000 * 14);
}

/* What the last log lines were. */
static const char *logged(void)
{
    static char text[65536];
    ssize_t n = pread(log_memory, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void log_afresh(void)
{
    assert_int_equal(ftruncate(log_memory, 0), 0);
    (void)lseek(log_memory, 0, SEEK_SET);
    log_set_fd(log_memory);
    log_reset_levels();
}

static bool matches(const char *text, const char *pattern)
{
    regex_t re;
    bool found;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

static void log_lines_look_like_httpds(void **state)
{
    (void)state;
    log_afresh();
    log_line("INS01899", "hello_module", INS_WARNING, "192.0.2.7:1234", "words %d", 5);
    assert_true(matches(logged(),
                        "^\\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
                        "\\.[0-9]{6} [0-9]{4}\\] \\[hello:warn\\] \\[pid [0-9]+:tid [0-9]+\\] "
                        "\\[client 192\\.0\\.2\\.7:1234\\] INS01899: words 5\n$"));
    log_afresh();
    log_line(NULL, "core", INS_NOTICE, NULL, "%s", "bare\n");
    assert_true(matches(logged(), "\\[core:notice\\] \\[pid [0-9]+:tid [0-9]+\\] bare\n$"));
}

static void log_lines_cannot_be_forged(void **state)
{
    (void)state;
    log_afresh();
    log_line(NULL, "core", INS_ERR, NULL, "%s", "a\nb\r\033[2J\x7f\xff\xc2\x9b é");
    assert_true(
        matches(logged(), "\\] a\\\\x0ab\\\\x0d\\\\x1b\\[2J\\\\x7f\\\\xff\\\\xc2\\\\x9b é\n$"));
}

static void log_lines_are_bounded_and_keep_errno(void **state)
{
    static char big[20000];

    (void)state;
    log_afresh();
    memset(big, '\001', sizeof(big) - 1);
    errno = ENOENT;
    log_line("INS01899", "core", INS_ERR, NULL, "%s", big);
    assert_int_equal(errno, ENOENT);
    assert_true(strlen(logged()) <= 8192);
    assert_true(logged()[strlen(logged()) - 1] == '\n');
}

static void levels_are_per_part(void **state)
{
    (void)state;
    log_reset_levels();
    assert_true(log_enabled("core", INS_WARNING));
    assert_false(log_enabled("core", INS_INFO));
    assert_true(log_enabled("core", INS_NOTICE));
    log_set_part_level("hello", INS_DEBUG);
    assert_true(log_enabled("hello_module", INS_DEBUG));
    assert_true(log_enabled("HELLO", INS_DEBUG));
    assert_false(log_enabled("hell", INS_DEBUG));
    assert_false(log_enabled("hello2", INS_DEBUG));
    log_set_part_level("hello_module", INS_ERR);
    assert_false(log_enabled("hello", INS_WARNING));
    log_set_level(INS_TRACE1);
    assert_true(log_enabled("core", INS_TRACE1));
    assert_false(log_enabled("hello", INS_WARNING));
    assert_int_equal(log_level_from_name("WARN"), INS_WARNING);
    assert_int_equal(log_level_from_name("trace8"), INS_TRACE1);
    assert_int_equal(log_level_from_name("trace9"), -1);
    assert_int_equal(log_level_from_name("loud"), -1);
}

static void *log_many(void *unused)
{
    for (int i = 0; i < 200; i++) {
        log_line("INS01899", "core", INS_ERR, NULL, "%s", "one whole line");
    }
    return unused;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    char path[64], *text, *line, *rest = NULL;
    int lines = 0, fd;

    (void)state;
    log_afresh();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", log_memory);
    assert_int_equal(log_open(path, &fd), 0);
    log_set_fd(fd);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    text = malloc(1 << 20);
    assert_non_null(text);
    text[pread(log_memory, text, (1 << 20) - 1, 0)] = '\0';
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_true(matches(line, "^\\[[^]]*\\] \\[core:error\\] .* INS01899: one whole line$"));
        lines++;
    }
    assert_int_equal(lines, 800);
    free(text);
    log_set_fd(STDERR_FILENO);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
        cmocka_unit_test(json_nests_and_separates),
        cmocka_unit_test(json_escapes_whatever_comes),
        cmocka_unit_test(json_grows),
        cmocka_unit_test(log_lines_look_like_httpds),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(log_lines_are_bounded_and_keep_errno),
        cmocka_unit_test(levels_are_per_part),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
