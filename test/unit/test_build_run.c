/* SPDX-License-Identifier: Apache-2.0 */
/* What compilers do, and what is done with them: words, limits, the jail. */
#include "builder_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_strings.h>

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int build_text(struct site *site, const char *text)
{
    site_write(site, "modules/a.c", text);
    site_config(site, "BuildTimeout 20s\nLoadModule a_module modules/a.c\n");
    return site_build(site);
}

static void errors_have_their_place(void **state)
{
    struct site *site = *state;

    assert_int_equal(build_text(site, "#include <instar.h>\n\nint broken(void) { return x; }\n"),
                     -1);
    site_expect(site, "a.c", 3, "'x' undeclared");
    assert_int_equal(site->diags->first->column, 27);
    assert_non_null(strstr(site->diags->first->excerpt, "return x;"));
    assert_non_null(strstr(site->list->output, "\033["));
    assert_string_equal(site->list->output, site->diags->output);
    assert_null(site->list->list[0].object);
    assert_int_equal(site->failed, 1);
    assert_int_equal(site_count(site, ".so"), 0);
    assert_int_equal(site_count(site, "work."), 0);
}

static void an_undeclared_function_is_an_error_at_its_line(void **state)
{
    assert_int_equal(build_text(*state, "int f(void);\nint f(void) { return no_such(1); }\n"), -1);
    site_expect(*state, "a.c", 2, "no_such");
}

static void the_linker_is_heard(void **state)
{
    struct site *site = *state;

    site_write(site, "modules/a.c", site_module(site, "a_module", "x"));
    site_config(site, "ModuleLibs a_module -lno_such_library\nLoadModule a_module modules/a.c\n");
    assert_int_equal(site_build(site), -1);
    site_expect(site, "instar.conf", 3, "cannot find -lno_such_library");
    site_write(site, "modules/b.c", "int f(void) { return 1; }\n");
    site_write(site, "modules/a.c", "int f(void);\nint f(void) { return 1; }\n");
    site_config(site, "LoadModule a_module modules/a.c modules/b.c\n");
    assert_int_equal(site_build(site), -1);
    site_expect(site, "b.c", 1, "multiple definition of `f'");
}

static void warnings_are_passed_on_once(void **state)
{
    struct site *site = *state;
    const char *text =
        apr_pstrcat(site->pool, "static int unused;\n", site_module(site, "a_module", "x"), NULL);

    assert_int_equal(build_text(site, text), 1);
    assert_int_equal(site->diags->warnings, 1);
    assert_int_equal(site->diags->errors, 0);
    assert_non_null(strstr(site->list->output, "unused"));
    assert_int_equal(site_build(site), 0);
    assert_null(site->list->output);
}

static void one_broken_module_does_not_waste_the_others(void **state)
{
    struct site *site = *state;

    site_write(site, "modules/a.c", site_module(site, "a_module", "x"));
    site_write(site, "modules/b.c", "broken\n");
    site_config(site, "LoadModule a_module modules/a.c\nLoadModule b_module modules/b.c\n");
    assert_int_equal(site_build(site), -1);
    assert_int_equal(site->failed, 1);
    site_write(site, "modules/b.c", site_module(site, "b_module", "x"));
    assert_int_equal(site_build(site), 1);
    assert_false(site->list->list[0].compiled);
}

static void missing_sources_are_named_at_their_line(void **state)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        { "LoadModule a_module modules/none.c", "there is no " },
        { "LoadModule a_module modules/empty", "there is no C source in the folder " },
        { "LoadModule a_module modules/a.txt", "is not a source" },
        { "LoadModule a_module modules/pipe.c", "is neither a file nor a folder" },
        { "LoadModule a_module modules/a.c modules/a.c", "is named twice" },
    };
    struct site *site = *state;

    assert_int_equal(mkdir(site_path(site, "modules/empty"), 0755), 0);
    assert_int_equal(mkfifo(site_path(site, "modules/pipe.c"), 0644), 0);
    site_write(site, "modules/a.txt", "words");
    site_write(site, "modules/a.c", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        site_config(site, apr_pstrcat(site->pool, cases[i].line, "\n", NULL));
        assert_int_equal(site_build(site), -1);
        assert_int_equal(site->list->needed, 0);
        site_expect(site, "instar.conf", 2, cases[i].words);
    }
}

