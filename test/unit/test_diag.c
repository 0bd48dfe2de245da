/* SPDX-License-Identifier: Apache-2.0 */
/* Diagnostics: kept, printed, and read back from a process that may lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "util/diag.h"

static apr_pool_t *pool;

static int set_up(void **state)
{
    (void)state;
    return apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS;
}

static int tear_down(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static struct diags *sample(void)
{
    struct diags *d = diags_create(pool);

    diags_add(d, DIAG_CONFIG, DIAG_WARNING, "a.conf", 3, 0, "odd");
    diags_add(d, DIAG_LOAD, DIAG_ERROR, "a.conf", 7, 5, "cannot %s", "load");
    diags_excerpt(d, "\tLöadModule x", strlen("\tLöadModule x"), 5);
    diags_add(d, DIAG_BUILD, DIAG_ERROR, NULL, 0, 0, "no place");
    return d;
}

static void text_has_place_words_and_caret(void **state)
{
    (void)state;
    assert_string_equal(diags_text(sample(), false, pool), "a.conf:3: warning: odd\n"
                                                           "a.conf:7:5: error: cannot load\n"
                                                           "    \tLöadModule x\n"
                                                           "    \t  ^\n"
                                                           "error: no place\n");
}

static void the_compilers_words_replace_build_entries(void **state)
{
    struct diags *d = sample();
    const char *plain;

    (void)state;
    d->output = "\033[01mhello.c:1:\033[0m \033]8;;http://x\amessage\033]8;;\033\\ end\n";
    plain = diags_text(d, false, pool);
    assert_non_null(strstr(plain, "hello.c:1: message end\n"));
    assert_null(strstr(plain, "no place"));
    assert_null(strchr(plain, '\033'));
    assert_non_null(strstr(diags_text(d, true, pool), d->output));
}

static void a_cut_off_escape_sequence_ends_with_the_text(void **state)
{
    static const char *const cut[] = { "\033", "x\033[", "x\033[0;3", "x\033]8;;", "x\033]8\033" };
    struct diags *d = diags_create(pool);

    (void)state;
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        d->output = cut[i];
        assert_true(strlen(diags_text(d, false, pool)) <= 1);
    }
}

static void control_characters_never_reach_a_terminal(void **state)
{
    static const char line[] = "a\033[31m\x9b\xff\tb";
    struct diags *d = diags_create(pool);
    const char *text;

    (void)state;
    diags_add(d, DIAG_CONFIG, DIAG_ERROR, "na\nme", 1, 1, "%s", "a\033[2Jb\xc2\x9b\x80z\n");
    diags_excerpt(d, line, sizeof(line) - 1, 8);
    text = diags_text(d, false, pool);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "na?me:1:1: error: a?[2Jb??z?\n    a?[31m??\tb\n           ^\n"));
}

static void a_long_line_is_shown_around_its_column(void **state)
{
    struct diags *d = diags_create(pool);
    char line[5000];
    const char *excerpt;

    (void)state;
    memset(line, '.', sizeof(line));
    line[4000] = 'X';
    diags_add(d, DIAG_CONFIG, DIAG_ERROR, "f", 1, 4001, "x");
    diags_excerpt(d, line, sizeof(line), 4001);
    excerpt = d->last->excerpt;
    assert_true(strlen(excerpt) < 400);
    assert_int_equal(strchr(excerpt, 'X') - excerpt,
                     strchr(excerpt, '^') - strchr(excerpt, '\n') - 1);
}

static void entries_beyond_the_bound_are_counted(void **state)
{
    struct diags *d = diags_create(pool);

    (void)state;
    for (int i = 0; i < DIAGS_KEPT + 5; i++) {
        diags_add(d, DIAG_CONFIG, DIAG_ERROR, "f", 1, 1, "x");
    }
    assert_int_equal(d->errors, DIAGS_KEPT + 5);
    assert_non_null(strstr(diags_text(d, false, pool), "\nand 5 more\n"));
}

static int memory(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void what_was_written_is_read_back(void **state)
{
    struct diags *out = sample(), *in = diags_create(pool);
    int fd = memory();

    (void)state;
    out->output = "compiler\033[0m";
    assert_int_equal(diags_write(out, fd), 0);
    assert_int_equal(diags_read(in, fd), 0);
    assert_string_equal(diags_text(in, true, pool), diags_text(out, true, pool));
    assert_int_equal(in->errors, 2);
    assert_int_equal(in->warnings, 1);
    assert_int_equal(diags_stage(in), DIAG_BUILD);
    assert_int_equal(in->last->stage, DIAG_BUILD);
    (void)close(fd);
}

static void too_much_is_cut_and_counted(void **state)
{
    struct diags *out = diags_create(pool), *in = diags_create(pool);
    char *big = apr_palloc(pool, DIAGS_MAX_BYTES + 1);
    int fd = memory();

    (void)state;
    memset(big, 'x', DIAGS_MAX_BYTES);
    big[DIAGS_MAX_BYTES] = '\0';
    out->output = big;
    for (int i = 0; i < 800; i++) {
        diags_add(out, DIAG_CONFIG, DIAG_ERROR, "f", 1, 1, "%.4000s", big);
    }
    assert_int_equal(diags_write(out, fd), 0);
    assert_int_equal(diags_read(in, fd), 0);
    assert_int_equal(in->errors, 800);
    assert_non_null(strstr(in->output, "left out"));
    assert_non_null(strstr(diags_text(in, false, pool), " more\n"));
    (void)close(fd);
}

/* Every byte of a message set to every one of some nasty values: nothing but a
 * clean refusal or clean text may come of it. */
static void lies_are_refused(void **state)
{
    static const unsigned char nasty[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    struct diags *out = sample();
    int fd = memory();
    off_t size;

    (void)state;
    out->output = "words";
    assert_int_equal(diags_write(out, fd), 0);
    size = lseek(fd, 0, SEEK_END);
    for (off_t at = 0; at < size; at++) {
        unsigned char before;

        assert_int_equal(pread(fd, &before, 1, at), 1);
        for (size_t i = 0; i < sizeof(nasty); i++) {
            struct diags *in = diags_create(pool);

            assert_int_equal(pwrite(fd, &nasty[i], 1, at), 1);
            (void)diags_read(in, fd);
            (void)diags_text(in, false, pool);
        }
        assert_int_equal(pwrite(fd, &before, 1, at), 1);
    }
    for (off_t len = size - 1; len >= 0; len--) {
        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_not_equal(diags_read(diags_create(pool), fd), 0);
    }
    (void)close(fd);
}

static void only_memory_is_read(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(diags_read(diags_create(pool), pair[0]), EINVAL);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_place_words_and_caret),
        cmocka_unit_test(the_compilers_words_replace_build_entries),
        cmocka_unit_test(a_cut_off_escape_sequence_ends_with_the_text),
        cmocka_unit_test(control_characters_never_reach_a_terminal),
        cmocka_unit_test(a_long_line_is_shown_around_its_column),
        cmocka_unit_test(entries_beyond_the_bound_are_counted),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(too_much_is_cut_and_counted),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(only_memory_is_read),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
