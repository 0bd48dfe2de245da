/* SPDX-License-Identifier: Apache-2.0 */
/* Loading an app in a process of its own, as a generation does: what goes wrong
 * in module code or in the config is said, at its place, and nothing goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "generation/app.h"
#include "generation_fixture.h"
#include "scoreboard/scoreboard.h"
#include "util/log.h"
#include "util/role.h"

#define FINE "INS_MODULE(fine_module) = { INS_MODULE_HEADER };"
#define MODULE(members) "INS_MODULE(odd_module) = { INS_MODULE_HEADER, " members " };"
#define POST_CONFIG(body)                                                                          \
    "static int post(apr_pool_t *p, ins_server *s) { " body " }" MODULE(".post_config = post")
#define THREAD                                                                                     \
    "#include <pthread.h>\n#include <unistd.h>\nstatic void *run(void *p) { sleep(60); return p; " \
    "}"                                                                                            \
    "static void start(void) { pthread_t t; pthread_create(&t, 0, run, 0); }"

static apr_pool_t *pool;

static int set_up(void **state)
{
    (void)state;
    log_set_level(INS_CRIT);
    return apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS ||
           fixture_open() != 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close();
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

/* Loads in a child; what it reports as text, "crashed: DOING" where it is gone
 * without a word, "" where all is well. */
static const char *load(struct launch *launch)
{
    int fd = memfd_create("diags", MFD_CLOEXEC), status;
    struct diags *diags = diags_create(pool);
    const int keep[] = { fd, launch->build_dir };
    pid_t pid = fork_role("instar: generation", keep, 2, true);

    if (pid == 0) {
        struct app *app;

        (void)alarm(20);
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        app = app_load(launch, diags, pool);
        if (app ? diags->errors > 0 : diags->errors == 0) {
            _exit(3);
        }
        _exit(diags_write(diags, fd) == 0 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)kill(-pid, SIGKILL);
    if (status != 0) {
        return apr_psprintf(pool, "crashed: %s", sb_generation_find(launch->board, 7)->doing);
    }
    assert_int_equal(diags_read(diags, fd), 0);
    (void)close(fd);
    return diags_text(diags, false, pool);
}

static void assert_has(const char *name, const char *text, const char *wanted)
{
    if (*wanted ? !strstr(text, wanted) : *text) {
        fail_msg("%s: wanted \"%s\", was told \"%s\"", name, wanted, text);
    }
}

static const struct {
    const char *name, *source, *says;
} odd_modules[] = {
    { "a fine module", MODULE(".handlers = 0"), "" },
    { "no structure", "int other;", "exports no symbol odd_module" },
    { "a function of that name", "INS_EXPORT int odd_module(void) { return 0; }",
      "is not a module of this server" },
    { "a number of that name", "INS_EXPORT int odd_module = 5;", "is not a module of this server" },
    { "zeros", "INS_MODULE(odd_module) = { 0 };", "is not a module of this server" },
    { "another API version",
      "INS_MODULE(odd_module) = { .magic = INS_MAGIC, .api_version = 9, .size = sizeof(ins_module) "
      "};",
      "module API version 9, this server has version 1" },
    { "another layout",
      "INS_MODULE(odd_module) = { .magic = INS_MAGIC, .api_version = INS_API_VERSION, .size = 8 };",
      "has another layout" },
    { "an undefined symbol", "void gone(void);" POST_CONFIG("gone(); return 0;"),
      "undefined symbol: gone" },
    { "a constructor that crashes",
      "__attribute__((constructor)) static void c(void) { *(volatile int *)8 = 1; }" MODULE(""),
      "crashed: loading odd_module (" },
    { "a constructor that exits",
      "#include <stdlib.h>\n__attribute__((constructor)) static void c(void) { _Exit(1); }" MODULE(
          ""),
      "crashed: loading odd_module (" },
    { "a constructor that leaves a thread",
      THREAD "__attribute__((constructor)) static void c(void) { start(); }" MODULE(""),
      "odd_module leaves a thread behind when it is loaded" },
    { "a constructor that leaves a process",
      "#include <unistd.h>\n__attribute__((constructor)) static void c(void) {"
      " if (fork() == 0) { sleep(60); _exit(0); } }" MODULE(""),
      "odd_module leaves a process behind when it is loaded" },
    { "a constructor that forks and lets both go on",
      "#include <unistd.h>\n__attribute__((constructor)) static void c(void) {"
      " if (fork() > 0) { usleep(1); } }" MODULE(""),
      "" },
    { "set-up that refuses",
      POST_CONFIG("ins_log(0, INS_ERR, \"the moon is %s\", \"full\"); return 5;"),
      "error: odd_module refuses to start (post_config returned 5): the moon is full" },
    { "set-up that crashes", POST_CONFIG("*(volatile int *)8 = 1; return 0;"),
      "crashed: setting up odd_module" },
    { "set-up that leaves a thread", THREAD POST_CONFIG("start(); return 0;"),
      "odd_module leaves a thread behind in post_config" },
    { "a thread left behind when a config is created",
      THREAD "static void *make(apr_pool_t *p, ins_server *s) { start(); return 0; }" MODULE(
          ".create_server = make"),
      "odd_module leaves a thread behind when its configuration is created" },
    { "set-up that waits for its child",
      "#include <unistd.h>\n#include <sys/wait.h>\n" POST_CONFIG(
          "if (fork() == 0) _exit(0); wait(0); return 0;"),
      "" },
    { "set-up that leaves a daemon",
      "#include <unistd.h>\n#include <sys/wait.h>\n" POST_CONFIG(
          "if (fork() == 0) { if (fork() == 0) { setsid(); sleep(3); } _exit(0); } wait(0); return "
          "0;"),
      "odd_module leaves a process behind in post_config" },
};

static void odd_modules_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(odd_modules) / sizeof(odd_modules[0]); i++) {
        const struct test_module list[] = { { "fine_module", FINE },
                                            { "odd_module", odd_modules[i].source },
                                            { NULL, NULL } };
        const char *text = load(fixture_launch("", list, pool));

        if (strcmp(odd_modules[i].name, "a constructor that forks and lets both go on") == 0) {
            /* a matter of luck whether the child was still there */
            assert_null(strstr(text, "crashed"));
            continue;
        }
        assert_has(odd_modules[i].name, text, odd_modules[i].says);
        if (*text && strncmp(text, "crashed", 7) != 0) {
            assert_non_null(strstr(text, "test.conf:2:1: error: "));
            assert_non_null(strstr(text, "    LoadModule odd_module 1.c\n    ^\n"));
        }
    }
}

