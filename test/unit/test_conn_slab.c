/* SPDX-License-Identifier: Apache-2.0 */
/* The connection slab: tags tell a stale event from a live one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "worker/conn.h"

static void a_tag_names_one_life_of_a_slot(void **state)
{
    struct conn_slab slab;
    struct conn *c;
    uint64_t old;

    (void)state;
    assert_int_equal(conn_slab_create(&slab, 4), 0);
    c = conn_take(&slab);
    c->state = CONN_HEAD;
    old = conn_tag(&slab, c);
    assert_ptr_equal(conn_from_tag(&slab, old), c);
    conn_give(&slab, c);
    assert_null(conn_from_tag(&slab, old));
    assert_ptr_equal(conn_take(&slab), c);
    c->state = CONN_HEAD;
    assert_null(conn_from_tag(&slab, old));
    assert_non_null(conn_from_tag(&slab, conn_tag(&slab, c)));
}

static void a_full_slab_says_so_and_recovers(void **state)
{
    struct conn_slab slab;
    struct conn *list[3];

    (void)state;
    assert_int_equal(conn_slab_create(&slab, 3), 0);
    for (int i = 0; i < 3; i++) {
        list[i] = conn_take(&slab);
        list[i]->state = CONN_HEAD;
    }
    assert_null(conn_take(&slab));
    assert_int_equal(slab.living, 3);
    conn_give(&slab, list[1]);
    assert_ptr_equal(conn_take(&slab), list[1]);
}

static void foreign_tags_name_nothing(void **state)
{
    struct conn_slab slab;

    (void)state;
    assert_int_equal(conn_slab_create(&slab, 4), 0);
    assert_null(conn_from_tag(&slab, 0));
    assert_null(conn_from_tag(&slab, 1));
    assert_null(conn_from_tag(&slab, UINT64_MAX));
}

static void a_record_is_odd_while_it_changes(void **state)
{
    struct record r = { 0 };

    (void)state;
    record_change(&r);
    assert_int_equal(r.sequence & 1, 1);
    record_settle(&r);
    assert_int_equal(r.sequence & 1, 0);
    assert_int_not_equal(r.sequence, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_names_one_life_of_a_slot),
        cmocka_unit_test(a_full_slab_says_so_and_recovers),
        cmocka_unit_test(foreign_tags_name_nothing),
        cmocka_unit_test(a_record_is_odd_while_it_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
