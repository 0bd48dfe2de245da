/* SPDX-License-Identifier: Apache-2.0 */
/* docs/DIRECTIVES.md says what the tables say. */
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

static void print_page(void)
{
    const struct launch launch = { .dump = DUMP_DIRECTIVES_MD };
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

static void the_page_is_what_the_tables_say(void **state)
{
    const char *top = getenv("srcdir");
    char path[4096];
    int fd;

    (void)state;
    print_page();
    (void)snprintf(path, sizeof(path), "%s/docs/DIRECTIVES.md", top ? top : ".");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    read_all(fd, checked_in);
    (void)close(fd);
    if (strcmp(printed, checked_in) != 0) {
        fail_msg("make it anew: instar -c 'Listen 80' -f /dev/null -DDUMP_DIRECTIVES_MD > %s",
                 path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_what_the_tables_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
