/* SPDX-License-Identifier: Apache-2.0 */
/* instar: the command line, which is httpd's, and the one place that knows both
 * the master and what it starts. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>
#include <apr_version.h>
#include <apu_version.h>

#include "cli.h"
#include "detach.h"
#include "generation/generation.h"
#include "master/activation.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/signals.h"
#include "master/upgrade.h"
#include "master/verbs.h"
#include "util/log.h"
#include "util/role.h"

static const struct launch_ops ops = { .run = generation_run, .run_single = generation_run_single };

struct command {
    struct cli cli;
    struct master_options master;
    const char *verb; /* -k */
    bool check, single;
    enum launch_dump dump;
};

/* ---- Words ------------------------------------------------------------- */

static int usage(int code)
{
    (void)fputs("Usage: instar [-D name] [-d directory] [-f file]\n"
                "              [-c \"directive\"] [-e level]\n"
                "              [-k start|restart|graceful|graceful-stop|stop|configtest]\n"
                "              [-v] [-V] [-h] [-t] [-S] [-M] [-L] [-X]\n"
                "Options:\n"
                "  -D name        : define a name for <IfDefine name> (FOREGROUND: do not detach)\n"
                "  -d directory   : another initial ServerRoot\n"
                "  -f file        : another configuration (relative to the ServerRoot)\n"
                "  -c \"directive\" : process directive after reading the configuration\n"
                "  -e level       : LogLevel while starting\n"
                "  -k verb        : start, or tell the running server\n"
                "  -t             : check the configuration and try the modules\n"
                "  -S             : show the virtual hosts\n"
                "  -M             : show the modules\n"
                "  -L             : show all directives\n"
                "  -X             : one worker, no fork, foreground: for a debugger\n"
                "  -v             : show the version\n"
                "  -V             : show the version and the compile settings\n"
                "  -h             : show these options\n",
                code == VERB_DONE ? stdout : stderr);
    return code;
}

static int show_version(void)
{
    (void)printf("Server version: Instar/%s (Unix)\n"
                 "Server built:   %s %s\n",
                 INSTAR_VERSION, __DATE__, __TIME__);
    return VERB_DONE;
}

static int show_settings(struct command *c)
{
    struct whereabouts w;

    whereabouts_find(&w, &c->cli.conf, c->cli.pool);
    (void)show_version();
    (void)printf("Server's Module Magic Number: %d\n"
                 "Server loaded:  APR %s, APR-UTIL %s\n"
                 "Compiled using: APR %s, APR-UTIL %s\n"
                 "Architecture:   %d-bit\n"
                 "Server MPM:     instar\n"
                 "  threaded:     yes\n"
                 "    forked:     yes\n"
                 "Server compiled with....\n",
                 INS_API_VERSION, apr_version_string(), apu_version_string(), APR_VERSION_STRING,
                 APU_VERSION_STRING, (int)(8 * sizeof(void *)));
    (void)printf(" -D HTTPD_ROOT=\"%s\"\n"
                 " -D DEFAULT_PIDLOG=\"%s\"\n"
                 " -D DEFAULT_CONTROL_SOCKET=\"%s\"\n"
                 " -D SERVER_CONFIG_FILE=\"%s\"\n",
                 INSTAR_PREFIX, w.pid_file, w.control_socket, INSTAR_SYSCONFDIR "/instar.conf");
    return VERB_DONE;
}

/* ---- What an upgrade executes -------------------------------------------- */

/* As it was called, so that a new file at the same place is found; by its place where it
 * was looked up in PATH. */
static const char *own_path(const char *name, apr_pool_t *pool)
{
    char place[PATH_MAX];
    ssize_t n;

    if (name[0] == '/') {
        return name;
    }
    if (strchr(name, '/') != NULL && getcwd(place, sizeof(place)) != NULL) {
        return apr_pstrcat(pool, place, "/", name, NULL);
    }
    n = readlink("/proc/self/exe", place, sizeof(place) - 1);
    return n > 0 ? apr_pstrmemdup(pool, place, (apr_size_t)n) : name;
}

/* -1: none. */
static int descriptor(const char *text)
{
    char *end;
    long fd = text != NULL ? strtol(text, &end, 10) : -1;

    return text != NULL && end != text && *end == '\0' && fd > STDERR_FILENO && fd < INT_MAX
               ? (int)fd
               : -1;
}

/* -1: this is an ordinary start. */
static int resume(const struct command *c, char *const *argv)
{
    int fd = descriptor(getenv(UPGRADE_VARIABLE));

    (void)unsetenv(UPGRADE_VARIABLE);
    return fd >= 0 ? master_resume(fd, c->cli.conf.prefix, argv, &ops) : -1;
}

/* ---- -k ---------------------------------------------------------------- */

static int start(struct command *c)
{
    /* Here and not in the master: what was passed on was passed to this process. */
    notify_take_environment();
    activation_take_environment();
    return c->master.foreground ? master_run(&c->master, &ops)
                                : detach_start(&c->cli, &c->master, &ops);
}

static int do_start(struct command *c, const struct whereabouts *w)
{
    if (w->pid != 0) {
        return cli_problem(&c->cli, VERB_RUNNING, "the server is running already (pid %d, %s)",
                           (int)w->pid, w->pid_file);
    }
    return start(c);
}

static int tell_or_start(struct command *c, const struct whereabouts *w)
{
    return w->pid != 0 ? cli_ask(&c->cli, w, c->verb) : start(c);
}

static int not_running(struct command *c, const struct whereabouts *w)
{
    return cli_problem(&c->cli, VERB_NOT_RUNNING, "the server is not running (%s)", w->pid_file);
}

