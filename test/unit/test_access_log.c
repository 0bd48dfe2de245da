/* SPDX-License-Identifier: Apache-2.0 */
/* LogFormat's letters, and the lines of CustomLog in a file. */
#include "http_fixture.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config/conf.h"
#include "config/logs.h"
#include "http/log_format.h"
#include "http/request.h"

enum { BEGIN_SECOND = 1700000000 };

static const char *variable(struct request *q, const char *name)
{
    (void)q;
    return strcmp(name, "SSL_PROTOCOL") == 0 ? "TLSv1.3" : NULL;
}

static const struct request_io io = { .tls_variable = variable };

static struct request *make_request(apr_pool_t *pool, struct http_app *app, ins_server *server)
{
    struct request *q = apr_pcalloc(pool, sizeof(*q));

    q->app = app;
    q->io = &io;
    q->pub.pool = pool;
    q->pub.connection = &q->conn;
    q->pub.server = server;
    q->conn.client_ip = "192.0.2.7";
    q->conn.client_port = 4711;
    q->conn.local_ip = "192.0.2.1";
    q->conn.local_port = 8080;
    q->conn.keepalives = 3;
    q->pub.useragent_ip = "198.51.100.9";
    q->pub.the_request = "GET /a%20b\"\\?q=1 HTTP/1.1";
    q->pub.method = "GET";
    q->pub.protocol = "HTTP/1.1";
    q->pub.hostname = "www.example.com";
    q->pub.uri = "/a b\"\\\xff\x01\n\x7f";
    q->pub.args = "q=1";
    q->pub.request_time = BEGIN_SECOND * 1000000LL + 123456;
    q->pub.status = 404;
    q->pub.log_id = "id-1";
    q->pub.handler = "hello";
    q->pub.bytes_sent = 0;
    q->pub.content_type = "text/plain";
    q->pub.headers_in = apr_table_make(pool, 4);
    q->pub.headers_out = apr_table_make(pool, 4);
    q->pub.err_headers_out = apr_table_make(pool, 4);
    q->pub.notes = apr_table_make(pool, 4);
    q->pub.subprocess_env = apr_table_make(pool, 4);
    apr_table_setn(q->pub.headers_in, "User-Agent", "curl \"7\"");
    apr_table_setn(q->pub.headers_in, "Host", "www.example.com:8443");
    apr_table_setn(q->pub.headers_in, "Cookie", "ab=no; a=1; b=two words; empty=");
    apr_table_addn(q->pub.headers_in, "Twice", "1");
    apr_table_addn(q->pub.headers_in, "Twice", "2");
    apr_table_setn(q->pub.headers_out, "X-Out", "o");
    apr_table_setn(q->pub.err_headers_out, "X-Err", "e");
    apr_table_setn(q->pub.notes, "n", "note");
    apr_table_setn(q->pub.subprocess_env, "V", "env");
    q->head.length = 100;
    q->body.total = 11;
    q->head_bytes = 200;
    q->keep_alive = true;
    q->out_chunked = true;
    q->out_connection = "close";
    return q;
}

static ins_server server = { .server_hostname = "canonical.example.com" };