static void a_fork_bomb_ends(void **state)
{
    static const struct test_module list[] = {
        { "odd_module", "#include <unistd.h>\n__attribute__((constructor)) static void c(void) {"
                        " for (int i = 0; i < 2000; i++) { pid_t p = fork(); if (p < 0) _exit(7);"
                        " if (p == 0) { sleep(60); _exit(0); } } }" MODULE("") },
        { NULL, NULL }
    };

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_has("fork bomb", load(fixture_launch("", list, pool)), "crashed: loading odd_module");
}

static void all_errors_are_reported_in_one_run(void **state)
{
    static const struct test_module list[] = {
        { "fine_module",
          "struct c { int n; };"
          "static void *create(apr_pool_t *p, ins_server *s) "
          "{ static struct c c; return &c; }"
          "INS_MODULE(fine_module) = { INS_MODULE_HEADER, .create_server = create,"
          ".directives = (const ins_directive[]) { INS_INT(\"FineNumber\", struct c, "
          "n, 1, 9, \"1\", INS_IN_SERVER, \"a number\"), { 0 } } };" },
        { NULL, NULL }
    };
    static const char text[] = "FineNumber 10\n"
                               "FineNumbr 5\n"
                               "KeepAlive perhaps\n"
                               "<Location /a>\n"
                               "  FineNumber 5\n"
                               "  <VirtualHost *:80>\n"
                               "  </VirtualHost>\n"
                               "</Location>\n"
                               "<Nothing>\n"
                               "</Nothing>\n"
                               "Route GET /x nobody\n"
                               "fineNUMBER 5\n";
    const char *told = load(fixture_launch(text, list, pool));

    (void)state;
    assert_has("out of range", told, "test.conf:2:");
    assert_has("unknown", told, "test.conf:3:1: error: ");
    assert_has("nearest", told, "FineNumber");
    assert_has("bad flag", told, "test.conf:4:");
    assert_has("wrong place", told, "test.conf:6:");
    assert_has("container", told, "<VirtualHost> may not stand inside <Location>");
    assert_has("unknown container", told, "test.conf:10:");
    assert_has("unknown handler", told, "test.conf:12:");
    assert_null(strstr(told, "test.conf:13:"));
}

