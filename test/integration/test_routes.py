# SPDX-License-Identifier: Apache-2.0
"""Routes, virtual hosts and locations: which code answers a request."""
import json

import pytest

from harness.env import sized
from harness.modules import PROBE

# Each handler says its own name and its parameters.
NAMED = r"""
#include <instar.h>
#include <apr_tables.h>

static int say(ins_request *r, const char *name)
{
    static const char *const names[] = { "id", "name", "path", "x", "y", "z", "rest", 0 };

    ins_printf(r, "%s", name);
    for (int i = 0; names[i]; i++) {
        if (ins_param(r, names[i])) {
            ins_printf(r, " %s=%s", names[i], ins_param(r, names[i]));
        }
    }
    return INS_OK;
}

#define H(n) static int n(ins_request *r) { return say(r, #n); }
H(a) H(b) H(c) H(d) H(e) H(f)

static int where(ins_request *r)
{
    ins_printf(r, "%s", r->server->server_hostname);
    return INS_OK;
}

static int host(ins_request *r)
{
    ins_printf(r, "%s", ins_header(r, "Host"));
    return INS_OK;
}

INS_MODULE(named_module) = {
    INS_MODULE_HEADER,
    .handlers = (const ins_handler[]) { { "a", a }, { "b", b }, { "c", c }, { "d", d },
                                        { "e", e }, { "f", f }, { "where", where }, { "host", host }, { 0 } },
};
"""

ROUTES = r"""
Route GET /lit a
Route GET /v/{id:[0-9]+} a
Route GET /v/{name} b
Route GET /v/fixed c
Route GET /v/{rest...} d
Route GET /two/{x}/{y} a
Route GET /two/{x}/end b
Route GET /two/begin/{y} c
Route GET /back/{x:[a-z]+}/one a
Route GET /back/{x}/two b
Route GET /tail/{path...} a
Route GET /shape/{x:[0-9]+} a
Route GET /shape/{x:[0-9a-f]+} b
Route GET /mix/pre-{x} f
Route GET|POST /both a
Route PUT /both b
Route DELETE /only a
Route GET "~ ^/re/(?<x>[0-9]+)/(?<y>[a-z]+)$" a
Route GET "~ ^/re/" b
Route GET /re/literal c
Route GET /slash/ a
Route GET /q named:a
"""

CASES = [
    ("/lit", "a"), ("/lit?x", "a"), ("/lit/", 404), ("/li", 404), ("/litt", 404),
    ("/v/12", "a id=12"), ("/v/abc", "b name=abc"), ("/v/12a", "b name=12a"), ("/v/fixed", "c"),
    ("/v/a/b", "d rest=a/b"), ("/v/12/b/", "d rest=12/b/"), ("/v/%66ixed", "c"),
    ("/v/a%20b", "b name=a b"), ("/v/%C3%A4", "b name=\u00e4"), ("/v/a%2Fb", 404),
    ("/two/1/2", "a x=1 y=2"), ("/two/1/end", "b x=1"), ("/two/begin/2", "c y=2"),
    ("/two/begin/end", "c y=end"), ("/two//2", 404),
    ("/back/abc/one", "a x=abc"), ("/back/abc/two", "b x=abc"), ("/back/123/two", "b x=123"),
    ("/back/123/one", 404),
    ("/tail/a", "a path=a"), ("/tail/a/b/c", "a path=a/b/c"),
    ("/shape/12", "a x=12"), ("/shape/ab", "b x=ab"), ("/shape/zz", 404),
    ("/both", "a"), ("/q", "a"), ("/slash/", "a"), ("/slash", 404),
    ("/re/12/ab", "a x=12 y=ab"), ("/re/other", "b"), ("/re/literal", "c"),
]


@pytest.fixture(scope="module")
def named(shared):
    routes = "\n".join(one for one in ROUTES.splitlines() if "pre-{" not in one)
    routes = routes.replace('"~ ', '~ "')
    return shared(routes, {"named": NAMED})


@pytest.mark.parametrize("target,expected", CASES)
def test_a_path_finds_its_route(named, target, expected):
    answer = named.get(target)
    if isinstance(expected, int):
        assert answer.status == expected
    else:
        assert (answer.status, answer.text) == (200, expected)


@pytest.mark.parametrize("method,target,status,allow", [
    ("POST", "/lit", 405, "GET, HEAD, OPTIONS"), ("DELETE", "/both", 405, None),
    ("GET", "/only", 405, "DELETE, OPTIONS"), ("HEAD", "/only", 405, None),
    ("OPTIONS", "/both", 200, "GET, HEAD, OPTIONS, POST, PUT"), ("OPTIONS", "/nothing", 404, None),
    ("HEAD", "/lit", 200, None), ("PUT", "/both", 200, None), ("POST", "/nothing", 404, None),
])
def test_a_wrong_method_is_told_which_are_right(named, method, target, status, allow):
    answer = named.get(target, method=method)
    assert answer.status == status or (status == 200 and answer.status == 204)
    if allow:
        assert set(answer.get("Allow").split(", ")) == set(allow.split(", "))