static const struct {
    const char *format, *want;
} letters[] = {
    { "%a %{c}a %A %h %l %u", "198.51.100.9 192.0.2.7 192.0.2.1 198.51.100.9 - -" },
    { "%p %{canonical}p %{local}p %{remote}p", "80 80 8080 4711" },
    { "%b %B %s %>s %<s", "- 0 404 404 404" },
    { "%m %H %q %R %k %L %f", "GET HTTP/1.1 ?q=1 hello 3 id-1 -" },
    { "%r", "GET /a%20b\\\"\\\\?q=1 HTTP/1.1" },
    { "%U", "/a b\\\"\\\\\\xff\\x01\\n\\x7f" },
    { "%{User-Agent}i %{user-agent}i %{None}i", "curl \\\"7\\\" curl \\\"7\\\" -" },
    { "%{Twice}i", "1, 2" },
    { "%{X-Out}o %{X-Err}o %{content-type}o %{None}o", "o e text/plain -" },
    { "%{connection}o %{Transfer-Encoding}o", "close chunked" },
    { "%{n}n %{V}e %{none}n %{none}e", "note env - -" },
    { "%{a}C %{b}C %{empty}C %{none}C", "1 two words - -" },
    { "%v %V", "canonical.example.com www.example.com" },
    { "%{SSL_PROTOCOL}x %{SSL_OTHER}x", "TLSv1.3 -" },
    { "%X", "+" },
    { "%I %O %S", "111 200 311" },
    { "%D %T %{us}T %{ms}T %{s}T", "2000500 2 2000500 2000 2" },
    { "%{sec}t %{msec}t %{usec}t", "1700000000 1700000000123 1700000000123456" },
    { "%{msec_frac}t %{usec_frac}t", "123 123456" },
    { "%{begin:sec}t %{end:sec}t %{end:msec_frac}t", "1700000000 1700000002 123" },
    { "%t", "[14/Nov/2023:22:13:20 +0000]" },
    { "%{%Y-%m-%d %H:%M}t %{end:%S}t", "2023-11-14 22:13 22" },
    { "%{begin:}t", "[14/Nov/2023:22:13:20 +0000]" },
    { "%400,404{User-Agent}i %!404{User-Agent}i %!200s %{User-Agent}200i",
      "curl \\\"7\\\" - 404 -" },
    { "100%% \"\\\"\\t\\q\\\\", "100% \"\"\t\\q\\" },
    { "%^ti", NULL },
    { "%{X}^ti %{X}^to %^FB", "- - -" },
    { "%{MS}T %{Remote}p", "2000 4711" },
    { "", "" },
    { "%", NULL },
    { "%{x", NULL },
    { "%Q", NULL },
    { "%i", NULL },
    { "%{}i", NULL },
    { "%{bad}T", NULL },
    { "%{bad}p", NULL },
    { "%{bad}P", NULL },
    { "%!{x}i", NULL },
    { "%99s", NULL },
    { "%^", NULL },
};

static void letters_mean_what_they_mean_to_httpd(void **state)
{
    struct request *q = make_request(*state, NULL, &server);
    apr_time_t now = q->pub.request_time + 2000500;
    char line[4096];

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        const char *error;
        const struct log_format *format =
            log_format_compile(letters[i].format, false, &error, *state);
        bool full;
        size_t len;

        if (letters[i].want == NULL) {
            if (format || error == NULL) {
                fail_msg("%s was taken", letters[i].format);
            }
            continue;
        }
        if (format == NULL) {
            fail_msg("%s: %s", letters[i].format, error);
            return;
        }
        len = log_format_write(format, q, now, line, sizeof(line), &full);
        assert_int_equal(line[len - 1], '\n');
        line[len - 1] = '\0';
        if (strcmp(line, letters[i].want) != 0) {
            fail_msg("%s: got %s, want %s", letters[i].format, line, letters[i].want);
        }
    }
}

static void a_process_and_its_threads_are_named(void **state)
{
    const char *error;
    const struct log_format *format =
        log_format_compile("%P %{pid}P %{tid}P %{hextid}P", false, &error, *state);
    struct request *q = make_request(*state, NULL, &server);
    char line[256];
    bool full;
    size_t len = log_format_write(format, q, q->pub.request_time, line, sizeof(line), &full);

    line[len] = '\0';
    assert_string_equal(line, apr_psprintf(*state, "%d %d %d %x\n", (int)getpid(), (int)getpid(),
                                           (int)gettid(), (unsigned)gettid()));
}

