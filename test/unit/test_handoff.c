/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-off: a handler that blocks keeps its thread and loses the loop. The
 * "loop" of these tests runs a list of handlers that wait for each other, which only
 * ends when the loop really moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/handoff.h"

enum { BLOCKERS = 8, ROUTE = 3 };

/* One for each test and never freed: its threads may still be leaving. */
static struct handoff *h;
static struct sb_worker slot;
static _Atomic int entered, kept, lost, jobs_run;
static _Atomic int release_all, finished;
static bool say_will_block;

static void nap(void)
{
    struct timespec t = { .tv_nsec = 1000000 };

    (void)nanosleep(&t, NULL);
}

/* Blocks until the last handler has been entered. */
static void blocking_handler(void)
{
    atomic_fetch_add(&entered, 1);
    if (say_will_block) {
        handoff_will_block(h);
    }
    while (!atomic_load(&release_all)) {
        nap();
    }
}

static void run_loop(void *ctx)
{
    (void)ctx;
    while (atomic_load(&entered) < BLOCKERS) {
        handoff_enter(h, ROUTE);
        blocking_handler();
        if (!handoff_leave(h)) {
            atomic_fetch_add(&lost, 1);
            return;
        }
        atomic_fetch_add(&kept, 1);
    }
    atomic_store(&release_all, 1);
    atomic_store(&finished, 1);
}

static void run_job(void *ctx, struct job *job)
{
    (void)ctx;
    (void)job;
    atomic_fetch_add(&jobs_run, 1);
}

static void start(int threads)
{
    entered = kept = lost = jobs_run = release_all = finished = 0;
    h = calloc(1, sizeof(*h));
    assert_non_null(h);
    assert_int_equal(handoff_start(h, threads, 8, &slot, run_loop, run_job, NULL), 0);
}

static void await(_Atomic int *value, int wanted)
{
    for (int i = 0; i < 10000 && atomic_load(value) < wanted; i++) {
        nap();
    }
    assert_int_equal(atomic_load(value), wanted);
}

static void check_all_blockers_lost_the_loop(void)
{
    run_loop(NULL);
    await(&finished, 1);
    await(&lost, BLOCKERS);
    assert_int_equal(kept, 0);
    handoff_stop(h);
}

static void the_monitor_moves_the_loop(void **state)
{
    (void)state;
    say_will_block = false;
    start(32);
    check_all_blockers_lost_the_loop();
    assert_true(handoff_route_is_slow(h, ROUTE));
}

static void a_handler_that_says_so_moves_it_at_once(void **state)
{
    (void)state;
    say_will_block = true;
    start(32);
    check_all_blockers_lost_the_loop();
    assert_false(handoff_route_is_slow(h, ROUTE + 1));
}

static void a_fast_handler_keeps_the_loop(void **state)
{
    (void)state;
    start(4);
    for (int i = 0; i < 100000; i++) {
        handoff_enter(h, ROUTE);
        assert_true(handoff_leave(h));
    }
    assert_false(handoff_route_is_slow(h, ROUTE));
    handoff_stop(h);
}

static void jobs_leave_spares_for_inline_handlers(void **state)
{
    struct job jobs[4] = { { NULL } };

    (void)state;
    start(4);
    for (int i = 0; i < 4; i++) {
        if (handoff_give_job(h, &jobs[i])) {
            await(&jobs_run, i + 1);
        }
        assert_true(handoff_can_start(h));
    }
    assert_true(jobs_run > 0);
    handoff_stop(h);
}

static void many_fast_calls_bring_a_route_back_inline(void **state)
{
    (void)state;
    say_will_block = false;
    start(32);
    check_all_blockers_lost_the_loop();
    assert_true(handoff_route_is_slow(h, ROUTE));
    for (int i = 0; i < 100; i++) {
        handoff_job_done(h, ROUTE, 10);
    }
    assert_false(handoff_route_is_slow(h, ROUTE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monitor_moves_the_loop),
        cmocka_unit_test(a_handler_that_says_so_moves_it_at_once),
        cmocka_unit_test(a_fast_handler_keeps_the_loop),
        cmocka_unit_test(jobs_leave_spares_for_inline_handlers),
        cmocka_unit_test(many_fast_calls_bring_a_route_back_inline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
