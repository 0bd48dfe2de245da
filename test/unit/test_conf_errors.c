/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a config, in the words and at the place that a person
 * reads; and that one error hides no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_fixture.h"

#define L "Listen 1\n"

struct mistake {
    const char *name, *text, *words;
};

static const struct mistake cases[] = {
    { "nothing to listen on", "A\n",
      "0:0 error: nothing to listen on: add a line such as \"Listen 8080\"\n" },
    { "an open quote", L "A b \"c\nD 'e\\'\n",
      "2:5 error: a quote is opened here and never closed\n"
      "3:3 error: a quote is opened here and never closed\n" },
    { "a quote that ends in a backslash", L "A \"b\\\"\n",
      "2:3 error: a quote is opened here and never closed\n" },
    { "an empty name", L "\"\" b\n", "2:1 error: a directive's name is expected here\n" },
    { "no UTF-8, once a line", L "# \344\n\nA \377 \377\nB\n",
      "2:3 error: not UTF-8: save the file in that encoding\n"
      "4:3 error: not UTF-8: save the file in that encoding\n" },

    { "a container left open", L "<A b>\nC\n",
      "2:1 error: <A> is never closed: </A> is missing\n" },
    { "two left open", L "<A>\n  <B>\n",
      "3:3 error: <B> is never closed: </B> is missing\n"
      "2:1 error: <A> is never closed: </A> is missing\n" },
    { "an end without a beginning", L "</A>\nB\n",
      "2:1 error: </A> ends nothing: no container is open in this file\n" },
    { "ends that cross", L "<A>\n<B>\n</A>\n</B>\n",
      "4:1 error: </A> where </B> is expected, for the <B> of line 3\n"
      "5:1 error: </B> ends nothing: no container is open in this file\n" },
    { "an end of another name", L "<A>\n</Other>\n</A>\n",
      "3:1 error: </Other> where </A> is expected, for the <A> of line 2\n" },
    { "a misspelt end is an end", L "<Location />\n</Locatoin>\nPidFile\n",
      "3:1 error: </Locatoin> where </Location> is expected, for the <Location> of line 2\n"
      "4:1 error: PidFile takes one argument: PidFile PATH\n" },
    { "no closing bracket", L "<A b\n</A\n",
      "2:1 error: <A lacks its closing '>'\n3:1 error: </A lacks its closing '>'\n" },
    { "a container without a name", L "<>\n< A>\n",
      "2:1 error: a container's name must follow the '<'\n"
      "3:1 error: a container's name must follow the '<'\n" },
    { "two containers on a line", L "<A><B>\n</A>\n",
      "2:1 error: nothing may follow the '>': begin a new line\n" },
    { "a directive behind the bracket", L "<A>\n</A> B c\n",
      "3:1 error: nothing may follow the '>': begin a new line\n" },
    { "containers in what is skipped must fit", L "<IfDefine X>\n<A>\n</IfDefine>\n",
      "4:1 error: </IfDefine> where </A> is expected, for the <A> of line 3\n" },
    { "conditions take one argument",
      L "<IfDefine>\n</IfDefine>\n<IfModule a b>\n</IfModule>\n"
        "<IfFile !>\n</IfFile>\n",
      "2:1 error: <IfDefine> takes one argument: <IfDefine [!]NAME>\n"
      "4:13 error: <IfModule> takes one argument: <IfModule [!]MODULE>\n"
      "6:9 error: <IfFile> lacks its PATH: <IfFile [!]PATH>\n" },

    { "Define", L "Define\nDefine a:b c\nDefine a b c\nUnDefine ''\n",
      "2:1 error: Define takes one or two arguments: Define NAME [VALUE]\n"
      "3:8 error: a variable's name must not be empty nor contain ':' or '}'\n"
      "4:12 error: Define takes one or two arguments: Define NAME [VALUE]\n"
      "5:10 error: a variable's name must not be empty nor contain ':' or '}'\n" },
    { "Include from memory", L "Include /dev/null\n",
      "2:1 error: Include needs a config that is read from a file\n" },

    { "arguments: too few, too many", L "PidFile\nPidFile a b\nPidFile a # why\n",
      "2:1 error: PidFile takes one argument: PidFile PATH\n"
      "3:11 error: PidFile takes one argument: PidFile PATH\n"
      "4:11 error: PidFile takes one argument: PidFile PATH (a comment needs a line of its "
      "own)\n" },
    { "arguments: at least", L "LoadModule a_module\n",
      "2:1 error: LoadModule takes at least two arguments: LoadModule NAME PATH...\n" },
    { "numbers",
      L "Workers 0\nWorkers x\nWorkers 1x\nWorkers -1\nWorkers ''\n"
        "Workers 99999999999999999999\n",
      "2:9 error: Workers: must be a whole number from 1 to 512\n"
      "3:9 error: Workers: must be a whole number from 1 to 512\n"
      "4:9 error: Workers: must be a whole number from 1 to 512\n"
      "5:9 error: Workers: must be a whole number from 1 to 512\n"
      "6:9 error: Workers: must be a whole number from 1 to 512\n"
      "7:9 error: Workers: must be a whole number from 1 to 512\n" },
    { "times", L "StartTimeout x\nStartTimeout 0\nGracefulShutdownTimeout 0\nBuildTimeout 5 s\n",
      "2:14 error: StartTimeout: must be a time: a number of seconds, or with a unit (500ms, 10s, "
      "5m, 1h)\n"
      "3:14 error: StartTimeout: must be more than 0\n"
      "5:16 error: BuildTimeout takes one argument: BuildTimeout TIME\n" },
    { "sizes", L "BuildMemoryLimit 1x\nBuildMemoryLimit 1M\n",
      "2:18 error: BuildMemoryLimit: must be a size: a number of bytes, or with a unit (64K, 512M, "
      "2G)\n"
      "3:18 error: BuildMemoryLimit: must be at least 32M: no compiler runs with less\n" },
    { "empty paths", L "PidFile ''\n", "2:9 error: PidFile: must not be empty\n" },
    { "ServerRoot", L "ServerRoot /no/such\n",
      "2:12 error: ServerRoot: /no/such is not a directory\n" },
    { "users", L "User no-such-user\nGroup no-such-group\nBuildUser #\n",
      "2:6 error: User no-such-user: there is no user of that name\n"
      "4:11 error: BuildUser #: a number must follow the '#'\n"
      "3:7 error: Group no-such-group: there is no group of that name\n" },

    { "process settings in a virtual host",
      L "<VirtualHost *>\nListen 2\nWorkers 1\n"
        "</VirtualHost>\n<Location />\nUser x\n</Location>\n",
      "3:1 error: Listen may not stand in <VirtualHost> (line 2): it belongs in the main server\n"
      "4:1 error: Workers may not stand in <VirtualHost> (line 2): it belongs in the main server\n"
      "7:1 error: User may not stand in <Location> (line 6): it belongs in the main server\n" },
    { "LogLevel in a virtual host",
      L "<VirtualHost *>\nLogLevel loud\nLogLevel debug x:info\n</VirtualHost>\n",
      "3:10 error: LogLevel: loud is no level: emerg, alert, crit, error, warn, notice, info, "
      "debug, trace1 ... trace8\n"
      "4:1 warning: x is neither a part of the server nor a loaded module\n" },
    { "LogLevel", L "LogLevel loud\nLogLevel info :debug\nLogLevel x:debug\n",
      "2:10 error: LogLevel: loud is no level: emerg, alert, crit, error, warn, notice, info, "
      "debug, trace1 ... trace8\n"
      "3:15 error: LogLevel: a part's or module's name must stand before the ':'\n"
      "4:1 warning: x is neither a part of the server nor a loaded module\n" },

    { "Listen: ports", "Listen 0\nListen 65536\nListen 80x\nListen :80\nListen *\nListen *:\n",
      "1:8 error: Listen: the port must be a number from 1 to 65535\n"
      "2:8 error: Listen: the port must be a number from 1 to 65535\n"
      "3:8 error: Listen: a port is missing: Listen [ADDRESS:]PORT\n"
      "4:8 error: Listen: this is no address: expected *, an IPv4 address, or an IPv6 address in "
      "brackets\n"
      "5:8 error: Listen: a port is missing: Listen [ADDRESS:]PORT\n"
      "6:8 error: Listen: the port must be a number from 1 to 65535\n" },
    { "Listen: addresses",
      "Listen 1.2.3.4.5:80\nListen 300.1.1.1:80\nListen ::1:80\nListen [::1]\n"
      "Listen [::1:80\nListen [1.2.3.4]:80\nListen [::1]80\nListen [fe80::1%]:80\n",
      "1:8 error: Listen: this is no address: expected *, an IPv4 address, or an IPv6 address in "
      "brackets\n"
      "2:8 error: Listen: this is no address: expected *, an IPv4 address, or an IPv6 address in "
      "brackets\n"
      "3:8 error: Listen: an IPv6 address needs brackets: Listen [ADDRESS]:PORT\n"
      "4:8 error: Listen: a port must follow the address: Listen [ADDRESS]:PORT\n"
      "5:8 error: Listen: a closing ']' is missing\n"
      "6:8 error: Listen: what stands in brackets must be an IPv6 address\n"
      "7:8 error: Listen: a port must follow the address: Listen [ADDRESS]:PORT\n"
      "8:8 error: Listen: what stands in brackets must be an IPv6 address\n" },
    { "Listen: protocol", "Listen 80 ftp\n",
      "1:11 error: Listen: the protocol must be http or https\n" },
    { "Listen: unix", "Listen unix:\n", "1:8 error: Listen: a path must follow unix:\n" },
    { "Listen: doubles",
      "Listen 80\nListen *:80\nListen 0.0.0.0:80\nListen [::]:80 https\n"
      "Listen 127.0.0.1:80\nListen 127.0.0.1:80 https\nListen unix:a\n"
      "Listen unix:/srv/./a\nListen [::1]:80\nListen [0::1]:80\n",
      "2:8 error: Listen: *:80 is listened on already, by line 1\n"
      "3:8 error: Listen: 0.0.0.0:80 is listened on already, by line 1\n"
      "4:8 error: Listen: [::]:80 is listened on already, by line 1\n"
      "6:8 error: Listen: 127.0.0.1:80 is listened on already, by line 5\n"
      "8:8 error: Listen: unix:/srv/./a is listened on already, by line 7\n"
      "10:8 error: Listen: [0::1]:80 is listened on already, by line 9\n" },

    { "LoadModule",
      L "LoadModule hello-module a.c\nLoadModule a_module a.c b.so\n"
        "LoadModule b_module ''\n",
      "2:12 error: LoadModule: the name is that of the module's struct in C, such as "
      "hello_module\n"
      "3:25 error: LoadModule: a .so stands alone: it cannot be joined with other files\n"
      "4:21 error: LoadModule: a path must not be empty\n" },
    { "LoadModule: doubles",
      L "LoadModule a_module a.c\nLoadModule a_module b.c\n"
        "LoadModule ssl_module mod_ssl.so\n",
      "3:12 warning: module a_module is already loaded (line 2), skipping\n"
      "4:12 warning: module ssl_module is built in, skipping\n" },
    { "ModuleFlags",
      L "ModuleFlags x\nModuleFlags a_module\nModuleLibs -lz z\n"
        "ModuleLibs b_module -lz\n",
      "2:13 error: ModuleFlags: expected a module's name, which ends in _module, or a flag, which "
      "begins with '-'\n"
      "3:13 error: ModuleFlags: flags must follow the module's name\n"
      "4:16 error: ModuleLibs: a flag begins with '-'\n"
      "5:12 warning: no LoadModule names b_module\n" },
    { "obsolete, once each", L "StartServers 5\nstartservers 6\nMutex x\n",
      "2:1 warning: StartServers means nothing here: set Workers, one process each, and "
      "ThreadsPerWorker\n"
      "4:1 warning: Mutex means nothing here: no lock is taken to accept connections\n" },
    { "all errors in one run", "Listen x\n<A>\nWorkers no\nPidFile\n</B>\n</A>\nUser a b\n",
      "1:8 error: Listen: a port is missing: Listen [ADDRESS:]PORT\n"
      "3:1 error: Workers may not stand in <A> (line 2): it belongs in the main server\n"
      "4:1 error: PidFile may not stand in <A> (line 2): it belongs in the main server\n"
      "5:1 error: </B> where </A> is expected, for the <A> of line 2\n"
      "7:8 error: User takes one argument: User NAME|#ID\n" },
};