static void an_empty_request_has_dashes(void **state)
{
    struct request *q = apr_pcalloc(*state, sizeof(*q));
    const char *error;
    const struct log_format *format = log_format_compile(
        "%h %l %u \"%r\" %>s %b %{Referer}i %v %V %U %q|%m %H %R %X %{a}C", false, &error, *state);
    char line[256];
    bool full;
    size_t len;

    q->pub.pool = *state;
    q->pub.status = 400;
    q->failed = true;
    len = log_format_write(format, q, 0, line, sizeof(line), &full);
    line[len] = '\0';
    assert_string_equal(line, "- - - \"-\" 400 - - - - - |- - - X -\n");
    q->pub.user = "";
    format = log_format_compile("%u %X", false, &error, *state);
    q->failed = false;
    len = log_format_write(format, q, 0, line, sizeof(line), &full);
    line[len] = '\0';
    assert_string_equal(line, "\"\" -\n");
}

/* ---- Files ---- */

static struct log_set *make_logs(apr_pool_t *pool)
{
    static const char *const paths[] = { "/srv/a", "/srv/b", "/srv/e" };
    struct log_set *set = apr_pcalloc(pool, sizeof(*set));

    set->count = 3;
    set->list = apr_pcalloc(pool, 3 * sizeof(struct log_entry));
    set->server_root = "/srv";
    for (int i = 0; i < 3; i++) {
        set->list[i].path = paths[i];
        set->list[i].fd = memfd_create(paths[i], 0);
        assert_true(set->list[i].fd >= 0);
    }
    return set;
}

static const char *content(const struct log_set *logs, int file, apr_pool_t *pool)
{
    off_t size = lseek(logs->list[file].fd, 0, SEEK_END);
    char *text = apr_pcalloc(pool, (size_t)size + 1);

    assert_int_equal(pread(logs->list[file].fd, text, (size_t)size, 0), size);
    return text;
}

static int error_fd(const struct http_case *http, int host)
{
    for (const ins_server *s = http->main_server; s; s = s->next) {
        if (host-- == 0) {
            const struct log_sink *sink = http_server_conf(s)->log.sink;

            return sink ? sink->fd : -1;
        }
    }
    fail_msg("no such host");
    return -1;
}

static void lines_reach_the_logs_of_their_host(void **state)
{
    struct log_set *logs = make_logs(*state);
    struct http_case http = http_good(
        *state,
        "LogFormat \"%s %U\" short\nCustomLog a short\nErrorLog e\n"
        "<VirtualHost *:80>\nServerName one\nCustomLog /srv/b Short\nCustomLog a \"two %m\"\n"
        "LogFormat \"one %s\" short\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName two\nErrorLog e\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName three\nCustomLog b common\n</VirtualHost>\n",
        NULL, NULL, logs);

    for (ins_server *s = http.main_server; s; s = s->next) {
        struct request *q = make_request(*state, http.app, s);

        q->pub.uri = "/";
        access_log_request(q, q->pub.request_time);
    }
    assert_string_equal(content(logs, 0, *state), "");
    access_log_flush(http.app);
    assert_string_equal(content(logs, 0, *state), "404 /\ntwo GET\n404 /\n");
    assert_string_equal(content(logs, 1, *state),
                        "one 404\n198.51.100.9 - - [14/Nov/2023:22:13:20 +0000] \"GET "
                        "/a%20b\\\"\\\\?q=1 HTTP/1.1\" 404 -\n");
    access_log_flush(http.app);
    assert_string_equal(content(logs, 0, *state), "404 /\ntwo GET\n404 /\n");
    assert_int_equal(error_fd(&http, 0), -1);
    assert_int_equal(error_fd(&http, 1), -1);
    assert_int_equal(error_fd(&http, 2), logs->list[2].fd);
}

