/* SPDX-License-Identifier: Apache-2.0 */
/* Process settings: defaults, values, and how relative paths, users and module
 * flags come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config_fixture.h"

#define L "Listen 1\n"

static const struct conf_process *settings(void **state, const char *text)
{
    struct config_case result = config_text(*state, text);

    assert_string_equal(config_words(result.diags, *state), "");
    return &result.conf->process;
}

static void defaults_are_httpds(void **state)
{
    const struct conf_process *p = settings(state, L);

    assert_string_equal(p->server_root, "/srv");
    assert_string_equal(p->runtime_dir, "/srv/logs");
    assert_string_equal(p->pid_file, "/srv/logs/httpd.pid");
    assert_string_equal(p->control_socket, "/srv/logs/instar.sock");
    assert_string_equal(p->build_directory, "/srv/logs/build");
    assert_string_equal(p->error_log, "/srv/logs/error_log");
    assert_null(p->core_dump_directory);
    assert_string_equal(p->module_compiler, "cc");
    assert_true(p->workers >= 1);
    assert_int_equal(p->threads_per_worker, 128);
    assert_int_equal(p->max_connections, 65536);
    assert_int_equal(p->start_timeout, 10000);
    assert_int_equal(p->graceful_shutdown_timeout, 30000);
    assert_int_equal(p->max_draining_generations, 2);
    assert_int_equal(p->log_level, INS_WARNING);
    assert_int_not_equal(p->user, 0);
    assert_int_not_equal(p->build_user, 0);
    assert_int_not_equal(p->user, p->build_user);
    assert_int_equal(p->logs->nelts, 1);
    assert_int_equal(p->modules->nelts, 0);
    assert_null(p->scan);
}

static void what_is_set_is_kept(void **state)
{
    const struct conf_process *p = settings(
        state, L "defaultruntimedir run\nPidFile x.pid\nControlSocket /tmp/x.sock\nWorkers 3\n"
                 "ThreadsPerWorker 16\nMaxConnections 9\nListenBacklog 7\nStartTimeout 1500ms\n"
                 "GracefulShutdownTimeout 2m\nMaxDrainingGenerations 1\nModuleCompiler gcc\n"
                 "BuildDirectory ../b\nBuildTimeout 1h\nBuildMemoryLimit 512m\n"
                 "CoreDumpDirectory cores\nUser #1234\nGroup #77\nBuildUser #4321\n");

    assert_string_equal(p->runtime_dir, "/srv/run");
    assert_string_equal(p->pid_file, "/srv/x.pid");
    assert_string_equal(p->control_socket, "/tmp/x.sock");
    assert_string_equal(p->build_directory, "/b");
    assert_string_equal(p->core_dump_directory, "/srv/cores");
    assert_string_equal(p->module_compiler, "gcc");
    assert_int_equal(p->workers, 3);
    assert_int_equal(p->threads_per_worker, 16);
    assert_int_equal(p->max_connections, 9);
    assert_int_equal(p->start_timeout, 1500);
    assert_int_equal(p->graceful_shutdown_timeout, 120000);
    assert_int_equal(p->max_draining_generations, 1);
    assert_int_equal(p->build_timeout, 3600000);
    assert_int_equal(p->build_memory_limit, 512 << 20);
    assert_int_equal(p->user, 1234);
    assert_int_equal(p->group, 77);
    assert_string_equal(p->user_name, "#1234");
    assert_int_equal(p->build_user, 4321);
    assert_int_equal(APR_ARRAY_IDX(p->listens, 0, struct conf_listen).backlog, 7);
}

static void runtime_dir_moves_what_is_in_it(void **state)
{
    const struct conf_process *p = settings(state, L "ServerRoot /\nDefaultRuntimeDir run\n");

    assert_string_equal(p->server_root, "/");
    assert_string_equal(p->pid_file, "/run/httpd.pid");
    assert_string_equal(p->control_socket, "/run/instar.sock");
    assert_string_equal(p->build_directory, "/run/build");
    assert_string_equal(p->error_log, "/logs/error_log");
}

static void server_root_counts_from_where_it_stands(void **state)
{
    const struct conf_process *p =
        settings(state, L "LoadModule a_module a.c\nServerRoot /tmp\nLoadModule b_module b.c\n");

    assert_string_equal(APR_ARRAY_IDX(p->modules, 0, struct conf_module).paths[0], "/srv/a.c");
    assert_string_equal(APR_ARRAY_IDX(p->modules, 1, struct conf_module).paths[0], "/tmp/b.c");
}

struct address {
    const char *text, *host;
    int port;
    bool https;
};

static void listen_takes_every_kind_of_address(void **state)
{
    static const struct address cases[] = {
        { "80", "*", 80, false },
        { "*:81", "*", 81, false },
        { "443", "*", 443, true },
        { "127.0.0.1:443 http", "127.0.0.1", 443, false },
        { "8443 https", "*", 8443, true },
        { "8444 HTTPS", "*", 8444, true },
        { "127.0.0.1:8080", "127.0.0.1", 8080, false },
        { "[::1]:8080", "::1", 8080, false },
        { "[2001:DB8:0:0::1]:8080 https", "2001:db8::1", 8080, true },
        { "[fe80::1%eth0]:8080", "fe80::1%eth0", 8080, false },
        { "localhost:8081", "localhost", 8081, false },
        { "www.example.com:65535", "www.example.com", 65535, false },
        { "unix:run/x.sock", "unix:/srv/run/x.sock", 0, false },
        { "unix:/run/y.sock https", "unix:/run/y.sock", 0, true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct conf_process *p =
            settings(state, apr_pstrcat(*state, "Listen ", cases[i].text, "\n", NULL));
        const struct conf_listen *listen = &APR_ARRAY_IDX(p->listens, 0, struct conf_listen);

        print_message("  %s\n", cases[i].text);
        assert_string_equal(listen->host, cases[i].host);
        assert_int_equal(listen->port, cases[i].port);
        assert_int_equal(listen->https, cases[i].https);
        assert_int_equal(listen->backlog, 511);
        assert_int_equal(listen->node->line, 1);
    }
}

static void a_unix_path_that_is_too_long_is_refused(void **state)
{
    char path[200];
    struct config_case result;

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    result = config_text(*state, apr_pstrcat(*state, "Listen unix:/", path, "\n", NULL));
    assert_int_equal(result.diags->errors, 1);
    assert_non_null(strstr(result.diags->first->message, "longer than 107 bytes"));
}

static void modules_have_paths_and_flags(void **state)
{
    const struct conf_process *p = settings(
        state,
        L "ModuleLibs b_module -lz\nModuleFlags -O3 -g\nLoadModule a_module a.c\n"
          "LoadModule b_module b.c dir/c.c\nLoadModule c_module dir\n"
          "LoadModule d_module d.so\nModuleFlags b_module \"-DX=y z\" -c\nModuleFlags -Wall\n"
          "ModuleLibs b_module -lm -lssl\n");
    const struct conf_module *m = (const struct conf_module *)(const void *)p->modules->elts;

    assert_int_equal(p->modules->nelts, 4);
    assert_string_equal(m[0].name, "a_module");
    assert_int_equal(m[0].path_count, 1);
    assert_string_equal(m[0].flags, "-O3\n-g\n-Wall");
    assert_null(m[0].libs);
    assert_int_equal(m[1].path_count, 2);
    assert_string_equal(m[1].paths[1], "/srv/dir/c.c");
    assert_string_equal(m[1].flags, "-O3\n-g\n-Wall\n-DX=y z\n-c");
    assert_string_equal(m[1].libs, "-lz\n-lm\n-lssl");
    assert_false(m[1].prebuilt);
    assert_string_equal(m[2].paths[0], "/srv/dir");
    assert_false(m[2].prebuilt);
    assert_true(m[3].prebuilt);
    assert_int_equal(m[3].node->line, 7);
}

static void log_levels_are_for_all_and_for_parts(void **state)
{
    const struct conf_process *p = settings(
        state, L "LoadModule x_module x.c\nLogLevel ssl:debug info x:trace4 mod_ssl.c:error "
                 "x_module:notice\n");
    const struct log_part_level *levels =
        (const struct log_part_level *)(const void *)p->part_levels->elts;

    assert_int_equal(p->log_level, INS_INFO);
    assert_int_equal(p->part_levels->nelts, 3);
    assert_string_equal(levels[0].part, "x");
    assert_int_equal(levels[0].level, INS_TRACE1);
    assert_string_equal(levels[1].part, "ssl");
    assert_int_equal(levels[1].level, INS_ERR);
    assert_string_equal(levels[2].part, "x_module");
    conf_apply_log_levels(p);
}

static void log_levels_of_a_host_are_laid_over_those_of_all(void **state)
{
    struct config_case result = config_text(
        *state, L "<VirtualHost *>\nLogLevel ssl:error http:info\n</VirtualHost>\n"
                  "<VirtualHost *>\nLogLevel info\nLogLevel ssl:notice\n</VirtualHost>\n"
                  "<VirtualHost *>\n</VirtualHost>\nLogLevel crit ssl:debug tls:info\n");
    const struct conf_node *host = result.conf->root->children->next;
    const struct log_levels *levels = conf_host_log_levels(result.conf, host, *state);

    assert_true(log_enabled_in(levels, "tls", INS_INFO));
    assert_true(log_enabled_in(levels, "http", INS_INFO));
    assert_false(log_enabled_in(levels, "ssl", INS_WARNING));
    assert_false(log_enabled_in(levels, "core", INS_ERR));
    host = host->next;
    levels = conf_host_log_levels(result.conf, host, *state);
    assert_true(log_enabled_in(levels, "core", INS_INFO));
    assert_false(log_enabled_in(levels, "ssl", INS_INFO));
    assert_false(log_enabled_in(levels, "tls", INS_DEBUG));
    assert_null(conf_host_log_levels(result.conf, host->next, *state));
}

static void all_log_files_are_known_once(void **state)
{
    const struct conf_process *p = settings(
        state,
        L "ErrorLog first\nErrorLog e.log\nCustomLog logs/a.log common\nCustomLog |x common\n"
          "<VirtualHost *>\nErrorLog logs/../e.log\nCustomLog /var/b.log x\n"
          "CustomLog logs/a.log y\nErrorLog syslog:daemon\n</VirtualHost>\n"
          "<VirtualHost *>\nErrorLog stderr\n</VirtualHost>\n");
    static const char *const keys[] = { "/srv/e.log", "/srv/logs/a.log",      "|x",
                                        "/var/b.log", "syslog:daemon:instar", "stderr" };

    assert_string_equal(p->error_log, "/srv/e.log");
    assert_int_equal(p->logs->nelts, 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(APR_ARRAY_IDX(p->logs, i, struct conf_log).spec.key, keys[i]);
    }
}

static void logs_are_named_in_httpds_ways(void **state)
{
    static const struct {
        const char *text, *key; /* NULL: refused */
        enum log_kind kind;
    } cases[] = {
        { "logs/../e.log", "/srv/e.log", LOG_FILE },
        { "stderr", "stderr", LOG_STDERR },
        { "|rotate x  y", "|rotate x  y", LOG_COMMAND },
        { "|| rotate x", "|rotate x", LOG_COMMAND },
        { "|$rotate >x", "|$rotate >x", LOG_COMMAND },
        { "|", NULL, LOG_COMMAND },
        { "||  ", NULL, LOG_COMMAND },
        { "syslog", "syslog:local7:instar", LOG_SYSLOG },
        { "syslog:Local0", "syslog:local0:instar", LOG_SYSLOG },
        { "syslog:user:web-1", "syslog:user:web-1", LOG_SYSLOG },
        { "syslog::web", "syslog:local7:web", LOG_SYSLOG },
        { "syslog:none", NULL, LOG_SYSLOG },
        { "syslog:user:a b", NULL, LOG_SYSLOG },
        { "syslogs", "/srv/syslogs", LOG_FILE },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct log_spec spec;
        const char *error = log_spec_read(&spec, "/srv", cases[i].text, *state);

        if (cases[i].key == NULL) {
            assert_non_null(error);
            continue;
        }
        assert_null(error);
        assert_string_equal(spec.key, cases[i].key);
        assert_int_equal(spec.kind, cases[i].kind);
        assert_true((spec.shell != NULL) == (strchr(cases[i].text, '$') != NULL));
    }
}

