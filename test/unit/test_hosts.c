/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual hosts: which one answers behind a listener, a local address and a name. */
#include "http_fixture.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <apr_strings.h>

#include "config/conf.h"

static const char *const listeners = "0.0.0.0:80 [::]:81 127.0.0.1:82 [::1]:83 unix: 0.0.0.0:84";

/* Connections: a listener's number and the local address. */
#define ANY_80 0
#define DUAL_81 1
#define LOCAL_82 2
#define SIX_83 3
#define UNIX_4 4
#define ANY_84 5

struct ask {
    int listener;
    const char *local; /* NULL: not known */
    const char *name;  /* Host or SNI; NULL: none came */
    const char *want;  /* ServerName */
};

struct host_case {
    const char *name, *config;
    struct ask asks[20];
};

#define HOST(address, body) "<VirtualHost " address ">\n" body "</VirtualHost>\n"

static const struct host_case cases[] = {
    { "no hosts",
      "ServerName main\n",
      { { ANY_80, NULL, "x", "main" }, { UNIX_4, NULL, NULL, "main" } } },
    { "names within a set, the first is its default",
      "ServerName main\n" HOST("*:80", "ServerName a\nServerAlias x.a y.a\n")
          HOST("*:80", "ServerName b\nServerAlias *.b\n"),
      { { ANY_80, NULL, "a", "a" },
        { ANY_80, NULL, "A", "a" },
        { ANY_80, NULL, "a.", "a" },
        { ANY_80, NULL, "Y.a", "a" },
        { ANY_80, NULL, "b", "b" },
        { ANY_80, NULL, "q.b", "b" },
        { ANY_80, NULL, "p.q.B", "b" },
        { ANY_80, NULL, "qb", "a" },
        { ANY_80, NULL, "unknown", "a" },
        { ANY_80, NULL, NULL, "a" },
        { ANY_80, NULL, "", "a" },
        { ANY_80, NULL, "main", "a" },
        { LOCAL_82, NULL, "a", "main" },
        { DUAL_81, NULL, "a", "main" } } },
    { "file order decides between exact names and wildcards",
      "ServerName main\n" HOST("*:80", "ServerName first\n")
          HOST("*:80", "ServerName w\nServerAlias *.example.com\n")
              HOST("*:80", "ServerName www.example.com\nServerAlias example.com w?ld.org\n")
                  HOST("*:80", "ServerName late\nServerAlias *.org exam* www.*.net\n")
                      HOST("*:80", "ServerName x.org\nServerAlias a.www.b.net *\n"),
      { { ANY_80, NULL, "www.example.com", "w" },
        { ANY_80, NULL, "example.com", "www.example.com" },
        { ANY_80, NULL, "wild.org", "www.example.com" },
        { ANY_80, NULL, "w1ld.org", "www.example.com" },
        { ANY_80, NULL, "wiild.org", "late" },
        { ANY_80, NULL, "x.org", "late" },
        { ANY_80, NULL, "example.net", "late" },
        { ANY_80, NULL, "www.a.b.net", "late" },
        { ANY_80, NULL, "a.www.b.net", "x.org" },
        { ANY_80, NULL, "anything", "x.org" },
        { ANY_80, NULL, "first", "first" } } },
    { "the best address: ip and port, ip, port, any",
      "ServerName main\n" HOST("*", "ServerName any\n") HOST("*:80", "ServerName port\n")
          HOST("10.0.0.1:*", "ServerName ip\n") HOST("10.0.0.1:80", "ServerName both\n")
              HOST("_default_:84", "ServerName default84\n"),
      { { ANY_80, "10.0.0.1:80", NULL, "both" },
        { ANY_80, "10.0.0.1:80", "port", "both" },
        { ANY_80, "10.0.0.2:80", NULL, "port" },
        { ANY_80, NULL, NULL, "port" },
        { ANY_84, "10.0.0.1:84", NULL, "ip" },
        { ANY_84, "10.0.0.3:84", NULL, "default84" },
        { LOCAL_82, NULL, NULL, "any" },
        { UNIX_4, NULL, NULL, "any" },
        { DUAL_81, "[::ffff:10.0.0.1]:81", NULL, "ip" },
        { DUAL_81, "[2001:db8::1]:81", NULL, "any" } } },
    { "IPv6",
      "ServerName main\n" HOST("[2001:db8::1]:81", "ServerName six\n")
          HOST("[::1]:83 127.0.0.1:82", "ServerName lo\n") HOST("[::]:84", "ServerName all84\n"),
      { { DUAL_81, "[2001:db8::1]:81", NULL, "six" },
        { DUAL_81, "[2001:db8::2]:81", NULL, "main" },
        { SIX_83, NULL, NULL, "lo" },
        { LOCAL_82, NULL, NULL, "lo" },
        { ANY_84, "1.2.3.4:84", NULL, "all84" } } },
    { "one host in several sets",
      "ServerName main\n" HOST("*:80 *:84", "ServerName a\n") HOST("*:84", "ServerName b\n")
          HOST("*:80", "ServerName c\nServerAlias b\n"),
      { { ANY_80, NULL, "b", "c" },
        { ANY_84, NULL, "b", "b" },
        { ANY_84, NULL, "c", "a" },
        { ANY_80, NULL, "c", "c" } } },
    { "the port of the main server's name is the default port",
      "ServerName main:80\n" HOST("_default_", "ServerName a\n") HOST("*", "ServerName b\n"),
      { { ANY_80, NULL, "a", "a" }, { ANY_84, NULL, "a", "b" } } },
    { "a host without a name has the main server's",
      "ServerName main\n" HOST("*:80", "ServerName a\n") HOST("*:80", "ServerAlias q\n"),
      { { ANY_80, NULL, "main", "main" },
        { ANY_80, NULL, "q", "main" },
        { ANY_80, NULL, "x", "a" } } },
    { "a name as an address matches last",
      "ServerName main\n" HOST("*:82", "ServerName z\n") HOST("localhost:82", "ServerName a\n")
          HOST("127.0.0.1:82", "ServerName b\nServerAlias localhost\n")
              HOST("127.0.0.1:82", "ServerName c\n"),
      { { LOCAL_82, NULL, "localhost", "b" },
        { LOCAL_82, NULL, "c", "c" },
        { LOCAL_82, NULL, "y", "a" } } },
};