static void a_compiler_that_is_not_there_is_named(void **state)
{
    struct site *site = *state;

    site_write(site, "modules/a.c", site_module(site, "a_module", "x"));
    site_config(site, "ModuleCompiler no-such-cc\nLoadModule a_module modules/a.c\n");
    assert_int_equal(site_build(site), -1);
    site_expect(site, "instar.conf", 2, "no-such-cc cannot be used: there is no such program");
    site_write(site, "cc", "#!/bin/sh\nexit 0\n");
    assert_int_equal(chmod(site_path(site, "cc"), 0755), 0);
    site_config(site, apr_psprintf(site->pool,
                                   "ModuleCompiler %s/cc\n"
                                   "LoadModule a_module modules/a.c\n",
                                   site->root));
    assert_int_equal(site_build(site), -1);
    site_expect(site, "instar.conf", 2, "/cc cannot be used: its --version says nothing");
}

/* A compiler of our own, to see what one may do. */
static void wrapper(struct site *site, const char *script, const char *lines)
{
    site_write(site, "modules/a.c", site_module(site, "a_module", "x"));
    site_write(site, "cc",
               apr_pstrcat(site->pool, "#!/bin/bash\n[ \"$1\" = --version ] && exec echo test 1\n",
                           script, "\nexec gcc \"$@\"\n", NULL));
    assert_int_equal(chmod(site_path(site, "cc"), 0755), 0);
    site_config(site, apr_psprintf(site->pool,
                                   "ModuleCompiler %s/cc\n%s\nLoadModule a_module modules/a.c\n",
                                   site->root, lines));
}

/* Sleepers with this argument. */
static int count_sleepers(const char *seconds)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir))) {
        char path[300], text[64] = "";
        int fd;

        snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            ssize_t n = read(fd, text, sizeof(text) - 1);

            count += n > 6 && memcmp(text, "sleep", 6) == 0 && strcmp(text + 6, seconds) == 0;
            close(fd);
        }
    }
    closedir(dir);
    return count;
}

/* Killed is not yet gone: a moment for the kernel. */
static void expect_no_sleepers(const char *seconds)
{
    for (int i = 0; i < 100 && count_sleepers(seconds) > 0; i++) {
        usleep(20000);
    }
    assert_int_equal(count_sleepers(seconds), 0);
}

static void a_compiler_that_never_ends_is_ended_with_all_its_children(void **state)
{
    struct site *site = *state;
    int64_t began = now_ms();

    wrapper(site, "(sleep 7531 &)\nsetsid sleep 7531 &\nsleep 7531", "BuildTimeout 300ms");
    assert_int_equal(site_build(site), -1);
    assert_in_range(now_ms() - began, 300, 3000);
    site_expect(site, "instar.conf", 4, "a_module was not compiled within BuildTimeout (300 ms)");
    expect_no_sleepers("7531");
    assert_int_equal(site_count(site, "work."), 0);
    assert_int_equal(site_count(site, ".so"), 0);
}

static void children_that_a_compiler_leaves_behind_are_ended(void **state)
{
    struct site *site = *state;

    wrapper(site, "sleep 7532 >/dev/null 2>&1 &\nsleep 7532 &", "");
    assert_int_equal(site_build(site), 1);
    expect_no_sleepers("7532");
}

