/* SPDX-License-Identifier: Apache-2.0 */
/* instarctl: asks the running server over its control socket, and says how it
 * went. What needs no running server is the server binary's to do. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "ctl.h"
#include "master/verbs.h"

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

static bool is_number(const char *text)
{
    return *text >= '1' && *text <= '9' && strlen(text) < 20 &&
           text[strspn(text, "0123456789")] == '\0';
}

static int do_rollback(struct request *r, const struct whereabouts *w)
{
    if (r->operand_count == 0) {
        return cli_ask(&r->cli, w, "rollback");
    }
    if (!is_number(r->operands[0])) {
        (void)fprintf(stderr, "instarctl: \"%s\" is no generation's number\n", r->operands[0]);
        return VERB_USAGE;
    }
    return cli_ask(&r->cli, w, apr_pstrcat(r->cli.pool, "rollback ", r->operands[0], NULL));
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

static bool has_blank(const char *text)
{
    return text != NULL && text[strcspn(text, " \t\r\n")] != '\0';
}

static int do_routes(struct request *r, const struct whereabouts *w)
{
    const char *path = r->operand_count > 0 ? r->operands[0] : NULL;
    const char *line = "routes";

    if (has_blank(path) || has_blank(r->method) || has_blank(r->host)) {
        (void)fputs("instarctl: no blank can stand there: write %20 in a path\n", stderr);
        return VERB_USAGE;
    }
    line = path != NULL ? apr_pstrcat(r->cli.pool, line, " path=", path, NULL) : line;
    line = r->method != NULL ? apr_pstrcat(r->cli.pool, line, " method=", r->method, NULL) : line;
    line = r->host != NULL ? apr_pstrcat(r->cli.pool, line, " host=", r->host, NULL) : line;
    return cli_ask(&r->cli, w, line);
}

struct verb {
    const char *name;
    int (*act)(struct request *r, const struct whereabouts *w);
    bool needs_server;
    int operands; /* at most */
    const char *syntax, *help;
};

static const struct verb verbs[] = {
    { "start", do_start, false, 0, "", "start the server; returns when it answers" },
    { "stop", do_stop, true, 0, "", "stop it now; returns when it is gone" },
    { "restart", do_ask, true, 0, "", "reload, and cut what the old code is still doing" },
    { "graceful", do_ask, true, 0, "", "reload; says how that went" },
    { "graceful-stop", do_ask, true, 0, "", "finish what is in flight, then stop" },
    { "configtest", do_configtest, false, 0, "", "check the configuration and try the modules" },
    { "status", do_ask, true, 0, "", "generations, workers, counters and the last reload" },
    { "generations", do_ask, true, 0, "", "what lives, and what became of the last ones" },
    { "rollback", do_rollback, true, 1, "[generation]",
      "serve again what served before this, or what that generation served" },
    { "upgrade", do_ask, true, 0, "",
      "go on as the server binary that is installed now, in the same process" },
    { "reopen", do_ask, true, 0, "",
      "open the log files anew; returns when nobody writes to the old ones" },
    { "top", do_top, true, 0, "[-n N] [-i SECONDS]", "a live view; N samples as plain lines" },
    { "tail", do_tail, true, 1, "[error|access|PATH] [-n N]", "follow the logs, over reloads" },
    { "logs", do_ask, true, 0, "", "the log files of the serving configuration" },
    { "certs", do_ask, true, 0, "", "take renewed certificates and keys, without a reload" },
    { "routes", do_routes, true, 1, "[PATH] [--method M] [--host H]",
      "what would answer, and why; without PATH all routes" },
    { "rotate-ticket-keys", do_ask, true, 0, "", "TLS session ticket keys: the next one, now" },
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static int usage(int code)
{
    FILE *out = code == VERB_DONE ? stdout : stderr;

    (void)fputs("Usage: instarctl [-d directory] [-f file] [-D name] [-c \"directive\"] [--json]"
                " verb\n",
                out);
    for (size_t i = 0; i < VERBS; i++) {
        if (verbs[i].syntax[0]) {
            (void)fprintf(out, "  %s %s\n%21s%s\n", verbs[i].name, verbs[i].syntax, "",
                          verbs[i].help);
        }
        else {
            (void)fprintf(out, "  %-18s %s\n", verbs[i].name, verbs[i].help);
        }
    }
    (void)fputs("Exit status: 0 done, 1 refused or failed, 2 usage, 3 not running,\n"
                "             4 already running\n",
                out);
    return code;
}

/* What is wrong comes first: behind the list nobody would look for it. */
__attribute__((format(printf, 1, 2))) static int misused(const char *format, ...)
{
    va_list args;

    (void)fputs("instarctl: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputs("\n", stderr);
    return usage(VERB_USAGE);
}

/* For completion in shells. */
static int list_verbs(void)
{
    for (size_t i = 0; i < VERBS; i++) {
        (void)printf("%s\t%s\n", verbs[i].name, verbs[i].help);
    }
    return VERB_DONE;
}

static int run_verb(struct request *r)
{
    struct whereabouts w;

    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, r->verb) != 0) {
            continue;
        }
        if (r->operand_count > verbs[i].operands) {
            return misused("%s takes %s: what is \"%s\"?", r->verb,
                           verbs[i].operands > 0 ? "one argument" : "no argument",
                           r->operands[verbs[i].operands]);
        }
        whereabouts_find(&w, &r->cli.conf, r->cli.pool);
        if (verbs[i].needs_server && w.pid == 0) {
            return cli_problem(&r->cli, VERB_NOT_RUNNING, "the server is not running (%s)",
                               w.pid_file);
        }
        return verbs[i].act(r, &w);
    }
    return misused("there is no verb \"%s\"", r->verb);
}

