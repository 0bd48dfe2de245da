/* SPDX-License-Identifier: Apache-2.0 */
/* Frames get names, also those of static functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <execinfo.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_app.h"
#include "worker/stack.h"

static struct http_app app;

__attribute__((noinline)) static int a_static_function(void **frames)
{
    int count = backtrace(frames, STACK_FRAMES);

    __asm__ volatile("" : : "r"(frames) : "memory"); /* no tail call */
    return count;
}

static void static_functions_have_names(void **state)
{
    void *frames[STACK_FRAMES];
    char text[STACK_TEXT];
    int count = a_static_function(frames);
    const char *callee, *caller;

    (void)state;
    stack_text(&app, frames, count, text, sizeof(text));
    callee = strstr(text, "a_static_function+0x");
    caller = strstr(text, "static_functions_have_names+0x");
    assert_non_null(callee);
    assert_non_null(caller);
    assert_true(callee < caller);
    assert_non_null(strstr(text, " < "));
    assert_non_null(strstr(text, "test_stack+0x"));
}

static void what_has_no_name_is_an_address(void **state)
{
    void *frames[] = { (void *)(uintptr_t)0x10 };
    char text[STACK_TEXT];

    (void)state;
    stack_text(&app, frames, 1, text, sizeof(text));
    assert_string_equal(text, "0x10");
    stack_text(&app, frames, 0, text, sizeof(text));
    assert_string_equal(text, "");
}

static void too_little_room_cuts_whole_frames(void **state)
{
    void *frames[STACK_FRAMES];
    int count = a_static_function(frames);
    char whole[STACK_TEXT], part[200];
    size_t len;

    (void)state;
    stack_text(&app, frames, count, whole, sizeof(whole));
    stack_text(&app, frames, count, part, sizeof(part));
    len = strlen(part);
    assert_true(len < sizeof(part));
    assert_memory_equal(whole, part, len);
    assert_true(whole[len] == '\0' || strncmp(whole + len, " < ", 3) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_functions_have_names),
        cmocka_unit_test(what_has_no_name_is_an_address),
        cmocka_unit_test(too_little_room_cuts_whole_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
