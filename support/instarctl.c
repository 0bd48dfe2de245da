/* SPDX-License-Identifier: Apache-2.0 */
/* instarctl: asks the running server over its control socket, and says how it
 * went. What needs no running server is the server binary's to do. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "cli.h"
#include "master/verbs.h"

struct request {
    struct cli cli;
    const char *verb;
    apr_array_header_t *passed_on; /* const char *: -f, -d, -D, -c as given */
};

static int usage(int code)
{
    (void)fputs("Usage: instarctl [-d directory] [-f file] [-D name] [-c \"directive\"] [--json]\n"
                "       start|stop|restart|graceful|graceful-stop|configtest|status|generations\n"
                "  start          start the server; returns when it answers\n"
                "  stop           stop it now; returns when it is gone\n"
                "  restart        reload, and cut what the old code is still doing\n"
                "  graceful       reload; says how that went\n"
                "  graceful-stop  finish what is in flight, then stop\n"
                "  configtest     check the configuration and try the modules\n"
                "  status         generations, counters and the last reload\n"
                "  generations    the generations alone\n"
                "Exit status: 0 done, 1 refused or failed, 2 usage, 3 not running,\n"
                "             4 already running\n",
                code == VERB_DONE ? stdout : stderr);
    return code;
}

/* ---- The server binary ------------------------------------------------- */

static const char *beside(const struct request *r, const char *self, const char *relative)
{
    const char *slash = strrchr(self, '/');
    const char *path = apr_psprintf(r->cli.pool, "%.*s/%s", (int)(slash - self), self, relative);

    return access(path, X_OK) == 0 ? path : NULL;
}

/* Installed in ../sbin, in a build tree in the same folder. */
static const char *server_binary(const struct request *r)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *found = NULL;

    if (n > 0) {
        self[n] = '\0';
        found = beside(r, self, "../sbin/instar");
        found = found != NULL ? found : beside(r, self, "instar");
    }
    return found != NULL ? found : INSTAR_PREFIX "/sbin/instar";
}

static int exec_server(struct request *r, const char *verb)
{
    const char *binary = server_binary(r);
    apr_array_header_t *argv = apr_array_make(r->cli.pool, 16, sizeof(const char *));

    APR_ARRAY_PUSH(argv, const char *) = binary;
    apr_array_cat(argv, r->passed_on);
    APR_ARRAY_PUSH(argv, const char *) = "-k";
    APR_ARRAY_PUSH(argv, const char *) = verb;
    APR_ARRAY_PUSH(argv, const char *) = "--words";
    if (r->cli.json) {
        APR_ARRAY_PUSH(argv, const char *) = "--json";
    }
    APR_ARRAY_PUSH(argv, const char *) = NULL;
    (void)execv(binary, (char *const *)(void *)argv->elts);
    return cli_problem(&r->cli, VERB_REFUSED, "%s: %s", binary, strerror(errno));
}

/* ---- Verbs ------------------------------------------------------------- */

static int do_start(struct request *r, const struct whereabouts *w)
{
    (void)w;
    return exec_server(r, "start");
}

static int do_ask(struct request *r, const struct whereabouts *w)
{
    return cli_ask(&r->cli, w, r->verb);
}

static int do_stop(struct request *r, const struct whereabouts *w)
{
    return cli_stop(&r->cli, w);
}

/* The running server has everything warm; but only what it would read itself
 * can be tested there. */
static int do_configtest(struct request *r, const struct whereabouts *w)
{
    struct control_answer answer;
    const char *request = apr_pstrcat(r->cli.pool, "configtest", r->cli.json ? " json" : "",
                                      r->cli.colour ? " colour" : "", " config=", w->config, NULL);

    if (w->pid == 0 || r->cli.conf.defines->nelts > 0 || r->cli.conf.directives->nelts > 0 ||
        control_ask(w, request, &answer, r->cli.pool) != 0 || answer.code == VERB_ELSEWHERE) {
        return exec_server(r, "configtest");
    }
    return cli_print(&r->cli, answer.code, answer.text);
}

static const struct {
    const char *name;
    int (*act)(struct request *r, const struct whereabouts *w);
    bool needs_server;
} verbs[] = {
    { "start", do_start, false },      { "stop", do_stop, true },
    { "restart", do_ask, true },       { "graceful", do_ask, true },
    { "graceful-stop", do_ask, true }, { "configtest", do_configtest, false },
    { "status", do_ask, true },        { "generations", do_ask, true },
};

static int run_verb(struct request *r)
{
    struct whereabouts w;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, r->verb) != 0) {
            continue;
        }
        whereabouts_find(&w, &r->cli.conf, r->cli.pool);
        if (verbs[i].needs_server && w.pid == 0) {
            return cli_problem(&r->cli, VERB_NOT_RUNNING, "the server is not running (%s)",
                               w.pid_file);
        }
        return verbs[i].act(r, &w);
    }
    (void)fprintf(stderr, "instarctl: there is no verb \"%s\"\n", r->verb);
    return usage(VERB_USAGE);
}

/* ---- Options ----------------------------------------------------------- */

enum { OPTION_JSON = 256, OPTION_VERSION };

static const struct option long_options[] = { { "json", no_argument, NULL, OPTION_JSON },
                                              { "help", no_argument, NULL, 'h' },
                                              { "version", no_argument, NULL, OPTION_VERSION },
                                              { NULL, 0, NULL, 0 } };

/* -1: go on; else the exit code. */
static int take_option(struct request *r, int option, const char *arg)
{
    switch (option) {
    case OPTION_JSON:
        r->cli.json = true;
        return -1;
    case 'h':
        return usage(VERB_DONE);
    case 'v':
    case OPTION_VERSION:
        (void)printf("instarctl %s\n", INSTAR_VERSION);
        return VERB_DONE;
    default:
        if (!cli_option(&r->cli, option, arg)) {
            return usage(VERB_USAGE);
        }
        APR_ARRAY_PUSH(r->passed_on, const char *) =
            apr_psprintf(r->cli.pool, "-%c%s", option, arg);
        return -1;
    }
}

static int take_options(struct request *r, int argc, char **argv)
{
    int option, code;

    /* getopt_long() moves the verb behind the options, wherever it stood. */
    while ((option = getopt_long(argc, argv, "d:f:D:c:hv", long_options, NULL)) != -1) {
        code = take_option(r, option, optarg);
        if (code >= 0) {
            return code;
        }
    }
    if (optind + 1 != argc) {
        return usage(VERB_USAGE);
    }
    r->verb = argv[optind];
    return -1;
}

int main(int argc, char **argv)
{
    struct request r;
    apr_pool_t *pool;
    int code;

    cli_open_streams();
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return VERB_REFUSED;
    }
    memset(&r, 0, sizeof(r));
    cli_init(&r.cli, pool);
    r.cli.words = true;
    r.passed_on = apr_array_make(pool, 8, sizeof(const char *));
    code = take_options(&r, argc, argv);
    return code >= 0 ? code : run_verb(&r);
}
