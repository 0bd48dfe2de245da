/* SPDX-License-Identifier: Apache-2.0 */
/* Slots are taken, freed and reused; counters survive their worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
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

static void a_killed_workers_slot_waits_until_it_is_gone(void **state)
{
    struct sb_worker *w = sb_worker_take(board, 1, 0);
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    atomic_store(&w->pid, pid);
    sb_worker_abandon(board, w);
    assert_int_equal(sb_generation_load(board, 1).workers, 0);
    assert_ptr_not_equal(sb_worker_take(board, 2, 0), w);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_ptr_equal(sb_worker_take(board, 2, 1), w);
}

/* Slots change hands all the time; a reader beside it must never see a sum that is lower. */
static void totals_never_fall_while_slots_change_hands(void **state)
{
    static struct sb_totals before, now;
    pid_t pid = fork();
    int status = 0;

    (void)state;
    if (pid == 0) {
        for (uint64_t i = 1; i <= 20000; i++) {
            struct sb_worker *w = sb_worker_take(board, i, 0);

            SB_COUNT(w, requests, 3);
            sb_duration(w, (int64_t)(i % 3) * 100000);
            sb_worker_free(board, w);
        }
        _exit(0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        sb_totals(board, &now);
        assert_true(now.counter[SB_COUNTER_requests] >= before.counter[SB_COUNTER_requests]);
        assert_true(now.duration_us >= before.duration_us);
        before = now;
    }
    assert_int_equal(status, 0);
    sb_totals(board, &now);
    assert_int_equal(now.counter[SB_COUNTER_requests], 60000);
    assert_int_equal(now.durations[0], 6666);
    assert_int_equal(now.durations[9], 6667);
}

static void durations_go_to_their_class(void **state)
{
    static const struct {
        int64_t us;
        int at;
    } cases[] = { { 0, 0 },    { 100, 0 },       { 101, 1 },       { 1000, 3 },
                  { 1001, 4 }, { 10000000, 15 }, { 10000001, 16 }, { INT64_MAX / 2, 16 } };
    struct sb_worker *w = sb_worker_take(board, 1, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = atomic_load(&w->durations[cases[i].at]);

        sb_duration(w, cases[i].us);
        assert_int_equal(atomic_load(&w->durations[cases[i].at]), before + 1);
    }
}

/* Every word of it is the same in one version; a reader sees one of them, never a mixture. */
static void an_outcome_is_read_whole_or_not_at_all(void **state)
{
    static struct sb_outcome outcome, seen;
    pid_t pid = fork();
    int status = 0;

    (void)state;
    if (pid == 0) {
        for (int i = 0; i < 3000; i++) {
            memset(outcome.words, 'a' + i % 26, sizeof(outcome.words) - 1);
            outcome.when = outcome.took_us = i;
            sb_outcome_write(board, &outcome);
        }
        _exit(0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (sb_outcome_read(board, &seen)) {
            assert_int_equal(seen.when, seen.took_us);
            assert_true(seen.words[0] == seen.words[SB_WORDS - 2]);
        }
    }
    assert_int_equal(status, 0);
    assert_true(sb_outcome_read(board, &seen));
    assert_int_equal(seen.when, 2999);
    assert_int_equal(strlen(seen.words), SB_WORDS - 1);
}

static void another_binary_reads_on_or_refuses(void **state)
{
    struct scoreboard *again;
    struct sb_totals totals;

    (void)state;
    SB_COUNT(sb_worker_take(board, 1, 0), accepted, 7);
    again = sb_attach(fd);
    assert_non_null(again);
    sb_totals(again, &totals);
    assert_int_equal(totals.counter[SB_COUNTER_accepted], 7);
    (void)munmap(again, sizeof(*again));
    board->version = SB_VERSION + 1;
    assert_null(sb_attach(fd));
    assert_int_equal(errno, EPROTO);
    board->version = SB_VERSION;
    assert_int_equal(ftruncate(fd, sizeof(*board) + 1), 0);
    assert_null(sb_attach(fd));
    assert_int_equal(errno, EPROTO);
}

static void rows_of_a_metric_agree_and_names_are_unique(void **state)
{
    const struct sb_counter_row *all[SB_COUNTER_COUNT + SB_MASTER_COUNT];
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < SB_COUNTER_COUNT; i++) {
        all[count++] = &sb_counter_rows[i];
    }
    for (size_t i = 0; i < SB_MASTER_COUNT; i++) {
        all[count++] = &sb_master_rows[i];
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(all[i]->metric);

        assert_true(len > 6 && strcmp(all[i]->metric + len - 6, "_total") == 0);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(all[i]->name, all[k]->name);
            if (strcmp(all[i]->metric, all[k]->metric) == 0) {
                assert_string_equal(all[i]->words, all[k]->words);
                assert_string_not_equal(all[i]->labels, all[k]->labels);
            }
        }
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
        TEST(a_killed_workers_slot_waits_until_it_is_gone),
        TEST(totals_never_fall_while_slots_change_hands),
        TEST(durations_go_to_their_class),
        TEST(an_outcome_is_read_whole_or_not_at_all),
        TEST(another_binary_reads_on_or_refuses),
        TEST(rows_of_a_metric_agree_and_names_are_unique),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
