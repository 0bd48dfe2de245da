/* SPDX-License-Identifier: Apache-2.0 */
/* docs/DIRECTIVES.md and instar.conf(5) say what the tables say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "generation/dump.h"
#include "ipc/launch.h"

enum { PAGE_BYTES = 1 << 20 };

static char printed[PAGE_BYTES], checked_in[PAGE_BYTES];

static void read_all(int fd, char *text)
{
    ssize_t n = pread(fd, text, PAGE_BYTES - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
}

static void print_page(enum launch_dump dump)
{
    const struct launch launch = { .dump = dump };
    int memory = memfd_create("page", MFD_CLOEXEC), output = dup(STDOUT_FILENO);

    assert_true(memory >= 0 && output >= 0);
    (void)fflush(stdout);
    assert_true(dup2(memory, STDOUT_FILENO) >= 0);
    dump_print(&launch, NULL);
    assert_true(dup2(output, STDOUT_FILENO) >= 0);
    read_all(memory, printed);
    (void)close(memory);
    (void)close(output);
}

static void compare(enum launch_dump dump, const char *name)
{
    const char *top = getenv("srcdir");
    char path[4096];
    int fd;

    print_page(dump);
    (void)snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    read_all(fd, checked_in);
    (void)close(fd);
    if (strcmp(printed, checked_in) != 0) {
        fail_msg("make %s anew: make docs", path);
    }
}

static void the_page_is_what_the_tables_say(void **state)
{
    (void)state;
    compare(DUMP_DIRECTIVES_MD, "docs/DIRECTIVES.md");
}

static void the_manual_is_what_the_tables_say(void **state)
{
    (void)state;
    compare(DUMP_DIRECTIVES_MAN, "support/instar.conf.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_what_the_tables_say),
        cmocka_unit_test(the_manual_is_what_the_tables_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