static void applied_nodes_are_marked(void **state)
{
    struct config_case result = config_text(*state, L "Foo\nStartServers 1\nErrorLog x\n");
    const struct conf_node *node = result.conf->root->children;

    assert_true(node->applied);
    assert_false(node->next->applied);
    assert_true(node->next->next->applied);
    assert_false(node->next->next->next->applied);
}

static void command_line_directives_come_last(void **state)
{
    const char *folder = config_folder(*state);
    struct conf_options options = { .server_root = folder, .config_file = "x.conf" };
    struct diags *diags = diags_create(*state);
    struct conf *conf;

    config_write(folder, "x.conf",
                 "Listen 1\nPidFile from-file\n<IfDefine TOLD>\nYes\n</IfDefine>\n");
    options.defines = apr_array_make(*state, 1, sizeof(const char *));
    APR_ARRAY_PUSH(options.defines, const char *) = "TOLD";
    options.directives = apr_array_make(*state, 2, sizeof(const char *));
    APR_ARRAY_PUSH(options.directives, const char *) = "PidFile from-command";
    APR_ARRAY_PUSH(options.directives, const char *) = "Workers none";
    conf_read(&conf, &options, diags, *state);
    assert_string_equal(conf->process.pid_file, apr_pstrcat(*state, folder, "/from-command", NULL));
    assert_string_equal(config_words(diags, *state),
                        "-c:2:9 error: Workers: must be a whole number from 1 to 512\n");
    assert_non_null(strstr(config_tree(conf, *state), "Yes; "));
    assert_int_equal(conf->files->nelts, 2);
}