static int do_stop(struct command *c, const struct whereabouts *w)
{
    return w->pid != 0 ? cli_stop(&c->cli, w) : not_running(c, w);
}

static int do_graceful_stop(struct command *c, const struct whereabouts *w)
{
    return w->pid != 0 ? cli_ask(&c->cli, w, c->verb) : not_running(c, w);
}

static int do_check(struct command *c, const struct whereabouts *w)
{
    (void)w;
    return master_check(&c->master, &ops, c->dump);
}

static const struct {
    const char *name;
    int (*act)(struct command *c, const struct whereabouts *w);
} verbs[] = {
    { "start", do_start },         { "restart", tell_or_start },
    { "graceful", tell_or_start }, { "graceful-stop", do_graceful_stop },
    { "stop", do_stop },           { "configtest", do_check },
};

static int run_verb(struct command *c)
{
    struct whereabouts w;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, c->verb) == 0) {
            whereabouts_find(&w, &c->cli.conf, c->cli.pool);
            return verbs[i].act(c, &w);
        }
    }
    (void)fprintf(stderr, "instar: -k does not know \"%s\"\n", c->verb);
    return usage(VERB_USAGE);
}

/* ---- Options ----------------------------------------------------------- */

enum { OPTION_JSON = 256, OPTION_COLOUR, OPTION_WORDS, OPTION_READ_STATE };

/* For instarctl, which hands some verbs on; not for people. */
static const struct option long_options[] = { { "json", no_argument, NULL, OPTION_JSON },
                                              { "colour", no_argument, NULL, OPTION_COLOUR },
                                              { "words", no_argument, NULL, OPTION_WORDS },
                                              { "read-state", required_argument, NULL,
                                                OPTION_READ_STATE },
                                              { "help", no_argument, NULL, 'h' },
                                              { NULL, 0, NULL, 0 } };

static void check_and_dump(struct command *c, enum launch_dump dump)
{
    c->check = true;
    c->dump = dump != DUMP_NOTHING ? dump : c->dump;
}

static void define(struct command *c, const char *name)
{
    static const struct {
        const char *name;
        enum launch_dump dump;
    } dumps[] = { { "DUMP_VHOSTS", DUMP_HOSTS },
                  { "DUMP_MODULES", DUMP_MODULES },
                  { "DUMP_DIRECTIVES_MD", DUMP_DIRECTIVES_MD },
                  { "DUMP_DIRECTIVES_MAN", DUMP_DIRECTIVES_MAN } };

    (void)cli_option(&c->cli, 'D', name);
    c->master.foreground = c->master.foreground || strcmp(name, "FOREGROUND") == 0;
    for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
        if (strcmp(dumps[i].name, name) == 0) {
            check_and_dump(c, dumps[i].dump);
        }
    }
}

static bool set_level(const char *name)
{
    int level = log_level_from_name(name);

    if (level < 0) {
        (void)fprintf(stderr, "instar: -e does not know the level \"%s\"\n", name);
        return false;
    }
    log_set_level((ins_level)level);
    return true;
}

/* -1: go on; else the exit code. */
static int take_option(struct command *c, int option, const char *arg)
{
    switch (option) {
    case 'D':
        define(c, arg);
        return -1;
    case 'k':
        c->verb = arg;
        return -1;
    case 'e':
        return set_level(arg) ? -1 : VERB_USAGE;
    case 't':
        check_and_dump(c, DUMP_NOTHING);
        return -1;
    case 'S':
        check_and_dump(c, DUMP_HOSTS);
        return -1;
    case 'M':
        check_and_dump(c, DUMP_MODULES);
        return -1;
    case 'L':
        check_and_dump(c, DUMP_DIRECTIVES);
        return -1;
    case 'X':
        c->single = true;
        return -1;
    case 'v':
        return show_version();
    case 'V':
        return show_settings(c);
    case 'h':
        return usage(VERB_DONE);
    case OPTION_JSON:
        c->cli.json = true;
        return -1;
    case OPTION_COLOUR:
        c->cli.colour = true;
        return -1;
    case OPTION_READ_STATE:
        return master_read_state(descriptor(arg));
    case OPTION_WORDS:
        c->cli.words = true;
        return -1;
    default:
        return cli_option(&c->cli, option, arg) ? -1 : usage(VERB_USAGE);
    }
}

static int take_options(struct command *c, int argc, char **argv)
{
    int option, code;

    while ((option = getopt_long(argc, argv, "D:d:f:c:k:e:tSMLXvVh", long_options, NULL)) != -1) {
        code = take_option(c, option, optarg);
        if (code >= 0) {
            return code;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "instar: what is \"%s\"?\n", argv[optind]);
        return usage(VERB_USAGE);
    }
    c->master.conf = c->cli.conf;
    c->master.json = c->cli.json;
    c->master.colour = c->cli.colour;
    return -1;
}

int main(int argc, char **argv)
{
    struct command c = { .master = { .report_fd = -1 } };
    apr_pool_t *pool;
    int code;

    signals_block();
    cli_open_streams();
    role_init(argc, argv);
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return VERB_REFUSED;
    }
    cli_init(&c.cli, pool);
    code = resume(&c, argv);
    if (code >= 0) {
        return code;
    }
    c.master.binary = own_path(argv[0], pool);
    c.master.argv = argv;
    /* The first process of a container has nobody to return to. */
    c.master.foreground = getpid() == 1;
    code = take_options(&c, argc, argv);
    if (code >= 0) {
        return code;
    }
    if (c.check) {
        return master_check(&c.master, &ops, c.dump);
    }
    if (c.single) {
        return master_single(&c.master, &ops);
    }
    c.verb = c.verb != NULL ? c.verb : "start";
    return run_verb(&c);
}