static void giving_up_ends_everything(void **state)
{
    struct site *site = *state;
    pid_t pid;
    int fd;

    wrapper(site, "sleep 7533 &\nsleep 7533", "");
    site_plan(site);
    site_start(site, &pid, &fd);
    for (int i = 0; i < 100 && count_sleepers("7533") < 2; i++) {
        usleep(20000);
    }
    assert_int_equal(count_sleepers("7533"), 2);
    site_finish(site, pid, fd);
    assert_int_equal(site->failed, 1);
    expect_no_sleepers("7533");
    assert_int_equal(site_count(site, "work."), 0);
    site_expect(site, "instar.conf", 4, "was not compiled: the builder process was ended");
}

static void a_fork_bomb_is_bounded(void **state)
{
    struct site *site = *state;
    int64_t began = now_ms();

    /* Bounded by itself too, should the builder fail to end it. */
    wrapper(site, "bomb() { [ $SECONDS -lt 8 ] || exit; sleep 7534 & bomb & sleep 1; bomb; }\nbomb",
            "BuildTimeout 500ms");
    assert_int_equal(site_build(site), -1);
    assert_in_range(now_ms() - began, 400, 8000);
    expect_no_sleepers("7534");
}

static void memory_is_bounded(void **state)
{
    struct site *site = *state;

    site_write(site, "modules/a.c", "#include \"/dev/zero\"\n");
    site_config(site, "BuildMemoryLimit 200M\nBuildTimeout 20s\nLoadModule a_module modules/a.c\n");
    assert_int_equal(site_build(site), -1);
    site_write(site, "modules/a.c",
               "#define A(x) x x x x x x x x x x x x x x x x\n"
               "#define B(x) A(A(A(A(A(A(A(x)))))))\n"
               "const char *text = B(B(\"0123456789\"));\n");
    assert_int_equal(site_build(site), -1);
    site_expect(site, "instar.conf", 4, "BuildMemoryLimit is the bound");
}

static void words_are_bounded(void **state)
{
    struct site *site = *state;

    wrapper(site, "yes 'a.c:1:1: error: words without end' | head -c 20000000 >&2; exit 1", "");
    assert_int_equal(site_build(site), -1);
    assert_true(strlen(site->list->output) <= 1 << 20);
    assert_non_null(strstr(site->list->output, "the rest is cut"));
    assert_in_range(site->diags->errors, 1, 101);
    site_expect(site, "a.c", 1, "words without end");
}

static void standard_input_is_empty(void **state)
{
    assert_int_equal(build_text(*state, "#include \"/dev/stdin\"\nint x;\n"), 1);
}

/* Runs a script as the compiler; what it prints is the output. */
static const char *spy(struct site *site, const char *script)
{
    wrapper(site, apr_pstrcat(site->pool, "{\n", script, "\n} 2>&1\nexit 1", NULL), "");
    assert_int_equal(site_build(site), -1);
    return site->list->output ? site->list->output : "";
}

static void the_jail_is_closed(void **state)
{
    struct site *site = *state;
    const char *outside = site_path(site, "outside");
    const char *words;

    assert_int_equal(mkdir(outside, 0777), 0);
    assert_int_equal(chmod(outside, 0777), 0);
    site_write(site, "outside/file", "mine\n");
    assert_int_equal(chmod(site_path(site, "outside/file"), 0666), 0);
    words = spy(site, apr_psprintf(site->pool,
                                   "grep -E 'Seccomp:|NoNewPrivs:' /proc/self/status\n"
                                   "id -u\n"
                                   "echo over > %s/file && echo wrote\n"
                                   "echo new > %s/new && echo made\n"
                                   "echo x > /tmp/instar-jail-test && echo made in tmp\n"
                                   "echo x > $TMPDIR/x && echo work is writable\n"
                                   "(exec 3<>/dev/tcp/127.0.0.1/1) || echo no network\n"
                                   "kill -0 %ld && echo can signal\n"
                                   "read line || echo no input\n",
                                   outside, outside, (long)getpid()));
    assert_non_null(strstr(words, "NoNewPrivs:\t1"));
    assert_non_null(strstr(words, "Seccomp:\t2"));
    assert_null(strstr(words, "wrote"));
    assert_null(strstr(words, "made"));
    assert_null(strstr(words, "can signal"));
    assert_non_null(strstr(words, "work is writable"));
    assert_non_null(strstr(words, "no network"));
    assert_null(strstr(words, "Connection refused"));
    assert_non_null(strstr(words, "no input"));
    if (geteuid() == 0) {
        assert_non_null(strstr(words, "\n65533\n"));
    }
}