static void each_mistake_has_its_words(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_pool_t *pool;
        struct config_case result;

        print_message("  %s\n", cases[i].name);
        apr_pool_create(&pool, *state);
        result = config_text(pool, cases[i].text);
        assert_string_equal(config_words(result.diags, pool), cases[i].words);
        apr_pool_destroy(pool);
    }
}

static const struct conf_node *only_node(const struct config_case *result)
{
    return result->conf->root->children->next;
}

static const ins_directive table[] = {
    INS_FLAG("KeepAlive", struct conf, path, INS_IN_SERVER, ""),
    INS_FLAG("KeepAliveTimeout", struct conf, path, INS_IN_SERVER, ""),
    INS_FLAG("<IfVersion", struct conf, path, INS_IN_SERVER, ""),
    { 0 },
};

static void unknown_names_meet_their_nearest(void **state)
{
    static const struct {
        const char *text, *words;
    } names[] = {
        { L "KepAlive On\n", "unknown directive KepAlive: did you mean KeepAlive?" },
        { L "keepalvie On\n", "unknown directive keepalvie: did you mean KeepAlive?" },
        { L "LISETN 80\n", "unknown directive LISETN: did you mean Listen?" },
        { L "Port 80\n",
          "unknown directive Port: misspelt, or of a module that no LoadModule names" },
        { L "<VirtualHots *>\n</VirtualHots>\n",
          "unknown container <VirtualHots>: did you mean <VirtualHost>?" },
        { L "<IfModul x>\n</IfModul>\n", "unknown container <IfModul>: did you mean <IfModule>?" },
        { L "<IfVersoin x>\n</IfVersoin>\n",
          "unknown container <IfVersoin>: did you mean <IfVersion>?" },
        { L "IfModule x\n",
          "unknown directive IfModule: misspelt, or of a module that no LoadModule names" },
        { L "AVeryLongNameThatIsLongerThanAnyDirectiveThatAnybodyEverWrote\n",
          "unknown directive AVeryLongNameThatIsLongerThanAnyDirectiveThatAnybodyEverWrote: "
          "misspelt, or of a module that no LoadModule names" },
    };
    const ins_directive *const tables[] = { conf_process_directives, table };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct config_case result = config_text(*state, names[i].text);

        conf_unknown(only_node(&result), tables, 2, result.diags);
        assert_string_equal(result.diags->last->message, names[i].words);
        assert_int_equal(result.diags->last->line, 2);
        assert_int_equal(result.diags->last->column, 1);
    }
}

