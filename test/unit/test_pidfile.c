/* SPDX-License-Identifier: Apache-2.0 */
/* Pid file and generation number: what they say after every kind of death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "master/numbers.h"
#include "master/pidfile.h"

static char folder[64], path[128], number[128];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/instar-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/x.pid", folder);
    (void)snprintf(number, sizeof(number), "%s/generation", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(number);
    return rmdir(folder);
}

static void put(const char *file, const char *text)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A process that holds the file until it is killed. */
static pid_t holder(void)
{
    int ends[2], error;
    char byte = 0;
    bool stale;
    pid_t other, pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        byte = pidfile_claim(path, &error, &other, &stale) != NULL ? 'y' : 'n';
        if (write(ends[1], &byte, 1) == 1) {
            (void)pause();
        }
        _exit(0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    (void)close(ends[0]);
    (void)close(ends[1]);
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_second_server_is_refused(void **state)
{
    pid_t pid = holder(), other;
    bool stale;
    int error;

    (void)state;
    assert_null(pidfile_claim(path, &error, &other, &stale));
    assert_int_equal(error, EEXIST);
    assert_int_equal(other, pid);
    assert_int_equal(pidfile_holder(path), pid);
    end(pid);
}

static void a_dead_servers_file_is_taken_over(void **state)
{
    struct pid_file *p;
    pid_t pid = holder(), other;
    bool stale;
    int error;

    (void)state;
    end(pid);
    assert_int_equal(pidfile_holder(path), 0);
    p = pidfile_claim(path, &error, &other, &stale);
    assert_non_null(p);
    assert_true(stale);
    pidfile_release(p);
    assert_int_equal(access(path, F_OK), -1);
}

static void whatever_number_it_holds(void **state)
{
    struct pid_file *p;
    char text[32] = "";
    pid_t other;
    bool stale;
    int error, fd;

    (void)state;
    put(path, "1\nand much more than a pid file has ever held\n");
    assert_int_equal(pidfile_holder(path), 0);
    p = pidfile_claim(path, &error, &other, &stale);
    assert_non_null(p);
    fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_int_equal(atoi(text), getpid());
    assert_int_equal(strchr(text, '\n')[1], '\0');
    (void)close(fd); /* gives up the lock of this process, as POSIX wants it */
    pidfile_release(p);
}

static void a_forked_child_does_not_remove_it(void **state)
{
    bool stale;
    pid_t other, pid;
    int error;
    struct pid_file *p = pidfile_claim(path, &error, &other, &stale);

    (void)state;
    assert_non_null(p);
    assert_false(stale);
    pid = fork();
    if (pid == 0) {
        pidfile_release(p);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(access(path, F_OK), 0);
    pidfile_release(p);
}

static void a_foreign_file_is_not_removed(void **state)
{
    bool stale;
    pid_t other;
    int error;
    struct pid_file *p = pidfile_claim(path, &error, &other, &stale);

    (void)state;
    assert_non_null(p);
    assert_int_equal(unlink(path), 0);
    put(path, "12345\n");
    pidfile_release(p);
    assert_int_equal(access(path, F_OK), 0);
}

static void the_control_socket_is_noted_beside_it(void **state)
{
    char noted[64];
    bool stale;
    pid_t other;
    int error;
    struct pid_file *p = pidfile_claim(path, &error, &other, &stale);

    (void)state;
    assert_false(pidfile_control(path, noted, sizeof(noted)));
    assert_int_equal(pidfile_note_control(p, "/somewhere/else.sock"), 0);
    assert_true(pidfile_control(path, noted, sizeof(noted)));
    assert_string_equal(noted, "/somewhere/else.sock");
    pidfile_release(p);
    assert_false(pidfile_control(path, noted, sizeof(noted)));
}

static void numbers_never_come_again(void **state)
{
    (void)state;
    assert_int_equal(numbers_read(number), 0);
    assert_int_equal(numbers_write(number, 7), 0);
    assert_int_equal(numbers_read(number), 7);
    assert_int_equal(numbers_write(number, (uint64_t)1 << 40), 0);
    assert_int_equal(numbers_read(number), (uint64_t)1 << 40);
}

static void a_number_that_makes_no_sense_is_passed_by(void **state)
{
    static const char *const texts[] = {
        "", "x\n", "-1\n", "12x\n", "7", "99999999999999999999\n"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(number, texts[i]);
        assert_true(numbers_read(number) > 1000000000000000u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_second_server_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dead_servers_file_is_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whatever_number_it_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forked_child_does_not_remove_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_foreign_file_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_control_socket_is_noted_beside_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_never_come_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_that_makes_no_sense_is_passed_by, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
