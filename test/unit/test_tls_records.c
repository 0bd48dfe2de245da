/* SPDX-License-Identifier: Apache-2.0 */
/* Whole records out of any sequence of bytes, within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tls/tls_internal.h"

static size_t record(unsigned char *out, unsigned type, unsigned len)
{
    out[0] = (unsigned char)type;
    out[1] = 3;
    out[2] = 3;
    out[3] = (unsigned char)(len >> 8);
    out[4] = (unsigned char)len;
    memset(out + 5, 'x', len);
    return len + 5;
}

static void a_partial_record_waits(void **state)
{
    unsigned char bytes[64], out[64];
    struct records r = { 0 };
    size_t len = record(bytes, 22, 20);

    (void)state;
    for (size_t i = 0; i + 1 < len; i++) {
        assert_true(records_add(&r, bytes + i, 1));
        assert_int_equal(records_take(&r, out, sizeof(out)), 0);
    }
    assert_true(records_add(&r, bytes + len - 1, 1));
    assert_int_equal(records_take(&r, out, sizeof(out)), len);
    assert_memory_equal(out, bytes, len);
    assert_null(r.data);
}

static void two_and_a_half_records_give_two(void **state)
{
    unsigned char bytes[300], out[300];
    struct records r = { 0 };
    size_t one = record(bytes, 23, 100);
    size_t two = one + record(bytes + one, 23, 50);
    size_t all = two + record(bytes + two, 23, 100);

    (void)state;
    assert_true(records_add(&r, bytes, two + 30));
    assert_int_equal(records_take(&r, out, 10), 10);
    assert_int_equal(records_take(&r, out + 10, sizeof(out)), two - 10);
    assert_memory_equal(out, bytes, two);
    records_settle(&r);
    assert_int_equal(r.len, 30);
    assert_true(r.cap <= 2 * 30);
    assert_true(records_add(&r, bytes + two + 30, all - two - 30));
    assert_int_equal(records_take(&r, out, sizeof(out)), all - two);
    assert_null(r.data);
}

static void the_largest_record_passes(void **state)
{
    static unsigned char bytes[RECORD_MAX], out[RECORD_MAX];
    struct records r = { 0 };
    size_t len = record(bytes, 23, RECORD_MAX - RECORD_HEADER);

    (void)state;
    assert_int_equal(len, RECORD_MAX);
    assert_true(records_add(&r, bytes, len));
    assert_false(r.broken);
    assert_int_equal(records_take(&r, out, sizeof(out)), len);
}

static void what_is_no_record_goes_on_to_fail(void **state)
{
    static const struct {
        const char *name;
        unsigned char header[5];
    } cases[] = {
        { "type 19", { 19, 3, 3, 0, 1 } },        { "type 25", { 25, 3, 3, 0, 1 } },
        { "SSLv2 hello", { 0x80, 46, 1, 3, 1 } }, { "version 2", { 22, 2, 3, 0, 1 } },
        { "too long", { 23, 3, 3, 0x41, 0x41 } }, { "64 KiB", { 23, 3, 3, 0xff, 0xff } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct records r = { 0 };
        unsigned char out[8];

        print_message("%s\n", cases[i].name);
        assert_true(records_add(&r, cases[i].header, 4));
        assert_true(records_add(&r, cases[i].header + 4, 1));
        assert_true(r.broken);
        assert_int_equal(records_take(&r, out, sizeof(out)), 5);
        records_free(&r);
    }
}

static void input_is_bounded(void **state)
{
    static unsigned char bytes[1 << 20];
    struct records r = { 0 };
    bool ok = true;
    int rounds = 0;

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    while (ok && rounds < 100) {
        ok = records_add(&r, bytes, sizeof(bytes));
        rounds++;
    }
    assert_false(ok);
    assert_true(rounds <= 5);
    records_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partial_record_waits),
        cmocka_unit_test(two_and_a_half_records_give_two),
        cmocka_unit_test(the_largest_record_passes),
        cmocka_unit_test(what_is_no_record_goes_on_to_fail),
        cmocka_unit_test(input_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