static void what_was_not_built_makes_no_unknown_directives(void **state)
{
    static const struct test_module list[] = { { "gone_module", NULL }, { NULL, NULL } };
    struct launch *launch =
        fixture_launch("GoneThing 5\nKeepAlive perhaps\nKeepAlvie On\n", list, pool);
    const char *told;

    (void)state;
    launch->check_only = true;
    told = load(launch);
    assert_null(strstr(told, "GoneThing"));
    assert_has("others are checked", told, "test.conf:3:");
    assert_has("misspelt", told, "test.conf:4:");
}

static void a_config_test_sets_nothing_up(void **state)
{
    static const struct test_module list[] = { { "odd_module", POST_CONFIG("return 5;") },
                                               { NULL, NULL } };
    struct launch *launch = fixture_launch("", list, pool);

    (void)state;
    launch->check_only = true;
    assert_string_equal(load(launch), "");
}

/* The module prints what it got into the error that it returns. */
static const char merging[] =
    "struct c { const char *w; };\n"
    "#include <stdio.h>\n#include <stdlib.h>\n"
    "static void *make(void) { return calloc(1, sizeof(struct c)); }\n"
    "static void *cs(apr_pool_t *p, ins_server *s) { return make(); }\n"
    "static void *cl(apr_pool_t *p, const char *path) { return make(); }\n"
    "static void *merge(apr_pool_t *p, void *b, void *o) { struct c *m = make();\n"
    "  char *t = malloc(99); struct c *x = b, *y = o;\n"
    "  snprintf(t, 99, \"%s+%s\", x->w ? x->w : \"-\", y->w ? y->w : \"-\"); m->w = t; return m; "
    "}\n"
    "ins_module odd_module;\n"
    "static const char *w(void *c) { struct c *x = c; return x && x->w ? x->w : \"-\"; }\n"
    "static int post(apr_pool_t *p, ins_server *s) {\n"
    "  ins_server *v = s->next, *u = v->next; int i = odd_module.index;\n"
    "  ins_log(0, INS_ERR, \"S %s %s %s L %s %s %s\", w(s->module_config[i]), "
    "w(v->module_config[i]),\n"
    "    w(u->module_config[i]), w(s->lookup_defaults[i]), w(v->lookup_defaults[i]),\n"
    "    w(u->lookup_defaults[i])); return 1; }\n"
    "INS_EXPORT ins_module odd_module = { INS_MODULE_HEADER, .create_server = cs,\n"
    "  .merge_server = merge, .create_location = cl, .merge_location = merge,\n"
    "  .post_config = post, .directives = (const ins_directive[]) {\n"
    "  INS_STRING(\"SWord\", struct c, w, 0, INS_IN_SERVER, \"x\"),\n"
    "  INS_STRING(\"LWord\", struct c, w, 0, INS_IN_SERVER | INS_IN_LOCATION, \"x\"), { 0 } } };\n";

static void configs_merge_as_in_httpd(void **state)
{
    static const struct test_module list[] = { { "odd_module", merging }, { NULL, NULL } };
    static const char text[] = "SWord main\nLWord mainloc\n"
                               "<VirtualHost *:80>\nServerName a\nSWord a\n</VirtualHost>\n"
                               "<VirtualHost *:80>\nServerName b\nLWord b\n"
                               "<Location /x>\nLWord deep\n</Location>\n</VirtualHost>\n";

    (void)state;
    assert_has("merge", load(fixture_launch(text, list, pool)),
               "S main main+a main L mainloc mainloc mainloc+b");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_modules_are_named),
        cmocka_unit_test(a_fork_bomb_ends),
        cmocka_unit_test(all_errors_are_reported_in_one_run),
        cmocka_unit_test(what_was_not_built_makes_no_unknown_directives),
        cmocka_unit_test(a_config_test_sets_nothing_up),
        cmocka_unit_test(configs_merge_as_in_httpd),
    };

    role_init(argc, argv);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