static void the_question_for_its_version_is_jailed_too(void **state)
{
    struct site *site = *state;
    const char *outside = site_path(site, "outside");

    assert_int_equal(mkdir(outside, 0777), 0);
    assert_int_equal(chmod(outside, 0777), 0);
    site_write(site, "modules/a.c", site_module(site, "a_module", "x"));
    site_write(site, "cc",
               apr_psprintf(site->pool,
                            "#!/bin/bash\n"
                            "[ \"$1\" = --version ] || exec gcc \"$@\"\n"
                            "echo new 2>/dev/null > %s/new\n"
                            "setsid sleep 7535 >/dev/null 2>&1 &\n"
                            "sleep 7535 >/dev/null 2>&1 &\n"
                            "echo test 1\n",
                            outside));
    assert_int_equal(chmod(site_path(site, "cc"), 0755), 0);
    site_config(site,
                apr_psprintf(site->pool, "ModuleCompiler %s/cc\nLoadModule a_module modules/a.c\n",
                             site->root));
    assert_int_equal(site_build(site), 1);
    assert_int_not_equal(access(site_path(site, "outside/new"), F_OK), 0);
    expect_no_sleepers("7535");
}

static void only_named_descriptors_are_inherited(void **state)
{
    struct site *site = *state;
    int fd = open("/etc/passwd", O_RDONLY); /* without CLOEXEC, as a library may leave one */
    const char *words = spy(site, "ls -l /proc/self/fd");

    close(fd);
    assert_null(strstr(words, "/etc/passwd"));
    assert_null(strstr(words, "socket:"));
    assert_null(strstr(words, "memfd:"));
}

static void a_closed_home_does_not_hinder(void **state)
{
    struct site *site = *state;

    assert_int_equal(mkdir(site_path(site, "modules/dir"), 0755), 0);
    site_write(site, "modules/dir/word.h", "#define WORD \"one\"\n");
    site_write(site, "modules/dir/own.h", "#define OWN 1\n");
    site_write(site, "modules/a.c",
               apr_pstrcat(site->pool, "#include <word.h>\n#include \"dir/own.h\"\n",
                           site_module(site, "a_module", "\" WORD \""), NULL));
    site_config(site, apr_psprintf(site->pool,
                                   "ModuleFlags -I%s/modules/dir\n"
                                   "LoadModule a_module modules/a.c\n",
                                   site->root));
    assert_int_equal(chmod(site->root, 0700), 0);
    assert_int_equal(site_build(site), 1);
    assert_int_equal(site_build(site), 0);
    site_write(site, "modules/dir/word.h", "#define WORD \"two\"\n");
    assert_int_equal(site_build(site), 1);
    site_write(site, "modules/dir/word.h", "#define WORD \"one\"\n");
    assert_int_equal(site_build(site), 0);
    site_write(site, "modules/a.c", "#include \"dir/own.h\"\nint f = x;\n");
    assert_int_equal(site_build(site), -1);
    site_expect(site, "a.c", 2, "'x' undeclared");
    assert_null(strstr(site->list->output, "/proc/self/fd"));
    assert_non_null(strstr(site->list->output, site_path(site, "modules/a.c")));
}