static const char *find(const struct http_case *c, const struct ask *a)
{
    struct sockaddr_storage storage;
    socklen_t len;
    const struct sockaddr *local = a->local ? http_sockaddr(a->local, &storage, &len) : NULL;
    const struct host_table *hosts = http_hosts(c->app, a->listener, local);

    return http_find_server(hosts, a->name, a->name ? strlen(a->name) : 0)->server_hostname;
}

/* Not on a machine without /etc/hosts. */
static bool localhost_has_an_address(void)
{
    struct addrinfo *list = NULL;

    if (getaddrinfo("localhost", NULL, NULL, &list) != 0) {
        return false;
    }
    freeaddrinfo(list);
    return true;
}

static void the_best_host_answers(void **state)
{
    bool names = localhost_has_an_address();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_case http;

        if (!names && strstr(cases[i].config, "<VirtualHost localhost")) {
            continue;
        }
        http = http_good(*state, cases[i].config, listeners, NULL, NULL);

        for (const struct ask *a = cases[i].asks; a->want; a++) {
            const char *got = find(&http, a);

            if (strcmp(got, a->want) != 0) {
                fail_msg("%s: listener %d, %s, %s: got %s, want %s", cases[i].name, a->listener,
                         a->local ? a->local : "-", a->name ? a->name : "-", got, a->want);
            }
        }
    }
}

