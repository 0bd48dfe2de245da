# SPDX-License-Identifier: Apache-2.0
"""The config language: what it does, and what it says about mistakes, all of them in one run."""
import json
import os

import pytest

from harness.modules import PROBE, hello

MODULES = {"hello": hello(1), "probe": PROBE}


def check(s):
    """configtest: the exit code and the errors."""
    done = s.ctl("--json", "configtest")
    outcome = json.loads(done.stdout)
    assert outcome["ok"] == (done.returncode == 0)
    return done.returncode, outcome.get("errors", []), outcome


def test_everything_that_config_can_do_is_served(server):
    """Continuations, quoting, Define, IfDefine, IfModule, IfFile, Include, nesting."""
    s = server(start=False, modules=MODULES)
    s.write("conf.d/10.conf", "Route GET /from-ten hello\n")
    s.write("conf.d/20.conf", "Route GET /from-twenty hello\nInclude conf.d/deeper/*.inc\n")
    s.write("conf.d/deeper/x.inc", "Route GET /from-deeper hello\n")
    s.write_config(r"""
Include conf.d/*.conf
IncludeOptional nowhere/*.conf
# a comment \
Route GET /commented hello
Define place defined
Define HANDLER hello
Route GET /${place}/here ${HANDLER}
Route \
    GET \
    "/quoted path" \
    hello
route get|post '/single' "hello"
<IfDefine place>
    Route GET /if-define hello
    <IfModule hello_module>
        <IfModule !nowhere_module>
            Route GET /nested hello
        </IfModule>
    </IfModule>
</IfDefine>
<IfDefine !place>
    Nonsense that is not read
</IfDefine>
<IfModule modules/nothing.c>
    Nonsense either
</IfModule>
<IfFile instar.conf>
    Route GET /if-file hello
</IfFile>
<IfFile nowhere.conf>
    Nonsense too
</IfFile>
UnDefine place
<IfDefine place>
    Nonsense as well
</IfDefine>
Route GET /env/${INSTAR_TEST_WORD} hello
""".replace("route get|post", "route GET|POST"))
    os.environ["INSTAR_TEST_WORD"] = "word"
    try:
        s.start()
    finally:
        del os.environ["INSTAR_TEST_WORD"]
    for path in ("/from-ten", "/from-twenty", "/from-deeper", "/defined/here", "/quoted%20path",
                 "/single", "/if-define", "/nested", "/if-file", "/env/word"):
        assert s.get(path).status == 200, path
    assert s.get("/commented").status == 404


MISTAKES = [
    ("Nonsense on", "Nonsense", 1),
    ("KeepAlvie On", "KeepAlive", 1),
    ("KeepAlive Maybe", "On or Off", None),
    ("KeepAliveTimeout soon", "time", None),
    ("KeepAliveTimeout", "KeepAliveTimeout", None),
    ("KeepAliveTimeout 1 2 3", "KeepAliveTimeout", None),
    ("LimitRequestFields -5", "LimitRequestFields", None),
    ("LimitRequestLine 99999999999999999999", "LimitRequestLine", None),
    ("Listen nonsense:port", "", None),
    ("Listen 99999", "65535", None),
    ("<VirtualHost>\n</VirtualHost>", "VirtualHost", None),
    ("<Location>\n</Location>", "Location", None),
    ("<LocationMatch \"(\">\n</LocationMatch>", "", None),
    ("</Location>", "Location", None),
    ("<Nonsense x>\n</Nonsense>", "Nonsense", None),
    ("<Location /x>\nWorkers 3\n</Location>", "Workers", None),
    ("<VirtualHost *:1>\nUser nobody\n</VirtualHost>", "User", None),
    ("Include nowhere.conf", "nowhere.conf", None),
    ("LogLevel loud", "loud", None),
    ("LogFormat \"%{x}Q\" broken", "", None),
    ("CustomLog logs/x nosuchformat", "nosuchformat", None),
    ("SSLEngine perhaps", "On or Off", None),
    ("SSLProtocol TLSv9", "TLSv9", None),
    ("SSLVerifyClient sometimes", "sometimes", None),
    ("SSLCipherSuite NOTHING-OF-THE-KIND", "", None),
    ("RequestReadTimeout header=x", "", None),
    ("ServerTokens Loud", "Prod", None),
    ("Timeout \"60", "", None),
    ("GracefulShutdownTimeout -1", "", None),
    ("ServerName", "ServerName", None),
    ("Route GET ${UNDEFINED_VARIABLE_HERE} hello", "", None),
    ("SSLVerifyDepth many", "number", None),
    ("LoadModule two_module", "LoadModule", None),
]


@pytest.mark.parametrize("text,words,column", MISTAKES)
def test_a_mistake_is_named_with_its_place(server, text, words, column):
    s = server("Route GET /hello hello\n" + text + "\n", MODULES, start=False)
    code, errors, outcome = check(s)
    assert code == 1 and errors, outcome
    first = s.line_of("instar.conf", "Route GET /hello") + 1
    last = first + text.count("\n")
    assert any(first <= (error["line"] or 0) <= last and error["file"] == s.path("instar.conf")
               and words in error["message"] for error in errors), outcome
    assert all(error["column"] for error in errors if error["line"])
    if column:
        assert errors[0]["column"] == column