/* modules/: a.c with own.h and two links to headers, none of which BuildUser may read. */
static void closed_folder(struct site *site)
{
    site_write(site, "modules/own.h", "#define OWN \"one\"\n");
    site_write(site, "outside.h", "#define OUTSIDE 1\n");
    assert_int_equal(symlink("own.h", site_path(site, "modules/same.h")), 0);
    assert_int_equal(symlink("../outside.h", site_path(site, "modules/outside.h")), 0);
    site_write(site, "modules/a.c",
               apr_pstrcat(site->pool,
                           "#include \"own.h\"\n#include \"same.h\"\n#include \"outside.h\"\n",
                           "const char *word(void);\nconst char *word(void) { return OWN; }\n",
                           site_module(site, "a_module", "x"), NULL));
    assert_int_equal(chmod(site_path(site, "modules/a.c"), 0600), 0);
    assert_int_equal(chmod(site_path(site, "modules/own.h"), 0600), 0);
    assert_int_equal(chmod(site_path(site, "modules"), 0700), 0);
    site_config(site, "LoadModule a_module modules/a.c\n");
}

static void expect_rebuilt(struct site *site)
{
    char key[BUILD_KEY_HEX];

    strcpy(key, site->list->list[0].key);
    assert_int_equal(site_build(site), 1);
    assert_string_not_equal(site->list->list[0].key, key);
    assert_int_equal(site_build(site), 0);
}

static void what_only_root_may_read_is_built(void **state)
{
    struct site *site = *state;
    char key[BUILD_KEY_HEX];

    if (geteuid() != 0) {
        skip();
    }
    closed_folder(site);
    assert_int_equal(site_build(site), 1);
    assert_null(site->list->output);
    assert_int_equal(site_count(site, "work."), 0);
    assert_int_equal(site_build(site), 0);
    site_restart(site);
    assert_int_equal(site_build(site), 0);
    site_write(site, "modules/own.h", "#define OWN \"two\"\n");
    expect_rebuilt(site);
    site_write(site, "outside.h", "#define OUTSIDE 2\n");
    expect_rebuilt(site);
    /* the same key as where it may be read */
    strcpy(key, site->list->list[0].key);
    assert_int_equal(chmod(site_path(site, "modules"), 0755), 0);
    assert_int_equal(chmod(site_path(site, "modules/a.c"), 0644), 0);
    assert_int_equal(chmod(site_path(site, "modules/own.h"), 0644), 0);
    assert_int_equal(unlink(site_path(site, apr_pstrcat(site->pool, "build/", key, ".so", NULL))),
                     0);
    assert_int_equal(site_build(site), 1);
    assert_string_equal(site->list->list[0].key, key);
}

/* Counts its runs, in what it says. */
static void a_copy_is_compiled_once(void **state)
{
    struct site *site = *state;

    if (geteuid() != 0) {
        skip();
    }
    wrapper(site, "echo run", "");
    closed_folder(site);
    site_config(site,
                apr_psprintf(site->pool, "ModuleCompiler %s/cc\nLoadModule a_module modules/a.c\n",
                             site->root));
    assert_int_equal(site_build(site), 1);
    assert_string_equal(site->list->output, "run\n");
}

static void errors_in_copies_have_their_real_place(void **state)
{
    struct site *site = *state;
    const char *real = site_path(site, "modules/own.h");

    if (geteuid() != 0) {
        skip();
    }
    closed_folder(site);
    site_write(site, "modules/own.h", "\nint broken(void) { return x; }\n");
    assert_int_equal(site_build(site), -1);
    site_expect(site, "own.h", 2, "'x' undeclared");
    assert_string_equal(site->diags->first->file, real);
    assert_non_null(strstr(site->list->output, real));
    assert_null(strstr(site->list->output, "/proc/self/fd"));
    assert_null(strstr(site->list->output, "work."));
    assert_null(strstr(diags_text(site->diags, false, site->pool), "BuildUser"));
}