static void ten_thousand_hosts_are_found(void **state)
{
    enum { COUNT = 10000 };
    char *text = apr_palloc(*state, COUNT * 128);
    size_t used = 0;
    struct http_case http;
    const struct host_table *hosts;

    for (int i = 0; i < COUNT; i++) {
        used += (size_t)sprintf(text + used,
                                "<VirtualHost *:80>\nServerName h%d.test\n"
                                "ServerAlias *.h%d.test\n</VirtualHost>\n",
                                i, i);
    }
    http = http_good(*state, text, listeners, NULL, NULL);
    hosts = http_hosts(http.app, ANY_80, NULL);
    for (int i = 0; i < COUNT; i += 7) {
        char name[64];
        char want[64];

        (void)snprintf(want, sizeof(want), "h%d.test", i);
        assert_string_equal(http_find_server(hosts, want, strlen(want))->server_hostname, want);
        (void)snprintf(name, sizeof(name), "www.h%d.test", i);
        assert_string_equal(http_find_server(hosts, name, strlen(name))->server_hostname, want);
    }
}

static void names_that_are_none_find_the_default(void **state)
{
    struct http_case http = http_good(
        *state, HOST("*:80", "ServerName a\n") HOST("*:80", "ServerName b\nServerAlias *.b\n"),
        listeners, NULL, NULL);
    const struct host_table *hosts = http_hosts(http.app, ANY_80, NULL);
    char name[5000];

    memset(name, 'x', sizeof(name));
    memcpy(name + sizeof(name) - 2, ".b", 2);
    assert_string_equal(http_find_server(hosts, name, sizeof(name))->server_hostname, "a");
    assert_string_equal(http_find_server(hosts, ".", 1)->server_hostname, "a");
    assert_string_equal(http_find_server(hosts, "..", 2)->server_hostname, "a");
    assert_string_equal(http_find_server(hosts, "\0b", 2)->server_hostname, "a");
    assert_string_equal(http_find_server(hosts, "bxyz", 1)->server_hostname, "b");
}

static const struct {
    const char *config, *words;
} errors[] = {
    { HOST("1.2.3.4:99999", ""), "1: 1.2.3.4:99999 is no address" },
    { HOST("1.2.3.4:x", ""), "1: 1.2.3.4:x is no address" },
    { HOST("::1", ""), "1: ::1 is no address" },
    { HOST("[::1", ""), "1: [::1 is no address" },
    { HOST("[zz]:80", ""), "1: [zz]:80 is no address" },
    { HOST("*.example.com:80", ""), "1: *.example.com:80 is no address" },
    { HOST(":80", ""), "1: :80 is no address" },
    { "ServerAlias x\n", "1: ServerAlias: it stands inside <VirtualHost> only" },
    { "ServerName a/b\n", "1: ServerName: a/b is no host name" },
    { "ServerName ::1\n", "1: ServerName: ::1 is no host name" },
    { "ServerName a:b\n", "1: ServerName: a port is a number" },
    { "Timeout 0\n", "1: Timeout: it wants a time above 0" },
    { "KeepAliveTimeout x\n", "1: KeepAliveTimeout: it wants a time" },
    { "LimitRequestFields 100000\n", "1: LimitRequestFields: it wants a number from 0 to 1000" },
    { "LimitRequestBody x\n", "1: LimitRequestBody: it wants a number of bytes" },
    { "ServerTokens Some\n", "1: ServerTokens: it is one of" },
    { "ServerName *.example.com\n", "1: ServerName: *.example.com is no host name" },
    { "RequestReadTimeout head=20\n", "1: RequestReadTimeout: head=20 is none of" },
    { "RequestReadTimeout header=20-40\n", "1: RequestReadTimeout: a range of timeouts wants" },
    { "RequestReadTimeout header=40-20,MinRate=1\n", "1: RequestReadTimeout: the longest" },
    { "RequestReadTimeout body=1,MinRate=0\n", "1: RequestReadTimeout: behind the comma" },
    { "RequestReadTimeout body=x\n", "1: RequestReadTimeout: a timeout is a number" },
    { HOST("*:80", "ServerTokens Prod\n"), "2: " },
};