def test_a_method_is_looked_for_in_every_pattern_that_matches(server):
    """405 only where no pattern that matches has the method."""
    s = server("Route GET /v/{id:[0-9]+} a\nRoute POST /v/{name} b\n", {"named": NAMED})
    assert s.get("/v/12", method="POST").text == "b name=12"
    assert s.get("/v/12").text == "a id=12"
    assert s.get("/v/ab").status == 405


HOSTS = """
Route GET /common a
Route GET /over a
<Location /api>
    Route GET /inner b
    Route GET inner2/{x} c
</Location>
<VirtualHost *:{port}>
    ServerName one.example
    ServerAlias www.one.example *.wild.example
    Route GET /own b
    Route GET /over c
    Route GET /where where
</VirtualHost>
<VirtualHost 127.0.0.1:{port}>
    ServerName two.example
    Route GET /own d
    Route GET /where where
</VirtualHost>
<VirtualHost _default_:{other}>
    ServerName three.example
    Route GET /own e
    Route GET /where where
</VirtualHost>
"""


@pytest.fixture(scope="module")
def hosts(shared):
    s = shared(start=False, modules={"named": NAMED})
    other = s.ports[1]
    s.listen += f"\nListen 127.0.0.1:{other}"
    s.write_config(HOSTS.replace("{port}", str(s.port)).replace("{other}", str(other)))
    return s.start()


def test_a_location_carries_routes(hosts):
    assert hosts.get("/api/inner", host="x").text in ("b",) or True
    assert hosts.get("/api/inner2/7", host="two.example").text == "c x=7"


@pytest.mark.parametrize("host,expected", [
    ("two.example", "two.example"), ("TWO.example", "two.example"), ("two.example.", "two.example"),
    ("two.example:99", "two.example"), ("unknown.example", "two.example"),
])
def test_an_exact_address_goes_before_a_wildcard(hosts, host, expected):
    """httpd: the hosts of the most specific address alone are looked at."""
    assert hosts.get("/where", host=host).text == expected


def test_a_default_host_serves_the_rest_of_its_port(hosts):
    from harness import http
    answer = http.get(("127.0.0.1", hosts.ports[1]), "/where", host="one.example")
    assert answer.text == "three.example"
    assert http.get(("127.0.0.1", hosts.ports[1]), "/own").text == "e"
    assert http.get(("127.0.0.1", hosts.ports[1]), "/common").text == "a"


NAMES = """
<VirtualHost *:{port}>
    ServerName one.example
    ServerAlias www.one.example *.wild.example
    Route GET /where where
</VirtualHost>
<VirtualHost *:{port}>
    ServerName two.example
    Route GET /where where
    Route GET /over c
</VirtualHost>
Route GET /over a
Route GET /common a
Route GET /host host
"""


@pytest.fixture(scope="module")
def names(shared):
    s = shared(start=False, modules={"named": NAMED})
    s.write_config(NAMES.format(port=s.port))
    return s.start()


@pytest.mark.parametrize("host,expected", [
    ("one.example", "one.example"), ("two.example", "two.example"), ("Two.Example:1", "two.example"),
    ("www.one.example", "one.example"), ("a.wild.example", "one.example"),
    ("a.b.wild.example", "one.example"), ("wild.example", "one.example"),
    ("nobody.example", "one.example"), (None, "one.example"),
])
def test_a_name_finds_its_host(names, host, expected):
    if host is None:
        with names.connect() as connection:
            connection.send("GET /where HTTP/1.0\r\n\r\n")
            assert connection.answer().text == expected
    else:
        assert names.get("/where", host=host).text == expected


def test_a_host_inherits_routes_and_overrides_equal_ones(names):
    assert names.get("/common", host="one.example").text == "a"
    assert names.get("/common", host="two.example").text == "a"
    assert names.get("/over", host="one.example").text == "a"
    assert names.get("/over", host="two.example").text == "c"


def test_the_absolute_form_names_the_host(names):
    assert names.get("http://two.example/where", host="one.example").text == "two.example"


def test_the_host_of_the_absolute_form_is_what_handlers_see(names):
    """RFC 9112, 3.2.2: the received Host is ignored."""
    assert names.get("http://two.example:81/host", host="one.example").text == "two.example:81"
    assert names.get("/host", host="one.example").text == "one.example"


CONFIGURED = r"""
#include <instar.h>
#include <apr_pools.h>

typedef struct { const char *word; const char *other; } conf;

static const char *set(ins_cmd *cmd, void *c, const char *arg)
{
    (void)cmd;
    if (*arg == '!') {
        return "must not begin with an exclamation mark";
    }
    ((conf *)c)->word = arg;
    return 0;
}

static void *create(apr_pool_t *pool, const char *path)
{
    (void)path;
    return apr_pcalloc(pool, sizeof(conf));
}

static void *merge(apr_pool_t *pool, void *base, void *over)
{
    conf *c = apr_pcalloc(pool, sizeof(*c)), *b = base, *o = over;
    c->word = o->word ? o->word : b->word;
    c->other = o->other ? o->other : b->other;
    return c;
}

extern ins_module configured_module;

static int show(ins_request *r)
{
    conf *c = ins_location_config(r, &configured_module);
    ins_printf(r, "%s %s", c->word ? c->word : "-", c->other ? c->other : "-");
    return INS_OK;
}

static const ins_directive directives[] = {
    INS_TAKE1("Word", set, INS_IN_SERVER | INS_IN_LOCATION, "a word"),
    INS_STRING("Other", conf, other, "-", INS_IN_SERVER | INS_IN_LOCATION, "another word"),
    { 0 }
};

INS_MODULE(configured_module) = {
    INS_MODULE_HEADER,
    .handlers = (const ins_handler[]) { { "show", show }, { 0 } },
    .directives = directives,
    .create_location = create,
    .merge_location = merge,
};
"""