static void a_copied_folder_says_what_it_lacks(void **state)
{
    struct site *site = *state;

    if (geteuid() != 0) {
        skip();
    }
    closed_folder(site);
    assert_int_equal(mkdir(site_path(site, "modules/sub"), 0700), 0);
    site_write(site, "modules/sub/x.h", "#define X 1\n");
    site_write(site, "modules/a.c",
               apr_pstrcat(site->pool, "#include \"sub/x.h\"\n", site_module(site, "a_module", "x"),
                           NULL));
    assert_int_equal(site_build(site), -1);
    site_expect(site, "a.c", 1, "sub/x.h: Permission denied");
    site_expect(site, "instar.conf", 2, "ModuleFlags -I");
    /* as it says */
    site_write(
        site, "modules/a.c",
        apr_pstrcat(site->pool, "#include \"x.h\"\n", site_module(site, "a_module", "x"), NULL));
    site_config(site, apr_psprintf(site->pool,
                                   "ModuleFlags -I%s/modules/sub\nLoadModule a_module "
                                   "modules/a.c\n",
                                   site->root));
    assert_int_equal(site_build(site), 1);
    site_write(site, "modules/sub/x.h", "#define X 2\n");
    expect_rebuilt(site);
}

/* Links are the compiler's to follow: root reads nothing for it that is elsewhere. */
static void links_out_of_a_closed_folder_are_not_read(void **state)
{
    struct site *site = *state;

    if (geteuid() != 0) {
        skip();
    }
    closed_folder(site);
    site_write(site, "secret", "the secret\n");
    assert_int_equal(chmod(site_path(site, "secret"), 0600), 0);
    assert_int_equal(unlink(site_path(site, "modules/own.h")), 0);
    assert_int_equal(symlink(site_path(site, "secret"), site_path(site, "modules/own.h")), 0);
    assert_int_equal(site_build(site), -1);
    site_expect(site, "a.c", 1, "own.h: Permission denied");
    assert_null(strstr(site->list->output, "the secret"));
    /* nor is the source itself, where it is such a link */
    assert_int_equal(unlink(site_path(site, "modules/a.c")), 0);
    assert_int_equal(symlink(site_path(site, "secret"), site_path(site, "modules/a.c")), 0);
    assert_int_equal(site_build(site), -1);
    site_expect(site, "instar.conf", 2, "cannot read");
    assert_null(strstr(diags_text(site->diags, false, site->pool), "the secret"));
}

/* A home full of other things: the module's own files are there all the same. */
static void a_full_folder_does_not_hinder(void **state)
{
    struct site *site = *state;

    if (geteuid() != 0) {
        skip();
    }
    closed_folder(site);
    for (int i = 0; i < 600; i++) {
        site_write(site, apr_psprintf(site->pool, "modules/other%d.c", i), "int x;\n");
    }
    assert_int_equal(site_build(site), 1);
}

/* A compiler that has compiled, and ends when there is a file "go". */
static void wrapper_that_waits(struct site *site)
{
    wrapper(site,
            apr_psprintf(site->pool,
                         "gcc \"$@\" || exit 1; until [ -e %s/go ]; do sleep 0.0537; done; exit 0",
                         site->root),
            "");
}

static void await_compiled(void)
{
    for (int i = 0; i < 3000 && count_sleepers("0.0537") == 0; i++) {
        usleep(5000);
    }
}

/* What is kept is the build of what was copied; what it became is compiled next. */
static void a_copied_source_that_changes_is_not_mistaken(void **state)
{
    struct site *site = *state;
    struct pollfd p = { .events = POLLIN };
    char key[BUILD_KEY_HEX];
    pid_t pid;

    if (geteuid() != 0) {
        skip();
    }
    wrapper_that_waits(site);
    assert_int_equal(chmod(site_path(site, "modules"), 0700), 0);
    site_plan(site);
    site_start(site, &pid, &p.fd);
    await_compiled();
    site_write(site, "modules/a.c", site_module(site, "a_module", "changed"));
    site_write(site, "go", "");
    assert_int_equal(poll(&p, 1, 20000), 1);
    site_finish(site, pid, p.fd);
    assert_int_equal(site->failed, 0);
    strcpy(key, site->list->list[0].key);
    assert_int_equal(site_build(site), 1);
    assert_string_not_equal(site->list->list[0].key, key);
    assert_int_equal(site_build(site), 0);
}