static void only_whole_lines_are_written(void **state)
{
    enum { LINES = 5000 };
    struct log_set *logs = make_logs(*state);
    struct http_case http = http_good(*state, "CustomLog a \"%{n}n %U\"\n", NULL, NULL, logs);
    struct request *q = make_request(*state, http.app, http.main_server);
    const char *text;
    int count = 0;

    q->pub.uri = apr_pstrcat(*state, "/0123456789012345678901234567890123456789", NULL);
    for (int i = 0; i < LINES; i++) {
        off_t size = lseek(logs->list[0].fd, 0, SEEK_END);
        char last = '\n';

        apr_table_setn(q->pub.notes, "n", apr_itoa(*state, i));
        access_log_request(q, q->pub.request_time);
        if (size > 0) {
            assert_int_equal(pread(logs->list[0].fd, &last, 1, size - 1), 1);
        }
        assert_int_equal(last, '\n');
    }
    access_log_flush(http.app);
    text = content(logs, 0, *state);
    while (*text) {
        assert_int_equal(atoi(text), count++);
        text = strchr(text, '\n') + 1;
    }
    assert_int_equal(count, LINES);
}

static void values_of_a_line_longer_than_the_buffer_are_cut(void **state)
{
    struct log_set *logs = make_logs(*state);
    struct http_case http = http_good(*state, "CustomLog a \"%U\"\n", NULL, NULL, logs);
    struct request *q = make_request(*state, http.app, http.main_server);
    char *path = apr_pcalloc(*state, 100001);
    const char *text;

    memset(path, 'x', 100000);
    q->pub.uri = "/";
    access_log_request(q, 0);
    q->pub.uri = path;
    access_log_request(q, 0);
    q->pub.uri = "/";
    access_log_request(q, 0);
    access_log_flush(http.app);
    text = content(logs, 0, *state);
    assert_int_equal(strlen(text), 2 + 16384 + 4 + 2);
    assert_string_equal(text + 2 + 16384, "...\n/\n");
}

static void json_lines_are_json_whatever_a_client_sends(void **state)
{
    struct log_set *logs = make_logs(*state);
    struct http_case http =
        http_good(*state,
                  "LogFormat escape=json "
                  "\"{\\\"u\\\":\\\"%U\\\",\\\"r\\\":\\\"%{Referer}i\\\",\\\"b\\\":%b}\" mine\n"
                  "CustomLog a mine\nCustomLog b json\n",
                  NULL, NULL, logs);
    struct request *q = make_request(*state, http.app, http.main_server);

    http.app->generation = 7;
    http.app->worker = 2;
    access_log_request(q, q->pub.request_time + 1500);
    access_log_flush(http.app);
    assert_string_equal(content(logs, 0, *state),
                        "{\"u\":\"/a b\\\"\\\\\\ufffd\\u0001\\n\\u007f\",\"r\":\"\",\"b\":0}\n");
    assert_string_equal(
        content(logs, 1, *state),
        apr_psprintf(
            *state,
            "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"client\":\"198.51.100.9\",\"user\":\"\","
            "\"host\":\"www.example.com\",\"method\":\"GET\","
            "\"uri\":\"/a b\\\"\\\\\\ufffd\\u0001\\n\\u007f?q=1\",\"protocol\":\"HTTP/1.1\","
            "\"status\":404,\"bytes\":0,\"duration_us\":1500,\"referer\":\"\","
            "\"user_agent\":\"curl \\\"7\\\"\",\"tls_protocol\":\"TLSv1.3\",\"tls_cipher\":\"\","
            "\"request_id\":\"id-1\",\"generation\":7,\"worker\":2,\"pid\":%d}\n",
            (int)getpid()));
}

static void a_condition_looks_at_variables_and_notes(void **state)
{
    struct log_set *logs = make_logs(*state);
    struct http_case http = http_good(*state,
                                      "CustomLog a V%s env=V\nCustomLog a N%s env=n\n"
                                      "CustomLog a X%s env=x\nCustomLog a !V%s env=!V\n"
                                      "CustomLog a !X%s env=!x\n",
                                      NULL, NULL, logs);
    struct request *q = make_request(*state, http.app, http.main_server);

    access_log_request(q, 0);
    access_log_flush(http.app);
    assert_string_equal(content(logs, 0, *state), "V404\nN404\n!X404\n");
}