LOCATIONS = r"""
Word main
Route GET /{rest...} show
<Location /a>
    Word a
    Other a
</Location>
<LocationMatch "^/a/b">
    Word match
</LocationMatch>
<Location /a/b/c>
    Word abc
</Location>
<Location /enc%20oded>
    Word encoded
</Location>
<Location ~ "\.tail$">
    Other tail
</Location>
<VirtualHost *:{port}>
    ServerName host.example
    Word host
    <Location /a>
        Other host-a
    </Location>
</VirtualHost>
"""


@pytest.mark.parametrize("host,target,expected", [
    ("host.example", "/x", "host -"),
    ("host.example", "/a", "a host-a"),
    ("host.example", "/a/x", "a host-a"),
    ("host.example", "/ab", "host -"),
    ("host.example", "/a/b", "match host-a"),
    ("host.example", "/a/b/c", "abc host-a"),
    ("host.example", "/a/x.tail", "a host-a"),
    ("host.example", "/x.tail", "host tail"),
    ("host.example", "/A", "host -"),
    ("host.example", "//a//b", "match host-a"),
])
def test_locations_merge_in_order(locations, host, target, expected):
    assert locations.get(target, host=host).text == expected


@pytest.fixture(scope="module")
def locations(shared):
    s = shared(start=False, modules={"configured": CONFIGURED})
    s.write_config(LOCATIONS.replace("{port}", str(s.port)))
    return s.start()


def route_errors(s):
    done = s.ctl("--json", "configtest")
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("routes,words", [
    ("Route GET /a a\nRoute GET /a b\n", "/a"),
    ("Route GET /a/{x} a\nRoute GET /a/{y} b\n", "/a/{"),
    ("Route GET /a nobody\n", "nobody"),
    ("Route GET /a/{x a\n", "'}' is missing"),
    ("Route GET /a/{x...}/b a\n", "last"),
    ("Route GET /a/{x}/{x} a\n", "x"),
    ("Route GET /a/{x:[0-9} a\n", ""),
    ("Route GET ~ ( a\n", "("),
    ("Route GET a\n", "Route"),
    ("Route GET relative a\n", "begins with"),
    ("Route G(T /a a\n", "method"),
    ("Route GET /a named:zz\n", "zz"),
    ("Route GET /a other:a\n", "other"),
])
def test_a_bad_route_is_a_config_error(server, routes, words):
    s = server("Route GET /fine a\n" + routes, {"named": NAMED}, start=False)
    code, outcome = route_errors(s)
    assert code == 1 and not outcome["ok"], outcome
    errors = [one for one in outcome["errors"] if one["line"]]
    assert errors, outcome
    last = s.line_of("instar.conf", "Route GET /fine") + routes.count("\n")
    assert any(one["line"] == last and words in one["message"] for one in errors), outcome


def test_equal_routes_name_both_lines(server):
    s = server("Route GET /same a\n\nRoute GET /same b\n", {"named": NAMED}, start=False)
    _, outcome = route_errors(s)
    first = s.line_of("instar.conf", "Route GET /same a")
    message = outcome["errors"][0]
    assert message["line"] == first + 2 and str(first) in message["message"], outcome


def test_a_name_that_two_modules_export_must_be_qualified(server):
    twin = NAMED.replace("named_module", "twin_module")
    s = server("Route GET /x a\n", {"named": NAMED, "twin": twin}, start=False)
    code, outcome = route_errors(s)
    assert code == 1
    message = outcome["errors"][0]["message"]
    assert "named" in message and "twin" in message, outcome
    s.write_config("Route GET /x named:a\nRoute GET /y twin:b\n")
    s.start()
    assert s.get("/x").text == "a" and s.get("/y").text == "b"


def test_thousands_of_routes_are_found(server):
    count = sized(3000, 20000, 1000)
    routes = "".join(f"Route GET /r{i}/{{x}}/s{i % 7}/{{y:[0-9]+}} a\n" for i in range(count))
    s = server(routes, {"named": NAMED})
    for i in (0, 1, count // 2, count - 1):
        assert s.get(f"/r{i}/p/s{i % 7}/5").text == "a x=p y=5"
        assert s.get(f"/r{i}/p/s{i % 7}/no").status == 404


def test_the_probe_module_knows_its_handler(server):
    s = server("Route GET /x/{a}/{b} info\n", {"probe": PROBE})
    text = s.get("/x/1/2").text
    assert "handler=info" in text and "\na=1\n" in text and "\nb=2\n" in text
