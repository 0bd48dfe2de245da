/* SPDX-License-Identifier: Apache-2.0 */
/* Slots are taken, freed and reused; counters survive their worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scoreboard/scoreboard.h"

static struct scoreboard *board;
static int fd;

static int make_board(void **state)
{
    (void)state;
    board = sb_create(&fd);
    return board ? 0 : -1;
}

static int drop_board(void **state)
{
    (void)state;
    (void)munmap(board, sizeof(*board));
    return close(fd);
}

static void generations_are_found_by_number(void **state)
{
    struct sb_generation *g = sb_generation_take(board, 7);

    (void)state;
    assert_non_null(g);
    assert_ptr_equal(sb_generation_find(board, 7), g);
    assert_null(sb_generation_find(board, 8));
    assert_null(sb_generation_find(board, 0));
    assert_int_equal(atomic_load(&g->state), SB_BUILDING);
    sb_doing(g, "%0300d", 7);
    assert_int_equal(strlen(g->doing), SB_DOING - 1);
    assert_string_equal(sb_state_name(SB_SERVING), "serving");
}

static void the_oldest_generation_that_is_over_makes_room(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= SB_GENERATIONS; n++) {
        assert_non_null(sb_generation_take(board, n));
    }
    assert_null(sb_generation_take(board, 100));
    sb_generation_set(sb_generation_find(board, 9), SB_EXITED);
    sb_generation_set(sb_generation_find(board, 5), SB_FAILED);
    assert_non_null(sb_generation_take(board, 100));
    assert_null(sb_generation_find(board, 5));
    assert_non_null(sb_generation_find(board, 9));
}

static void counters_survive_their_worker(void **state)
{
    struct sb_worker *w = sb_worker_take(board, 3, 0), *v = sb_worker_take(board, 3, 1);
    struct sb_totals totals;

    (void)state;
    assert_ptr_not_equal(w, v);
    SB_COUNT(w, requests, 10);
    SB_COUNT(w, accepted, 2);
    SB_SET(w, connections, 4u);
    SB_SET(v, connections, 5u);
    assert_int_equal(sb_connections(board, 3), 9);
    sb_worker_free(board, w);
    assert_int_equal(sb_connections(board, 3), 5);
    assert_ptr_equal(sb_worker_take(board, 4, 0), w);
    assert_int_equal(atomic_load(&w->requests_before), 10);
    SB_COUNT(w, requests, 1);
    SB_COUNT(v, requests, 5);
    sb_totals(board, &totals);
    assert_int_equal(totals.counter[SB_COUNTER_requests], 16);
    assert_int_equal(totals.counter[SB_COUNTER_accepted], 2);
}

static void slots_run_out(void **state)
{
    (void)state;
    for (int i = 0; i < SB_WORKERS; i++) {
        assert_non_null(sb_worker_take(board, 1, (uint32_t)i));
    }
    assert_null(sb_worker_take(board, 1, 0));
}

static void processes_never_take_the_same_slot(void **state)
{
    pid_t pids[4];

    (void)state;
    for (int p = 0; p < 4; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            for (int i = 0; i < SB_WORKERS / 4; i++) {
                struct sb_worker *w = sb_worker_take(board, (uint64_t)p + 1, (uint32_t)i);

                if (!w) {
                    _exit(1);
                }
                SB_COUNT(w, requests, 1);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < 4; p++) {
        int status;

        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < SB_WORKERS; i++) {
        assert_int_equal(atomic_load(&board->workers[i].requests), 1);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_board, drop_board)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(generations_are_found_by_number),
        TEST(the_oldest_generation_that_is_over_makes_room),
        TEST(counters_survive_their_worker),
        TEST(slots_run_out),
        TEST(processes_never_take_the_same_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