static void every_row_can_be_printed(void **state)
{
    (void)state;
    for (const ins_directive *row = conf_process_directives; row->name; row++) {
        assert_non_null(row->syntax);
        assert_non_null(row->help);
        assert_true(row->where != 0);
        assert_null(strchr(row->help, '\n'));
    }
    for (const struct conf_obsolete *old = conf_obsolete; old->name; old++) {
        assert_non_null(old->instead);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_httpds),
        cmocka_unit_test(what_is_set_is_kept),
        cmocka_unit_test(runtime_dir_moves_what_is_in_it),
        cmocka_unit_test(server_root_counts_from_where_it_stands),
        cmocka_unit_test(listen_takes_every_kind_of_address),
        cmocka_unit_test(a_unix_path_that_is_too_long_is_refused),
        cmocka_unit_test(modules_have_paths_and_flags),
        cmocka_unit_test(log_levels_are_for_all_and_for_parts),
        cmocka_unit_test(log_levels_of_a_host_are_laid_over_those_of_all),
        cmocka_unit_test(all_log_files_are_known_once),
        cmocka_unit_test(logs_are_named_in_httpds_ways),
        cmocka_unit_test(applied_nodes_are_marked),
        cmocka_unit_test(command_line_directives_come_last),
        cmocka_unit_test(every_row_can_be_printed),
    };

    return cmocka_run_group_tests(tests, config_setup, config_teardown);
}