/* A file that changes while it is compiled: what is kept is the build of what it became. */
static void changed_while_compiled_is_compiled_again(void **state)
{
    struct site *site = *state;
    struct pollfd p = { .events = POLLIN };
    char key[BUILD_KEY_HEX];
    pid_t pid;

    wrapper_that_waits(site);
    site_plan(site);
    site_start(site, &pid, &p.fd);
    await_compiled();
    site_write(site, "modules/a.c", site_module(site, "a_module", "changed"));
    site_write(site, "go", "");
    assert_int_equal(poll(&p, 1, 20000), 1);
    site_finish(site, pid, p.fd);
    assert_int_equal(site->failed, 0);
    strcpy(key, site->list->list[0].key);
    assert_int_equal(site_build(site), 0);
    assert_string_equal(site->list->list[0].key, key);
}

static void sources_that_never_rest_are_given_up(void **state)
{
    struct site *site = *state;

    wrapper(site, "gcc \"$@\" || exit 1; sleep 0.2; exit 0", "BuildTimeout 5s");
    site_plan(site);
    {
        struct pollfd p = { .events = POLLIN };
        pid_t pid;

        site_start(site, &pid, &p.fd);
        for (int i = 0; poll(&p, 1, 20) == 0; i++) {
            site_write(site, "modules/a.c", site_module(site, "a_module", apr_itoa(site->pool, i)));
        }
        site_finish(site, pid, p.fd);
    }
    assert_int_equal(site->failed, 1);
    site_expect(site, "instar.conf", 4, "changed whenever they were compiled");
}

static void flags_reach_the_compiler_as_they_are(void **state)
{
    struct site *site = *state;

    site_write(site, "modules/a.c",
               apr_pstrcat(site->pool,
                           "#if SPACED != 12 || !defined(PLAIN)\n#error flags\n#endif\n",
                           site_module(site, "a_module", "x"), NULL));
    site_config(site, "ModuleFlags \"-DSPACED=1 + 11\" -DPLAIN\n"
                      "LoadModule a_module modules/a.c\n");
    assert_int_equal(site_build(site), 1);
}

static void a_module_may_be_cxx(void **state)
{
    struct site *site = *state;

    site_write(
        site, "modules/a.cc",
        "#include <instar.h>\n"
        "#include <string>\n"
        "extern ins_module a_module;\n"
        "namespace {\n"
        "struct conf { int on; int number; const char *text; };\n"
        "const char *set(ins_cmd *, void *, const char *) { return nullptr; }\n"
        "const char *set2(ins_cmd *, void *, const char *, const char *) { return nullptr; }\n"
        "const char *setv(ins_cmd *, void *, int, const char *const *) { return nullptr; }\n"
        "int answer(ins_request *r)\n"
        "{\n"
        "    std::string text = ins_query(r, \"q\");\n"
        "    ins_puts(r, text.c_str());\n"
        "    ins_rlog(r, &a_module, INS_INFO, \"%d\", 1);\n"
        "    return ins_location_config(r, &a_module) ? INS_OK : INS_DECLINED;\n"
        "}\n"
        "const ins_handler handlers[] = { { \"answer\", answer }, {} };\n"
        "const ins_hook hooks[] = { INS_HOOK(fixups, answer, INS_MIDDLE), {} };\n"
        "const ins_directive directives[] = {\n"
        "    INS_FLAG(\"AOn\", conf, on, INS_IN_SERVER, \"help\"),\n"
        "    INS_INT(\"ANumber\", conf, number, 0, 9, \"1\", INS_IN_SERVER, \"help\"),\n"
        "    INS_STRING(\"AText\", conf, text, nullptr, INS_IN_SERVER, \"help\"),\n"
        "    INS_TAKE1(\"AOne\", set, INS_IN_LOCATION, \"help\"),\n"
        "    INS_TAKE2(\"ATwo\", set2, INS_IN_LOCATION, \"help\"),\n"
        "    INS_TAKE_ARGV(\"AMany\", setv, 1, 3, \"WORD...\", INS_IN_LOCATION, \"help\"),\n"
        "    {}\n"
        "};\n"
        "}\n"
        "INS_MODULE(a_module) = { INS_MODULE_HEADER, .handlers = handlers,\n"
        "    .directives = directives, .hooks = hooks };\n");
    site_config(site, "LoadModule a_module modules/a.cc\n");
    assert_int_equal(site_build(site), 1);
    assert_null(site->list->output);
    assert_int_equal(site_build(site), 0);
}

