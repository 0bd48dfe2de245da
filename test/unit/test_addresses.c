/* SPDX-License-Identifier: Apache-2.0 */
/* What Listen names, and which addresses stand in each other's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "master/addresses.h"

static struct listener one(const char *host, int port)
{
    struct listener found[ADDRESSES_MAX];
    const char *why;

    assert_true(addresses_resolve(host, port, found, &why) >= 1);
    assert_null(why);
    return found[0];
}

static void names_are_as_status_shows_them(void **state)
{
    static const struct {
        const char *host;
        int port;
        const char *name;
    } cases[] = {
        { "127.0.0.1", 80, "127.0.0.1:80" },
        { "0.0.0.0", 8080, "0.0.0.0:8080" },
        { "*", 80, "0.0.0.0:80" },
        { "[::1]", 443, "[::1]:443" },
        { "::1", 443, "[::1]:443" },
        { "[::]", 1, "[::]:1" },
        { "unix:/run/x.sock", 0, "unix:/run/x.sock" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listener l = one(cases[i].host, cases[i].port);

        assert_string_equal(l.name, cases[i].name);
    }
}

static void a_star_is_both_wildcards(void **state)
{
    struct listener found[ADDRESSES_MAX];
    const char *why;

    (void)state;
    assert_int_equal(addresses_resolve("*", 80, found, &why), 2);
    assert_string_equal(found[1].name, "[::]:80");
    assert_true(address_is_wildcard(&found[0]));
    assert_true(address_is_wildcard(&found[1]));
}

static void what_is_no_address_says_why(void **state)
{
    char longer[200];
    struct listener found[ADDRESSES_MAX];
    const char *why;

    (void)state;
    memset(longer, 'x', sizeof(longer));
    memcpy(longer, "unix:/", 6);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(addresses_resolve(longer, 0, found, &why), -1);
    assert_non_null(why);
    assert_int_equal(addresses_resolve("unix:", 0, found, &why), -1);
    assert_non_null(why);
    assert_int_equal(addresses_resolve("999.0.0.1.invalid", 80, found, &why), -1);
    assert_non_null(why);
}

static void addresses_collide_as_the_kernel_sees_it(void **state)
{
    static const struct {
        const char *a;
        int a_port;
        const char *b;
        int b_port;
        bool collide, covers;
    } cases[] = {
        { "127.0.0.1", 80, "0.0.0.0", 80, true, false },
        { "0.0.0.0", 80, "127.0.0.1", 80, true, true },
        { "0.0.0.0", 80, "127.0.0.1", 81, false, false },
        { "0.0.0.0", 80, "[::1]", 80, false, false },
        { "[::]", 80, "[::1]", 80, true, true },
        { "127.0.0.1", 80, "127.0.0.2", 80, false, false },
        { "127.0.0.1", 80, "127.0.0.1", 80, true, false },
        { "unix:/a", 0, "unix:/a", 0, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listener a = one(cases[i].a, cases[i].a_port);
        struct listener b = one(cases[i].b, cases[i].b_port);

        assert_int_equal(addresses_collide(&a, &b), cases[i].collide);
        assert_int_equal(address_covers(&a, &b), cases[i].covers);
    }
}

static void equal_means_the_same_socket(void **state)
{
    struct listener a = one("127.0.0.1", 80), b = one("127.0.0.1", 80), c = one("127.0.0.1", 81);
    struct listener u = one("unix:/a", 0), v = one("unix:/a", 0), w = one("unix:/b", 0);

    (void)state;
    b.https = true;
    assert_true(addresses_equal(&a, &b));
    assert_false(addresses_equal(&a, &c));
    assert_true(addresses_equal(&u, &v));
    assert_false(addresses_equal(&u, &w));
    assert_false(addresses_equal(&u, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_as_status_shows_them),
        cmocka_unit_test(a_star_is_both_wildcards),
        cmocka_unit_test(what_is_no_address_says_why),
        cmocka_unit_test(addresses_collide_as_the_kernel_sees_it),
        cmocka_unit_test(equal_means_the_same_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
