/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -k start: the caller gets its prompt back when the server answers, or reads
 * why it does not. The new process lets go of everything of the caller's before
 * it forks anything: whoever reads the caller's pipes must see their end.
 */
#include "detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/signals.h"
#include "master/verbs.h"

enum { ANSWER_CHUNK = 65536 };

static void let_go(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setsid();
    (void)!chdir("/");
    if (fd >= 0) {
        (void)dup2(fd, STDIN_FILENO);
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        if (fd > STDERR_FILENO) {
            (void)close(fd);
        }
    }
}

static char *read_answer(int fd, apr_pool_t *pool)
{
    char *chunk = apr_palloc(pool, ANSWER_CHUNK);
    char *text = apr_pstrdup(pool, "");

    for (;;) {
        ssize_t n = read(fd, chunk, ANSWER_CHUNK - 1);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return text;
        }
        chunk[n] = '\0';
        text = apr_pstrcat(pool, text, chunk, NULL);
    }
}

static int wait_for_answer(const struct cli *cli, int fd)
{
    char *text, *end;
    long code;

    signals_unblock(); /* who waits may interrupt that; the server goes on */
    text = read_answer(fd, cli->pool);
    code = strtol(text, &end, 10);
    if (end == text || *end != '\n') {
        return cli_problem(cli, VERB_REFUSED, "the server has died while it started");
    }
    return cli_print(cli, (int)code, end + 1);
}

int detach_start(const struct cli *cli, struct master_options *options,
                 const struct launch_ops *ops)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return cli_problem(cli, VERB_REFUSED, "no pipe: %s", strerror(errno));
    }
    pid = fork();
    if (pid < 0) {
        return cli_problem(cli, VERB_REFUSED, "no process: %s", strerror(errno));
    }
    if (pid == 0) {
        (void)close(ends[0]);
        let_go();
        options->report_fd = ends[1];
        _exit(master_run(options, ops));
    }
    (void)close(ends[1]);
    return wait_for_answer(cli, ends[0]);
}
