/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a command line that two programs share. Prints: outcomes that
 * were asked for go to stdout, what is wrong goes to stderr, JSON always to stdout. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_strings.h>

#include "master/job.h"
#include "master/report.h"
#include "master/verbs.h"
#include "util/diag.h"

enum { STOP_WAIT_MS = 15000 };

/* Where the paths of a command line start: what is done later may be done in
 * another folder. */
static const char *absolute(struct cli *cli, const char *path)
{
    char *here;
    const char *full;

    if (path[0] == '/') {
        return path;
    }
    here = getcwd(NULL, 0);
    full = apr_pstrcat(cli->pool, here != NULL ? here : "", "/", path, NULL);
    free(here);
    return full;
}

void cli_open_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR); /* the lowest number that is free */
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        (void)close(fd);
    }
}

void cli_init(struct cli *cli, apr_pool_t *pool)
{
    const char *no_colour = getenv("NO_COLOR");

    memset(cli, 0, sizeof(*cli));
    cli->pool = pool;
    cli->conf.prefix = INSTAR_PREFIX;
    cli->conf.server_root = INSTAR_PREFIX;
    cli->conf.config_file = INSTAR_SYSCONFDIR "/instar.conf";
    cli->conf.defines = apr_array_make(pool, 4, sizeof(const char *));
    cli->conf.directives = apr_array_make(pool, 4, sizeof(const char *));
    cli->colour = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) &&
                  (no_colour == NULL || no_colour[0] == '\0');
}

bool cli_option(struct cli *cli, int option, const char *arg)
{
    switch (option) {
    case 'd':
        cli->conf.server_root = absolute(cli, arg);
        return true;
    case 'f':
        cli->conf.config_file = arg; /* relative to the ServerRoot, as in httpd */
        return true;
    case 'D':
        APR_ARRAY_PUSH(cli->conf.defines, const char *) = arg;
        return true;
    case 'c':
        APR_ARRAY_PUSH(cli->conf.directives, const char *) = arg;
        return true;
    default:
        return false;
    }
}

int cli_print(const struct cli *cli, int code, const char *text)
{
    if (cli->json) {
        (void)fputs(text, stdout);
    }
    else if (code != VERB_DONE) {
        (void)fputs(text, stderr);
    }
    else if (cli->words) {
        (void)fputs(text, stdout);
    }
    (void)fflush(stdout);
    return code;
}

int cli_problem(const struct cli *cli, int code, const char *format, ...)
{
    struct outcome *outcome = outcome_create("request");
    const char *words;
    va_list args;

    va_start(args, format);
    words = apr_pvsprintf(cli->pool, format, args);
    va_end(args);
    diags_add(outcome->diags, DIAG_START, DIAG_ERROR, NULL, 0, 0, "%s", words);
    (void)cli_print(cli, code,
                    cli->json ? report_json(outcome, outcome->pool)
                              : diags_text(outcome->diags, cli->colour, outcome->pool));
    outcome_destroy(outcome);
    return code;
}

int cli_ask(const struct cli *cli, const struct whereabouts *w, const char *verb)
{
    struct control_answer answer;
    const char *request =
        apr_pstrcat(cli->pool, verb, cli->json ? " json" : "", cli->colour ? " colour" : "", NULL);
    int error = control_ask(w, request, &answer, cli->pool);

    if (error != 0) {
        return cli_problem(cli, VERB_REFUSED, "the server (pid %d) cannot be asked at %s: %s",
                           (int)w->pid, w->control_socket, strerror(error));
    }
    return cli_print(cli, answer.code, answer.text);
}

int cli_stop(const struct cli *cli, const struct whereabouts *w)
{
    struct control_answer answer = { VERB_DONE, report_stopped(cli->json, "stopped\n") };
    int error = control_ask(w, cli->json ? "stop json" : "stop", &answer, cli->pool);

    /* A server that cannot be asked can still be told. */
    if (error != 0 && kill(w->pid, SIGTERM) != 0 && errno != ESRCH) {
        return cli_problem(cli, VERB_REFUSED, "the server (pid %d) cannot be stopped: %s",
                           (int)w->pid, strerror(errno));
    }
    if (!control_wait_gone(w->pid, STOP_WAIT_MS)) {
        return cli_problem(cli, VERB_REFUSED, "the server (pid %d) does not come to its end",
                           (int)w->pid);
    }
    return cli_print(cli, answer.code, answer.text);
}