/* As newcomers find them: no word from the compiler. */
static void the_examples_compile(void **state)
{
    static const char *const names[] = {
        "counter",
        "echo",
        "hello",
        "slow",
        "stream",
        "welcome",
#if __has_include(<zlib.h>)
        "zip",
#endif
        NULL
    };
    struct site *site = *state;
    const char *lines = "ModuleFlags -Wextra -Wpedantic\nModuleLibs zip_module -lz\n";
    char top[4096];
    int count = 0;

    assert_non_null(realpath(getenv("srcdir") ? getenv("srcdir") : ".", top));
    for (; names[count]; count++) {
        lines = apr_psprintf(site->pool, "%sLoadModule %s_module %s/modules/examples/%s.c\n", lines,
                             names[count], top, names[count]);
    }
    site_config(site, lines);
    assert_int_equal(site_build(site), count);
    assert_null(site->list->output);
}

static void a_build_directory_that_cannot_be_written_is_explained(void **state)
{
    struct site *site = *state;
    pid_t pid;
    int status;

    if (geteuid() != 0) {
        skip();
    }
    site_write(site, "modules/a.c", site_module(site, "a_module", "x"));
    assert_int_equal(mkdir(site_path(site, "build"), 0755), 0);
    site_config(site, "LoadModule a_module modules/a.c\n");
    pid = fork();
    if (pid == 0) {
        bool explained = false;

        if (setuid(12345) != 0) {
            _exit(2);
        }
        site_plan(site);
        for (const struct diag *d = site->diags->first; d; d = d->next) {
            explained = explained || strstr(d->message, "cannot be written by uid 12345");
        }
        _exit(explained && site->list->needed == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        CASE(errors_have_their_place),
        CASE(an_undeclared_function_is_an_error_at_its_line),
        CASE(the_linker_is_heard),
        CASE(warnings_are_passed_on_once),
        CASE(one_broken_module_does_not_waste_the_others),
        CASE(missing_sources_are_named_at_their_line),
        CASE(a_compiler_that_is_not_there_is_named),
        CASE(a_compiler_that_never_ends_is_ended_with_all_its_children),
        CASE(children_that_a_compiler_leaves_behind_are_ended),
        CASE(giving_up_ends_everything),
        CASE(a_fork_bomb_is_bounded),
        CASE(memory_is_bounded),
        CASE(words_are_bounded),
        CASE(standard_input_is_empty),
        CASE(the_jail_is_closed),
        CASE(the_question_for_its_version_is_jailed_too),
        CASE(only_named_descriptors_are_inherited),
        CASE(a_closed_home_does_not_hinder),
        CASE(what_only_root_may_read_is_built),
        CASE(a_copy_is_compiled_once),
        CASE(errors_in_copies_have_their_real_place),
        CASE(a_copied_folder_says_what_it_lacks),
        CASE(links_out_of_a_closed_folder_are_not_read),
        CASE(a_full_folder_does_not_hinder),
        CASE(a_copied_source_that_changes_is_not_mistaken),
        CASE(changed_while_compiled_is_compiled_again),
        CASE(sources_that_never_rest_are_given_up),
        CASE(flags_reach_the_compiler_as_they_are),
        CASE(a_module_may_be_cxx),
        CASE(the_examples_compile),
        CASE(a_build_directory_that_cannot_be_written_is_explained),
    };

    return cmocka_run_group_tests_name("builds", tests, NULL, NULL);
}