static void a_wrong_host_or_setting_is_named_with_its_line(void **state)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct http_case http = http_text(*state, errors[i].config, listeners, NULL, NULL);
        const char *words = http_words(http.diags, *state);

        if (strstr(words, errors[i].words) != words) {
            fail_msg("%s: got \"%s\", want \"%s\"", errors[i].config, words, errors[i].words);
        }
    }
}

static void settings_have_httpds_defaults(void **state)
{
    struct http_case http = http_good(*state, HOST("*:80", ""), listeners, NULL, NULL);
    char name[256];

    assert_int_equal(gethostname(name, sizeof(name)), 0);
    for (ins_server *s = http.main_server; s; s = s->next) {
        const struct http_server_conf *conf = http_server_conf(s);
        const struct http_location_conf *location = s->lookup_defaults[core_module.index];

        assert_string_equal(s->server_hostname, name);
        assert_int_equal(conf->timeout, 60000);
        assert_int_equal(conf->keep_alive, 1);
        assert_int_equal(conf->keep_alive_timeout, 5000);
        assert_int_equal(conf->max_keep_alive_requests, 100);
        assert_int_equal(conf->read_header.initial, 20000);
        assert_int_equal(conf->read_header.maximum, 40000);
        assert_int_equal(conf->read_header.min_rate, 500);
        assert_int_equal(conf->read_body.initial, 20000);
        assert_int_equal(conf->read_body.maximum, 0);
        assert_int_equal(conf->read_body.min_rate, 500);
        assert_int_equal(conf->limits.line, 8190);
        assert_int_equal(conf->limits.fields, 100);
        assert_int_equal(conf->limits.field_size, 8190);
        assert_int_equal(location->limit_request_body, 1073741824);
        assert_string_equal(conf->server_header, "Instar/" INSTAR_VERSION " (Unix)");
        assert_null(conf->log.sink);
    }
}

static void a_host_overlays_the_main_server(void **state)
{
    struct http_case http = http_good(
        *state,
        "Timeout 10\nKeepAlive Off\nLimitRequestBody 5\nLimitRequestFields 0\n"
        "RequestReadTimeout header=0 body=10-20,MinRate=100\nServerTokens Minor\n"
        "ServerAdmin me@example.com\n" HOST(
            "*:80", "KeepAlive On\nKeepAliveTimeout 500ms\nRequestReadTimeout header=1\n"
                    "ServerName https://[::1]:8443\nLimitRequestLine 100\nLimitRequestBody 7\n"),
        listeners, NULL, NULL);
    ins_server *s = http.main_server->next;
    const struct http_server_conf *main_conf = http_server_conf(http.main_server);
    const struct http_server_conf *conf = http_server_conf(s);
    const struct http_location_conf *location = s->lookup_defaults[core_module.index];

    assert_int_equal(conf->timeout, 10000);
    assert_int_equal(main_conf->keep_alive, 0);
    assert_int_equal(conf->keep_alive, 1);
    assert_int_equal(conf->keep_alive_timeout, 500);
    assert_int_equal(main_conf->read_header.initial, 0);
    assert_int_equal(conf->read_header.initial, 1000);
    assert_int_equal(conf->read_header.min_rate, 0);
    assert_int_equal(conf->read_body.maximum, 20000);
    assert_int_equal(conf->limits.fields, H1_FIELDS_MAX);
    assert_int_equal(conf->limits.line, 100);
    assert_int_equal(main_conf->limits.line, 8190);
    assert_int_equal(location->limit_request_body, 7);
    assert_string_equal(s->server_hostname, "[::1]");
    assert_int_equal(s->port, 8443);
    assert_string_equal(s->server_admin, "me@example.com");
    assert_string_equal(conf->server_header, "Instar/0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_host_answers),
        cmocka_unit_test(ten_thousand_hosts_are_found),
        cmocka_unit_test(names_that_are_none_find_the_default),
        cmocka_unit_test(a_wrong_host_or_setting_is_named_with_its_line),
        cmocka_unit_test(settings_have_httpds_defaults),
        cmocka_unit_test(a_host_overlays_the_main_server),
    };

    return cmocka_run_group_tests(tests, http_setup, http_teardown);
}
