/* SPDX-License-Identifier: Apache-2.0 */
/* The reload state machine, with generations that misbehave in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>

#include <cmocka.h>

#include "master/verbs.h"
#include "master_fixture.h"

static struct master_fixture fixture;

static int set_up(void **state)
{
    fixture_create(&fixture, "StartTimeout 1\nGracefulShutdownTimeout 1");
    *state = &fixture;
    return 0;
}

static int set_up_running(void **state)
{
    set_up(state);
    return fixture_start(&fixture) == VERB_DONE ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static int64_t serving(struct master_fixture *f)
{
    return fixture_number(fixture_ask(f, "status json").text, "generation");
}

static void await_drained(struct master_fixture *f)
{
    for (int i = 0; i < 3000 && strstr(fixture_ask(f, "generations").text, "draining"); i++) {
        (void)usleep(10000);
    }
    assert_null(strstr(fixture_ask(f, "generations").text, "draining"));
}

static void the_first_start_serves(void **state)
{
    struct master_fixture *f = *state;

    assert_int_equal(fixture_start(f), VERB_DONE);
    assert_int_equal(f->where.pid, f->pid);
    assert_int_equal(serving(f), 1);
}

static void a_first_start_that_fails_ends_the_server(void **state)
{
    struct master_fixture *f = *state;
    char path[128];
    int status;

    fixture_behave(f, "refuse");
    assert_int_equal(fixture_start(f), VERB_REFUSED);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    (void)snprintf(path, sizeof(path), "%s/run/x.pid", f->folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_reload_switches(void **state)
{
    struct master_fixture *f = *state;
    struct control_answer answer;

    fixture_behave(f, "workers=5");
    answer = fixture_ask(f, "graceful json");
    assert_int_equal(answer.code, VERB_DONE);
    assert_int_equal(fixture_number(answer.text, "generation"), 2);
    assert_int_equal(fixture_number(fixture_ask(f, "status json").text, "workers"), 5);
}

static void a_generation_that_fails_never_serves(void **state)
{
    static const struct {
        const char *behaviour, *words;
    } cases[] = {
        { "refuse", "\"stage\": \"load\", \"errors\": [{\"file\": \"/somewhere/x.c\", \"line\": 5, "
                    "\"column\": 7, \"message\": \"it pretends to be broken\"}]" },
        { "exit", "exited with status 0" },
        { "abort", "was killed by SIGABRT" },
        { "hang", "was not ready within 1 s (StartTimeout)" },
    };
    struct master_fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct control_answer answer;

        fixture_behave(f, cases[i].behaviour);
        answer = fixture_ask(f, "graceful json");
        assert_int_equal(answer.code, VERB_REFUSED);
        assert_non_null(strstr(answer.text, cases[i].words));
        assert_int_equal(fixture_number(answer.text, "generation"), 1);
    }
    fixture_behave(f, "");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
}

static void a_text_that_is_wrong_is_refused(void **state)
{
    struct master_fixture *f = *state;
    struct control_answer answer;

    fixture_config(f, "Workers many");
    answer = fixture_ask(f, "graceful json");
    assert_int_equal(answer.code, VERB_REFUSED);
    assert_non_null(strstr(answer.text, "\"stage\": \"config\""));
    assert_int_equal(serving(f), 1);
}

static void workers_that_do_not_answer_hold_nothing_up(void **state)
{
    struct master_fixture *f = *state;

    fixture_behave(f, "late");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    fixture_behave(f, "");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    assert_int_equal(serving(f), 3);
}

static void the_old_one_resumes_where_the_new_one_dies_in_the_switch(void **state)
{
    struct master_fixture *f = *state;
    struct control_answer answer;

    fixture_behave(f, "late");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    fixture_behave(f, "brief");
    answer = fixture_ask(f, "graceful json");
    assert_int_equal(answer.code, VERB_REFUSED);
    assert_non_null(strstr(answer.text, "exited with status 3"));
    assert_int_equal(fixture_number(answer.text, "generation"), 2);
    fixture_behave(f, "");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
}

static void a_wrong_text_makes_no_folders(void **state)
{
    struct master_fixture *f = *state;
    char path[128];

    fixture_config(f, "Workers many");
    assert_int_equal(fixture_start(f), VERB_REFUSED);
    (void)snprintf(path, sizeof(path), "%s/run", f->folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_generation_that_does_not_end_is_ended(void **state)
{
    struct master_fixture *f = *state;

    fixture_behave(f, "stuck");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    fixture_behave(f, "");
    assert_int_equal(fixture_ask(f, "restart").code, VERB_DONE);
    assert_true(fixture_wait(f, "\"state\": \"draining\""));
    await_drained(f);
}

static void a_generation_that_dies_is_followed(void **state)
{
    struct master_fixture *f = *state;
    int64_t pid;

    for (int n = 1; n <= 2; n++) {
        const char *list = strstr(fixture_ask(f, "status json").text, "\"generations\"");

        pid = fixture_number(list, "pid");
        assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
        assert_true(fixture_wait(f, n == 1 ? "\"generation\": 2, \"state\": \"serving\""
                                           : "\"generation\": 3, \"state\": \"serving\""));
    }
}

static void gossip_harms_nobody(void **state)
{
    struct master_fixture *f = *state;
    int before = fixture_descriptors(f);

    fixture_behave(f, "gossip");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    (void)usleep(300000);
    fixture_behave(f, "");
    assert_int_equal(fixture_ask(f, "restart").code, VERB_DONE);
    await_drained(f);
    assert_int_equal(fixture_descriptors(f), before);
}

static void a_hundred_reloads_cost_no_descriptor(void **state)
{
    struct master_fixture *f = *state;
    int before = fixture_descriptors(f);

    for (int i = 0; i < 100; i++) {
        assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    }
    assert_int_equal(serving(f), 101);
    await_drained(f);
    assert_int_equal(fixture_descriptors(f), before);
}

static void signals_at_once_are_one_more_reload(void **state)
{
    struct master_fixture *f = *state;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(kill(f->pid, SIGHUP), 0);
    }
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    assert_true(serving(f) <= 22);
}

static void a_configtest_changes_nothing(void **state)
{
    struct master_fixture *f = *state;
    char request[256];

    (void)snprintf(request, sizeof(request), "configtest json config=%s", f->where.config);
    assert_int_equal(fixture_ask(f, request).code, VERB_DONE);
    fixture_behave(f, "refuse");
    assert_int_equal(fixture_ask(f, request).code, VERB_REFUSED);
    assert_int_equal(serving(f), 1);
    assert_int_equal(fixture_ask(f, "configtest config=/other").code, VERB_ELSEWHERE);
}

static void numbers_outlive_the_master(void **state)
{
    struct master_fixture *f = *state;

    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    assert_int_equal(kill(f->pid, SIGKILL), 0);
    assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
    assert_int_equal(fixture_start(f), VERB_DONE);
    assert_int_equal(serving(f), 3);
}

static void stop_takes_everything_along(void **state)
{
    struct master_fixture *f = *state;
    char path[128];
    int status;

    fixture_behave(f, "stuck");
    assert_int_equal(fixture_ask(f, "graceful").code, VERB_DONE);
    assert_int_equal(fixture_ask(f, "stop").code, VERB_DONE);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    assert_int_equal(status, 0);
    (void)snprintf(path, sizeof(path), "%s/listen.sock", f->folder);
    assert_int_equal(access(path, F_OK), -1);
    (void)snprintf(path, sizeof(path), "%s/run/x.sock", f->folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_graceful_stop_ends_by_itself(void **state)
{
    struct master_fixture *f = *state;
    int status;

    assert_int_equal(fixture_ask(f, "graceful-stop").code, VERB_DONE);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    assert_int_equal(status, 0);
}

static void what_is_no_request_is_told_so(void **state)
{
    struct master_fixture *f = *state;

    assert_int_equal(fixture_ask(f, "make-coffee").code, VERB_USAGE);
    assert_int_equal(fixture_ask(f, "").code, VERB_USAGE);
    assert_int_equal(serving(f), 1);
}

#define RUNNING(test) cmocka_unit_test_setup_teardown(test, set_up_running, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_start_serves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_first_start_that_fails_ends_the_server, set_up,
                                        tear_down),
        RUNNING(a_reload_switches),
        RUNNING(a_generation_that_fails_never_serves),
        RUNNING(a_text_that_is_wrong_is_refused),
        RUNNING(workers_that_do_not_answer_hold_nothing_up),
        RUNNING(the_old_one_resumes_where_the_new_one_dies_in_the_switch),
        cmocka_unit_test_setup_teardown(a_wrong_text_makes_no_folders, set_up, tear_down),
        RUNNING(a_generation_that_does_not_end_is_ended),
        RUNNING(a_generation_that_dies_is_followed),
        RUNNING(gossip_harms_nobody),
        RUNNING(a_hundred_reloads_cost_no_descriptor),
        RUNNING(signals_at_once_are_one_more_reload),
        RUNNING(a_configtest_changes_nothing),
        RUNNING(numbers_outlive_the_master),
        RUNNING(stop_takes_everything_along),
        RUNNING(a_graceful_stop_ends_by_itself),
        RUNNING(what_is_no_request_is_told_so),
    };

    if (apr_initialize() != APR_SUCCESS) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