static void only_what_is_near_is_misspelt(void **state)
{
    const ins_directive *const tables[] = { conf_process_directives, table };
    struct config_case result = config_text(*state, L "KepAlive On\nChatRoom 1\n");

    assert_true(conf_misspelt(only_node(&result), tables, 2, result.diags));
    assert_false(conf_misspelt(only_node(&result)->next, tables, 2, result.diags));
    assert_string_equal(config_words(result.diags, *state),
                        "2:1 error: unknown directive KepAlive: did you mean KeepAlive?\n");
}

static void nearest_is_near(void **state)
{
    static const char *const names[] = { "hello", "help", "a", "" };

    (void)state;
    assert_string_equal(conf_nearest("helo", names, 4), "hello");
    assert_string_equal(conf_nearest("hepl", names, 4), "help");
    assert_string_equal(conf_nearest("HELLO", names, 4), "hello");
    assert_null(conf_nearest("b", names, 3));
    assert_null(conf_nearest("goodbye", names, 4));
    assert_null(conf_nearest("", names, 4));
    assert_null(conf_nearest("x", names, 0));
}

static void a_broken_file_does_not_flood(void **state)
{
    enum { LINES = 200000 };
    char *text = malloc((size_t)LINES * 4 + 1);
    struct config_case result;

    for (int i = 0; i < LINES; i++) {
        memcpy(text + 4L * i, "</A\n", 4);
    }
    text[LINES * 4L] = '\0';
    result = config_text(*state, text);
    assert_true(result.diags->errors >= LINES);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_has_its_words),
        cmocka_unit_test(unknown_names_meet_their_nearest),
        cmocka_unit_test(only_what_is_near_is_misspelt),
        cmocka_unit_test(nearest_is_near),
        cmocka_unit_test(a_broken_file_does_not_flood),
    };

    return cmocka_run_group_tests(tests, config_setup, config_teardown);
}