/* ---- Options ----------------------------------------------------------- */

enum { OPTION_JSON = 256, OPTION_VERSION, OPTION_METHOD, OPTION_HOST, OPTION_VERBS };

static const struct option long_options[] = { { "json", no_argument, NULL, OPTION_JSON },
                                              { "verbs", no_argument, NULL, OPTION_VERBS },
                                              { "method", required_argument, NULL, OPTION_METHOD },
                                              { "host", required_argument, NULL, OPTION_HOST },
                                              { "help", no_argument, NULL, 'h' },
                                              { "version", no_argument, NULL, OPTION_VERSION },
                                              { NULL, 0, NULL, 0 } };

static bool take_count(struct request *r, const char *arg)
{
    char *end;
    long count = strtol(arg, &end, 10);

    r->count = (int)count;
    return end != arg && *end == '\0' && count >= 0 && count <= INT_MAX;
}

static bool take_interval(struct request *r, const char *arg)
{
    char *end;

    r->interval = strtod(arg, &end);
    return end != arg && *end == '\0' && r->interval >= 0.01 && r->interval <= 3600;
}

/* -1: go on; else the exit code. */
static int take_option(struct request *r, int option, const char *arg)
{
    switch (option) {
    case OPTION_JSON:
        r->cli.json = true;
        return -1;
    case OPTION_VERBS:
        return list_verbs();
    case OPTION_METHOD:
        r->method = arg;
        return -1;
    case OPTION_HOST:
        r->host = arg;
        return -1;
    case 'n':
        return take_count(r, arg) ? -1 : misused("-n %s: is no number from 0 on", arg);
    case 'i':
        return take_interval(r, arg) ? -1 : misused("-i %s: must be 0.01 to 3600 seconds", arg);
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
    while ((option = getopt_long(argc, argv, "d:f:D:c:n:i:hv", long_options, NULL)) != -1) {
        code = take_option(r, option, optarg);
        if (code >= 0) {
            return code;
        }
    }
    if (optind >= argc) {
        return misused("a verb is missing");
    }
    r->verb = argv[optind];
    r->operands = argv + optind + 1;
    r->operand_count = argc - optind - 1;
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
    r.count = -1;
    r.interval = 1;
    r.passed_on = apr_array_make(pool, 8, sizeof(const char *));
    code = take_options(&r, argc, argv);
    return code >= 0 ? code : run_verb(&r);
}