static void a_pipe_gets_lines_that_fit_in_one_write(void **state)
{
    struct log_set *logs = make_logs(*state);
    struct http_case http;
    struct request *q;
    char *path = apr_pcalloc(*state, 10001), *got = apr_pcalloc(*state, 20001);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    logs->list[0].fd = ends[1];
    http = http_good(*state, "LogFormat escape=json \"{\\\"u\\\":\\\"%U\\\"}\" j\nCustomLog a j\n",
                     NULL, NULL, logs);
    q = make_request(*state, http.app, http.main_server);
    memset(path, 'x', 10000);
    q->pub.uri = path;
    access_log_request(q, 0);
    q->pub.uri = "/";
    access_log_request(q, 0);
    access_log_flush(http.app);
    assert_true(read(ends[0], got, 20000) > 0);
    assert_true(strchr(got, '\n') - got < PIPE_BUF);
    assert_string_equal(strchr(got, '\n') - 5, "...\"}\n{\"u\":\"/\"}\n");
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static const struct {
    const char *config, *words;
} errors[] = {
    { "CustomLog a combine\n", "1: no LogFormat is called combine; did you mean combined?" },
    { "CustomLog a zzzz\n", "1: no LogFormat is called zzzz\n" },
    { "CustomLog a %Q\n", "1: CustomLog: %Q is unknown" },
    { "CustomLog a common \"expr=true\"\n", "1: CustomLog: expr= is not available; let a module" },
    { "CustomLog a common when=x\n", "1: CustomLog: a condition is env=NAME or env=!NAME" },
    { "CustomLog a common env=!\n", "1: CustomLog: a name stands behind env=" },
    { "CustomLog \"| \" common\n", "1: CustomLog: a command stands behind the '|'" },
    { "ErrorLog syslog:nowhere\n", "1: ErrorLog: nowhere is no syslog facility" },
    { "ErrorLog \"syslog:user:a b\"\n", "1: ErrorLog: a syslog tag has" },
    { "LogFormat escape=xml %h x\n", "1: LogFormat: only escape=json is known" },
    { "LogFormat json %h x\n", "1: LogFormat: it wants [escape=json] FORMAT NICKNAME" },
    { "RequestIDHeader \"a b\"\n", "1: RequestIDHeader: a b is no name of a header field" },
    { "RequestIDHeader X-Id maybe\n", "1: RequestIDHeader: only trust may stand behind the name" },
    { "LogFormat \"%{x\" n\n", "1: LogFormat: '}' is missing" },
    { "LogFormat \"%h\"\n", "1: LogFormat" },
};

static void a_wrong_log_is_named_with_its_line(void **state)
{
    struct log_set *logs = make_logs(*state);

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct http_case http = http_text(*state, errors[i].config, NULL, NULL, logs);
        const char *words = http_words(http.diags, *state);

        if (strstr(words, errors[i].words) != words) {
            fail_msg("%s: got \"%s\", want \"%s\"", errors[i].config, words, errors[i].words);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_mean_what_they_mean_to_httpd),
        cmocka_unit_test(a_process_and_its_threads_are_named),
        cmocka_unit_test(an_empty_request_has_dashes),
        cmocka_unit_test(lines_reach_the_logs_of_their_host),
        cmocka_unit_test(only_whole_lines_are_written),
        cmocka_unit_test(values_of_a_line_longer_than_the_buffer_are_cut),
        cmocka_unit_test(json_lines_are_json_whatever_a_client_sends),
        cmocka_unit_test(a_condition_looks_at_variables_and_notes),
        cmocka_unit_test(a_pipe_gets_lines_that_fit_in_one_write),
        cmocka_unit_test(a_wrong_log_is_named_with_its_line),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, http_setup, http_teardown);
}
