/* SPDX-License-Identifier: Apache-2.0 */
/* Timeout queues: order, cancelling, moving, more lengths than queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "worker/timers.h"

static void the_earliest_deadline_is_known(void **state)
{
    struct timers set = { 0 };
    struct timer a = { 0 }, b = { 0 };

    (void)state;
    assert_int_equal(timers_wait(&set, 0), -1);
    timer_arm(&set, &a, 1000, 5000);
    timer_arm(&set, &b, 1000, 200);
    assert_int_equal(timers_wait(&set, 1000), 200);
    assert_int_equal(timers_wait(&set, 1500), 0);
    assert_ptr_equal(timer_expired(&set, 1500), &b);
    assert_null(timer_expired(&set, 1500));
    assert_int_equal(timers_wait(&set, 1500), 4500);
}

static void equal_lengths_fire_in_order_of_arming(void **state)
{
    struct timers set = { 0 };
    struct timer list[3];

    (void)state;
    memset(list, 0, sizeof(list));
    for (int i = 0; i < 3; i++) {
        timer_arm(&set, &list[i], i, 10);
    }
    assert_int_equal(set.used, 1);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(timer_expired(&set, 100), &list[i]);
    }
}

static void a_cancelled_timer_never_fires(void **state)
{
    struct timers set = { 0 };
    struct timer a = { 0 }, b = { 0 }, c = { 0 };

    (void)state;
    timer_arm(&set, &a, 0, 10);
    timer_arm(&set, &b, 0, 10);
    timer_arm(&set, &c, 0, 10);
    timer_cancel(&set, &b);
    timer_cancel(&set, &b);
    assert_false(timer_armed(&b));
    assert_ptr_equal(timer_expired(&set, 10), &a);
    assert_ptr_equal(timer_expired(&set, 10), &c);
    assert_null(timer_expired(&set, 10));
}

static void arming_again_moves_it(void **state)
{
    struct timers set = { 0 };
    struct timer a = { 0 };

    (void)state;
    timer_arm(&set, &a, 0, 10);
    timer_arm(&set, &a, 8, 10);
    assert_null(timer_expired(&set, 10));
    timer_arm(&set, &a, 9, 500);
    assert_null(timer_expired(&set, 100));
    assert_ptr_equal(timer_expired(&set, 509), &a);
}

static void more_lengths_than_queues_never_fire_early(void **state)
{
    struct timers set = { 0 };
    struct timer list[TIMER_QUEUES * 2];

    (void)state;
    memset(list, 0, sizeof(list));
    for (int i = 0; i < TIMER_QUEUES; i++) {
        timer_arm(&set, &list[i], 0, 1000 * (i + 1));
    }
    timer_arm(&set, &list[TIMER_QUEUES], 0, 1500);
    assert_int_equal(list[TIMER_QUEUES].deadline, 2000);
    assert_int_equal(set.used, TIMER_QUEUES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_deadline_is_known),
        cmocka_unit_test(equal_lengths_fire_in_order_of_arming),
        cmocka_unit_test(a_cancelled_timer_never_fires),
        cmocka_unit_test(arming_again_moves_it),
        cmocka_unit_test(more_lengths_than_queues_never_fire_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