def test_all_mistakes_are_reported_at_once(server):
    texts = ["Nonsense one", "KeepAlive Maybe", "Route GET /x nobody", "LogLevel loud",
             "Timeout never"]
    s = server("\n".join(texts) + "\n", MODULES, start=False)
    code, errors, outcome = check(s)
    lines = {error["line"] for error in errors}
    first = s.line_of("instar.conf", "Nonsense one")
    wanted = {first, first + 1, first + 3, first + 4}
    assert code == 1 and wanted <= lines, outcome
    done = s.run("-t")
    for line in wanted:
        assert f"instar.conf:{line}:" in done.stderr + done.stdout
    assert "^" in done.stderr + done.stdout


def test_a_mistake_in_an_included_file_is_named_there(server):
    s = server("Include extra.conf\n", MODULES, start=False)
    s.write("extra.conf", "\n\n   Nonsense\n")
    _, errors, outcome = check(s)
    assert errors[0]["file"] == s.path("extra.conf") and errors[0]["line"] == 3, outcome
    assert errors[0]["column"] == 4


def test_a_containers_end_is_missed_at_its_beginning(server):
    s = server("<VirtualHost *:80>\nServerName x\n", MODULES, start=False)
    _, errors, outcome = check(s)
    assert any(error["line"] == s.line_of("instar.conf", "<VirtualHost") for error in errors), outcome


def test_include_loops_are_found(server):
    s = server("Include a.conf\n", MODULES, start=False)
    s.write("a.conf", "Include b.conf\n")
    s.write("b.conf", "Include a.conf\n")
    code, errors, outcome = check(s)
    assert code == 1 and errors, outcome
    assert "a.conf" in str(errors) or "b.conf" in str(errors)


STRANGE = dict([
    ("binary", bytes(range(256)) * 100),
    ("an executable", b"\x7fELF\x02\x01\x01\0" + b"\0" * 1000),
    ("not UTF-8", b"ServerName \xff\xfe\n"),
    ("UTF-16", "ServerName x\n".encode("utf-16")),
    ("10 MB of one line", b"x" * 10000000),
    ("10 MB of brackets", b"<Location /x>\n" * 700000),
    ("10 MB of continuations", b"\\\n" * 5000000),
    ("a NUL", b"ServerName a\0b\n"),
])


@pytest.mark.parametrize("name", STRANGE)
def test_a_file_that_is_no_config_gets_a_clear_error(server, name):
    s = server("Include strange.conf\n", MODULES, start=False)
    s.write("strange.conf", STRANGE[name])
    done = s.run("-t")
    text = done.stdout + done.stderr
    named, length, start = "strange.conf" in text, len(text), text[:1000]
    assert done.returncode in (0, 1), start
    assert named or done.returncode == 0, start
    if name not in ("10 MB of continuations", "not UTF-8"):
        assert done.returncode == 1, start
    assert length < 1000000, start


def test_a_directory_or_nothing_for_a_config(server):
    s = server("", MODULES, start=False)
    for name in ("modules", "nowhere.conf", ""):
        done = s.run("-f", name, "-t")
        assert done.returncode in (1, 2) and done.stderr + done.stdout, done


def test_directives_of_httpd_without_meaning_are_warned_of(server):
    s = server("StartServers 5\nRoute GET /hello hello\n", MODULES)
    assert s.get("/hello").status == 200
    done = s.run("-t")
    assert done.returncode == 0 and "StartServers" in done.stderr + done.stdout


def test_the_snapshot_is_what_counts(server):
    """Files that change while a reload runs do not matter to it."""
    s = server("Route GET /hello hello\n", MODULES)
    assert s.reload()["ok"]
    s.write_config("Route GET /hello hello\nNonsense\n")
    assert s.graceful()["exit"] == 1
    assert s.get("/hello").status == 200


@pytest.mark.parametrize("line", ["Listen 127.0.0.1:{a}", "Listen {a}", "Listen 127.0.0.1:{a} http",
                                  "Listen 127.0.0.1:{a}\nListen 127.0.0.1:{b}"])
def test_forms_of_listen(server, line):
    s = server("Route GET /hello hello\n", MODULES, start=False)
    s.listen = line.format(a=s.port, b=s.ports[1])
    s.write_config()
    s.start()
    assert s.get("/hello").status == 200


def test_the_same_listen_twice_is_an_error_or_once(server):
    s = server("Route GET /hello hello\n", MODULES, start=False)
    s.listen += "\n" + s.listen
    s.write_config()
    code, errors, _ = check(s)
    if code == 0:
        s.start()
        assert s.get("/hello").status == 200
    else:
        assert errors[0]["line"]


def test_server_tokens(server):
    for word, expected in (("Prod", "Instar"), ("Full", "Instar/")):
        s = server(f"Route GET /hello hello\nServerTokens {word}\n", MODULES)
        header = s.get("/hello").get("Server")
        assert header.startswith(expected) and (word != "Prod" or header == "Instar")
        s.stop()
