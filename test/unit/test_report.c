/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes as people and programs read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <apr_general.h>

#include <cmocka.h>

#include "master/job.h"
#include "master/report.h"
#include "util/diag.h"

static struct outcome *good(void)
{
    struct outcome *o = outcome_create("reload");
    struct draining_note six = { 6, 3 };

    o->ok = true;
    o->generation = 7;
    o->took_us = 62700;
    o->unchanged = 11;
    APR_ARRAY_PUSH(o->compiled, const char *) = "hello_module";
    APR_ARRAY_PUSH(o->draining, struct draining_note) = six;
    return o;
}

static struct outcome *bad(void)
{
    struct outcome *o = outcome_create("reload");

    o->generation = 6;
    o->took_us = 1000;
    diags_add(o->diags, DIAG_BUILD, DIAG_ERROR, "/m/hello.c", 3, 9, "expected \"expression\"");
    diags_add(o->diags, DIAG_LOAD, DIAG_ERROR, NULL, 0, 0, "no place");
    return o;
}

static void success_in_words(void **state)
{
    struct outcome *o = good();

    (void)state;
    assert_string_equal(report_text(o, false, o->pool),
                        "generation 7 serving in 63 ms: 1 module compiled, 11 unchanged; "
                        "generation 6 draining, 3 connections\n");
    outcome_destroy(o);
}

static void words_count_properly(void **state)
{
    struct outcome *o = good();

    (void)state;
    APR_ARRAY_PUSH(o->compiled, const char *) = "other_module";
    APR_ARRAY_IDX(o->draining, 0, struct draining_note).connections = 1;
    outcome_note(o, "waited for %s", "something");
    assert_string_equal(report_line(o, o->pool),
                        "generation 7 serving in 63 ms: 2 modules compiled, 11 unchanged; "
                        "generation 6 draining, 1 connection; waited for something");
    outcome_destroy(o);
}

static void success_in_json(void **state)
{
    struct outcome *o = good();

    (void)state;
    assert_string_equal(report_json(o, o->pool),
                        "{\"ok\": true, \"generation\": 7, \"compiled\": [\"hello_module\"], "
                        "\"unchanged\": 11, \"ms\": 63, "
                        "\"draining\": [{\"generation\": 6, \"connections\": 3}]}\n");
    outcome_destroy(o);
}

static void failure_in_words(void **state)
{
    struct outcome *o = bad();

    (void)state;
    assert_string_equal(report_text(o, false, o->pool),
                        "/m/hello.c:3:9: error: expected \"expression\"\n"
                        "error: no place\n"
                        "reload failed at stage build after 1 ms: 2 errors; "
                        "generation 6 serves on\n");
    outcome_destroy(o);
}

static void failure_in_json(void **state)
{
    struct outcome *o = bad();

    (void)state;
    o->generation = 0;
    assert_string_equal(
        report_json(o, o->pool),
        "{\"ok\": false, \"generation\": null, \"compiled\": [], \"unchanged\": 0, \"ms\": 1, "
        "\"draining\": [], \"stage\": \"build\", \"errors\": ["
        "{\"file\": \"/m/hello.c\", \"line\": 3, \"column\": 9, "
        "\"message\": \"expected \\\"expression\\\"\"}, "
        "{\"file\": null, \"line\": null, \"column\": null, \"message\": \"no place\"}]}\n");
    outcome_destroy(o);
}

static void a_check_says_what_httpd_says(void **state)
{
    struct outcome *o = outcome_create("configtest");

    (void)state;
    o->ok = true;
    assert_string_equal(report_text(o, false, o->pool), "Syntax OK\n");
    outcome_destroy(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_in_words), cmocka_unit_test(words_count_properly),
        cmocka_unit_test(success_in_json),  cmocka_unit_test(failure_in_words),
        cmocka_unit_test(failure_in_json),  cmocka_unit_test(a_check_says_what_httpd_says),
    };

    if (apr_initialize() != APR_SUCCESS) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
