/* SPDX-License-Identifier: Apache-2.0 */
/* Lines are written whole or not at all: on a file that cannot grow, by a writer that dies, into
 * a pipe that is full, to a syslog that is not there. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/json_text.h"
#include "util/log_sink.h"

static char folder[] = "/tmp/instar-sink-XXXXXX";
static char path[64];

static int open_log(void)
{
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void assert_content(int fd, const char *want)
{
    char got[4096];
    ssize_t n = pread(fd, got, sizeof(got) - 1, 0);

    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, want);
}

static void grow_at_most(rlim_t bytes)
{
    const struct rlimit limit = { bytes, RLIM_INFINITY };

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_a_full_disk_took_of_a_line_is_cut_off(void **state)
{
    struct log_sink sink;
    int fd = open_log();
    size_t taken;

    (void)state;
    sink_init(&sink, path, fd);
    assert_int_equal(sink.kind, SINK_FILE);
    grow_at_most(12);
    assert_int_not_equal(sink_write(&sink, 6, "one\ntwo\nthree\nfour\n", 19, &taken), 0);
    assert_int_equal(taken, 8);
    assert_content(fd, "one\ntwo\n");
    assert_int_not_equal(sink_write(&sink, 6, "three\nfour\n", 11, &taken), 0);
    assert_int_equal(taken, 0);
    assert_content(fd, "one\ntwo\n");
    grow_at_most(RLIM_INFINITY);
    assert_int_equal(sink_write(&sink, 6, "three\nfour\n", 11, &taken), 0);
    assert_int_equal(taken, 11);
    assert_content(fd, "one\ntwo\nthree\nfour\n");
    (void)close(fd);
}

static void half_a_line_that_cannot_be_cut_off_stays_alone(void **state)
{
    struct log_sink sink;
    int fd = open_log(), blind = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    size_t taken;

    (void)state;
    sink_init(&sink, path, blind);
    grow_at_most(6);
    assert_int_not_equal(sink_write(&sink, 6, "one\ntwo\n", 8, &taken), 0);
    assert_int_equal(taken, 4);
    grow_at_most(RLIM_INFINITY);
    assert_int_equal(sink_write(&sink, 6, "two\n", 4, &taken), 0);
    assert_content(fd, "one\ntw\ntwo\n");
    (void)close(fd);
    (void)close(blind);
}

/* A child that holds the lock and dies in the middle of a line. */
static void a_writer_that_dies_leaves_neither_lock_nor_half_a_line(void **state)
{
    struct log_sink sink;
    int fd = open_log(), status;
    size_t taken;
    pid_t pid;

    (void)state;
    assert_int_equal(sink_make_locks(), 0);
    sink_init(&sink, path, fd);
    assert_int_equal(sink_write(&sink, 6, "one\n", 4, &taken), 0);
    pid = fork();
    if (pid == 0) {
        /* SIGXFSZ comes within the write() of the half that does not fit. */
        (void)signal(SIGXFSZ, SIG_DFL);
        grow_at_most(6);
        (void)sink_write(&sink, 6, "two\n", 4, &taken);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_content(fd, "one\ntw");
    assert_int_equal(sink_write(&sink, 6, "three\n", 6, &taken), 0);
    assert_content(fd, "one\nthree\n");
    (void)close(fd);
}

static void a_pipe_takes_whole_lines_until_it_is_full(void **state)
{
    static char lines[400 * 1000];
    struct log_sink sink;
    int ends[2];
    size_t taken, got = 0;
    char *end;

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    sink_init(&sink, "a pipe", ends[1]);
    assert_int_equal(sink_line_max(&sink), SINK_PIPE_LINE);
    memset(lines, 'x', sizeof(lines));
    for (size_t i = 999; i < sizeof(lines); i += 1000) {
        lines[i] = '\n';
    }
    assert_int_not_equal(sink_write(&sink, 6, lines, sizeof(lines), &taken), 0);
    assert_true(taken > 0 && taken < sizeof(lines) && taken % 1000 == 0);
    end = lines + sizeof(lines);
    for (ssize_t n; (n = read(ends[0], lines, (size_t)(end - lines))) > 0;) {
        got += (size_t)n;
    }
    assert_int_equal(got, taken);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void syslog_gets_a_datagram_a_line(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct sink_syslog syslog = { .socket = address.sun_path, .tag = "web", .facility = 16 };
    struct log_sink sink;
    char got[256];
    size_t taken;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int daemon = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/syslog", folder);
    sink_init_syslog(&sink, "syslog:local0:web", fd, &syslog);
    assert_int_not_equal(sink_write(&sink, 6, "lost\n", 5, &taken), 0);
    assert_int_equal(taken, 0);
    assert_int_equal(bind(daemon, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(sink_write(&sink, 3, "one\ntwo\n", 8, &taken), 0);
    memset(got, 0, sizeof(got));
    assert_true(recv(daemon, got, sizeof(got) - 1, 0) > 0);
    assert_int_equal(strncmp(got, "<131>", 5), 0);
    assert_string_equal(strchr(got, ']'), "]: one");
    memset(got, 0, sizeof(got));
    assert_true(recv(daemon, got, sizeof(got) - 1, 0) > 0);
    assert_string_equal(strchr(got, ']'), "]: two");
    (void)close(fd);
    (void)close(daemon);
    assert_int_equal(unlink(address.sun_path), 0);
}

static void losses_are_counted_and_said_at_their_beginning(void **state)
{
    static _Atomic uint64_t counter;
    struct log_sink sink;

    (void)state;
    sink_init(&sink, "x", STDERR_FILENO);
    sink_count_losses(&counter);
    assert_int_equal(sink_recovered(&sink), 0);
    assert_true(sink_lost(&sink, 1));
    assert_false(sink_lost(&sink, 2));
    assert_int_equal(atomic_load(&counter), 3);
    assert_int_equal(sink_recovered(&sink), 3);
    assert_int_equal(sink_recovered(&sink), 0);
    assert_true(sink_lost(&sink, 1));
    sink_count_losses(NULL);
}

static void json_text_never_ends_in_half_a_character(void **state)
{
    static const struct {
        const char *text, *want;
        size_t size;
    } cases[] = {
        { "plain", "plain", 100 },
        { "a\"b\\c", "a\\\"b\\\\c", 100 },
        { "\n\t\x01\x7f", "\\n\\t\\u0001\\u007f", 100 },
        { "caf\xc3\xa9", "caf\xc3\xa9", 100 },
        { "caf\xe9!", "caf\\ufffd!", 100 },
        { "caf\xc3\xa9", "caf", 4 },
        { "ab\"", "ab", 3 },
        { "ab\x01", "ab", 7 },
        { "", "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[128];
        size_t used,
            len = json_text(out, cases[i].size, cases[i].text, strlen(cases[i].text), &used);

        out[len] = '\0';
        assert_string_equal(out, cases[i].want);
    }
}

static int set_up(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_full_disk_took_of_a_line_is_cut_off),
        cmocka_unit_test(half_a_line_that_cannot_be_cut_off_stays_alone),
        cmocka_unit_test(a_writer_that_dies_leaves_neither_lock_nor_half_a_line),
        cmocka_unit_test(a_pipe_takes_whole_lines_until_it_is_full),
        cmocka_unit_test(syslog_gets_a_datagram_a_line),
        cmocka_unit_test(losses_are_counted_and_said_at_their_beginning),
        cmocka_unit_test(json_text_never_ends_in_half_a_character),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
