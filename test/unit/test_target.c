/* SPDX-License-Identifier: Apache-2.0 */
/* Paths: what they come to, and that this is the same however they are spelt.
 * Also the lists of names and values that clients write. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/request_internal.h"

static const struct {
    const char *path, *uri; /* uri NULL: refused */
    int status;
} paths[] = {
    { "", "/", 0 },
    { "/", "/", 0 },
    { "/a", "/a", 0 },
    { "/a/", "/a/", 0 },
    { "/a/b/c", "/a/b/c", 0 },
    { "//", "/", 0 },
    { "///", "/", 0 },
    { "//a", "/a", 0 },
    { "/a//b", "/a/b", 0 },
    { "/a///b//", "/a/b/", 0 },
    { "/.", "/", 0 },
    { "/./", "/", 0 },
    { "/././a", "/a", 0 },
    { "/a/.", "/a/", 0 },
    { "/a/./", "/a/", 0 },
    { "/a/./b", "/a/b", 0 },
    { "/a/..", "/", 0 },
    { "/a/../", "/", 0 },
    { "/a/../b", "/b", 0 },
    { "/a/b/..", "/a/", 0 },
    { "/a/b/../c", "/a/c", 0 },
    { "/a/b/../../c", "/c", 0 },
    { "/a/b/c/../..", "/a/", 0 },
    { "/a/.//../b", "/b", 0 },
    { "/a//../b", "/b", 0 },
    { "/...", "/...", 0 },
    { "/.../..", "/", 0 },
    { "/a/...", "/a/...", 0 },
    { "/.a", "/.a", 0 },
    { "/a.", "/a.", 0 },
    { "/..a", "/..a", 0 },
    { "/a..", "/a..", 0 },
    { "/a../b", "/a../b", 0 },
    { "/a/..b/c", "/a/..b/c", 0 },
    { "/.a/../b", "/b", 0 },
    { "/%61", "/a", 0 },
    { "/%7Ea%7e", "/~a~", 0 },
    { "/%2e", "/", 0 },
    { "/%2E/", "/", 0 },
    { "/a/%2e%2e/b", "/b", 0 },
    { "/a/.%2e/b", "/b", 0 },
    { "/a/%2e./b", "/b", 0 },
    { "/a/%2E%2E", "/", 0 },
    { "/a%2eb", "/a.b", 0 },
    { "/%20", "/ ", 0 },
    { "/a+b", "/a+b", 0 },
    { "/%25", "/%", 0 },
    { "/%2561", "/%61", 0 },
    { "/%252e%252e/x", "/%2e%2e/x", 0 },
    { "/%252f", "/%2f", 0 },
    { "/%3f", "/?", 0 },
    { "/%23", "/#", 0 },
    { "/%5c..%5c", "/\\..\\", 0 },
    { "/\\..\\a", "/\\..\\a", 0 },
    { "/%C3%A4", "/\xc3\xa4", 0 },
    { "/%ff", "/\xff", 0 },
    { "/%c0%ae%c0%ae/", "/\xc0\xae\xc0\xae/", 0 },
    { "/%0a%0d%7f", "/\n\r\x7f", 0 },
    { "/a;b=c/..;/d", "/a;b=c/..;/d", 0 },
    { "/..", NULL, 400 },
    { "/../", NULL, 400 },
    { "/../a", NULL, 400 },
    { "/./..", NULL, 400 },
    { "//..", NULL, 400 },
    { "/a/../..", NULL, 400 },
    { "/a/../../b", NULL, 400 },
    { "/a//../../b", NULL, 400 },
    { "/%2e%2e", NULL, 400 },
    { "/%2e%2e/etc/passwd", NULL, 400 },
    { "/a/%2e%2e/%2e%2e/b", NULL, 400 },
    { "/%", NULL, 400 },
    { "/%4", NULL, 400 },
    { "/a%", NULL, 400 },
    { "/a%zz", NULL, 400 },
    { "/a%4z", NULL, 400 },
    { "/a%z4", NULL, 400 },
    { "/a%%41", NULL, 400 },
    { "/a% 1", NULL, 400 },
    { "/a%+1", NULL, 400 },
    { "/a%0x", NULL, 400 },
    { "/%u0041", NULL, 400 },
    { "/%00", NULL, 400 },
    { "/a%00.html", NULL, 400 },
    { "/%2f", NULL, 404 },
    { "/%2F", NULL, 404 },
    { "/a%2fb", NULL, 404 },
    { "/a/..%2f..%2fb", NULL, 404 },
    { "/a%2f..", NULL, 404 },
};

/* In memory of exactly the length that is promised to do. */
static int normalise(const char *path, char **out, size_t *len)
{
    size_t path_len = strlen(path);
    char *in = malloc(path_len + 1);
    int status;

    *out = malloc(path_len + 2);
    if (!in || !*out) {
        abort();
    }
    memcpy(in, path, path_len);
    status = target_normalise(in, path_len, *out, len);
    free(in);
    return status;
}

static void paths_come_to_one_spelling(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(paths) / sizeof(*paths); n++) {
        char *out, *again;
        size_t len = 0, len_again;
        int status = normalise(paths[n].path, &out, &len);

        if (status != paths[n].status || (paths[n].uri && strcmp(out, paths[n].uri) != 0)) {
            fail_msg("%s: %d %s, wanted %d %s", paths[n].path, status, out, paths[n].status,
                     paths[n].uri);
        }
        if (paths[n].uri) {
            assert_int_equal(len, strlen(paths[n].uri));
            if (!strchr(out, '%')) {
                assert_int_equal(normalise(out, &again, &len_again), 0);
                assert_string_equal(again, out);
                free(again);
            }
        }
        free(out);
    }
}

static void dates_are_as_the_standard_has_them(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } dates[] = {
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" },
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 2147483648, "Tue, 19 Jan 2038 03:14:08 GMT" },
        { -1, "Wed, 31 Dec 1969 23:59:59 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MAX, "Thu, 01 Jan 1970 00:00:00 GMT" },
    };
    char text[HTTP_DATE_LEN + 1];

    (void)state;
    for (size_t n = 0; n < sizeof(dates) / sizeof(*dates); n++) {
        http_date_format(text, dates[n].seconds);
        assert_string_equal(text, dates[n].text);
    }
    assert_int_equal(strlen(http_date_now()), HTTP_DATE_LEN);
}

static void chunk_sizes_are_hexadecimal(void **state)
{
    static const struct {
        uint64_t size;
        const char *text;
    } sizes[] = {
        { 1, "1\r\n" },    { 15, "f\r\n" },        { 16, "10\r\n" },
        { 255, "ff\r\n" }, { 65536, "10000\r\n" }, { UINT64_MAX, "ffffffffffffffff\r\n" }
    };

    (void)state;
    for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes); n++) {
        char text[CHUNK_HEAD + 1] = "";

        assert_int_equal(chunk_head(text, sizes[n].size), strlen(sizes[n].text));
        assert_string_equal(text, sizes[n].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_come_to_one_spelling),
        cmocka_unit_test(dates_are_as_the_standard_has_them),
        cmocka_unit_test(chunk_sizes_are_hexadecimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
