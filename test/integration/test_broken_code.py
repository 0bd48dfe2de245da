# SPDX-License-Identifier: Apache-2.0
"""Broken code and broken settings never go live: the old generation serves on, and the person who
asked reads what is wrong and where."""
import os
import signal
import socket

import pytest

from harness import processes
from harness.env import SANITIZED, until
from harness.load import Load
from harness.modules import hello, version_of

CONFIG = """
Route GET /hello hello
StartTimeout {start}
BuildTimeout {build}
BuildMemoryLimit 400M
"""
START = 5 if SANITIZED else 3
BUILD = 8 if SANITIZED else 4

CONSTRUCTOR = r"""
#include <stdlib.h>
#include <pthread.h>
#include <unistd.h>
static void *idle(void *nothing) { for (;;) { pause(); } return nothing; }
@WHERE@
{
    pthread_t thread;
    (void)idle; (void)thread;
    @WHAT@
}
"""

DEEDS = {
    "crashes": "*(volatile int *)8 = 1;",
    "uses a null pointer": "*(volatile int *)0 = 1;",
    "exits with success": "exit(0);",
    "leaves by _exit": "_exit(0);",
    "aborts": "abort();",
    "loops for ever": "for (;;) { __asm__ volatile (\"\"); }",
    "sleeps for ever": "for (;;) { pause(); }",
    "leaves a thread behind": "pthread_create(&thread, 0, idle, 0);",
    "forks without end": "for (;;) { if (fork() == 0) { for (;;) { pause(); } } "
                         "static int n; if (++n > 200) { for (;;) { pause(); } } }",
}
if SANITIZED:  # these take StartTimeout each, and the sanitizer sees nothing in them
    del DEEDS["sleeps for ever"], DEEDS["forks without end"]


def in_constructor(what):
    code = CONSTRUCTOR.replace("@WHERE@", "__attribute__((constructor)) static void begin(void)")
    return hello(2) + code.replace("@WHAT@", what)


def in_set_up(what):
    code = CONSTRUCTOR.replace("@WHERE@", "static void begin(void)").replace("@WHAT@", what)
    hook = "static int set_up(apr_pool_t *p, ins_server *s) { (void)p; (void)s; begin(); return INS_OK; }\n"
    source = hello(2).replace("INS_MODULE(hello_module)", code + hook + "INS_MODULE(hello_module)")
    return source.replace(".handlers = handlers", ".handlers = handlers, .post_config = set_up")


def good_again(s):
    s.write_module("hello", hello(1))
    s.write_config(CONFIG.format(start=START, build=BUILD))


@pytest.fixture(scope="module")
def steady(shared):
    return shared(CONFIG.format(start=START, build=BUILD), {"hello": hello(1)})


@pytest.fixture
def s(steady):
    """Serving good code before and after, under load meanwhile."""
    before = steady.status()["generation"]
    with Load(steady.address, pause=0.01) as load:
        load.wait_for(4)
        yield steady
        load.wait_for(4)
    load.assert_unbroken()
    assert {one[2] for one in load.fresh} == {1}
    assert steady.status()["generation"] == before
    good_again(steady)
    until(lambda: len(processes.descendants(steady.pid)) == 3, "nothing of the attempt is left")


def check(s, stages, *words):
    """Refused at one of these stages, with all the words in the messages."""
    outcome = s.graceful()
    assert outcome["exit"] == 1 and outcome["ok"] is False, outcome
    assert outcome["stage"] in stages, outcome
    said = " ".join(str(error) for error in outcome["errors"])
    for word in words:
        assert word in said, f"{word!r} is not in {said}"
    assert version_of(s.get("/hello").body) == 1
    last = s.status()["last_reload"]
    assert last["ok"] is False and last["stage"] == outcome["stage"]
    return outcome["errors"]


def test_a_syntax_error_is_named_by_file_and_line(s):
    source = hello(2).replace("return INS_OK;", "return INS_OK")
    s.write_module("hello", source)
    errors = check(s, ["build"], "hello.c")
    line = s.line_of("modules/hello.c", "return INS_OK")
    assert errors[0]["line"] in (line, line + 1) and errors[0]["column"], errors
    assert errors[0]["file"].endswith("modules/hello.c")
    assert s.status()["last_reload"]["compiled"] == []


def test_the_compilers_words_reach_the_caller_unchanged(s):
    s.write_module("hello", hello(2).replace("ins_puts(r,", "ins_putz(q,"))
    done = s.ctl("graceful")
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert "hello.c:" in text and "error:" in text and "ins_putz(q," in text and "^" in text
    assert "ins_putz" in s.log()


def test_a_missing_header_is_named(s):
    s.write_module("hello", '#include "nowhere.h"\n' + hello(2))
    errors = check(s, ["build"], "nowhere.h")
    assert errors[0]["line"] == 1


def test_an_undefined_symbol_is_named(s):
    source = "extern int missing_function(void);\n" + hello(2).replace(
        "return INS_OK;", "return missing_function();")
    s.write_module("hello", source)
    check(s, ["build", "load"], "missing_function", "hello")


def test_a_missing_module_structure_is_named(s):
    s.write_module("hello", hello(2).replace("INS_MODULE(hello_module)", "INS_MODULE(hullo_module)"))
    check(s, ["load"], "hello_module")


def test_a_wrong_api_version_is_named(s):
    s.write_module("hello", hello(2).replace(
        "INS_MODULE_HEADER,", ".magic = INS_MAGIC, .api_version = 4711, .size = sizeof(ins_module), "
                              '.source_file = "x",'))
    check(s, ["load"], "4711", "hello")


def test_a_structure_that_is_none_of_ours_is_refused(s):
    s.write_module("hello", "int hello_module[100] = { 1 };\n")
    check(s, ["load", "build"], "hello")


@pytest.mark.parametrize("deed", DEEDS)
def test_a_constructor_that_misbehaves(s, deed):
    s.write_module("hello", in_constructor(DEEDS[deed]))
    check(s, ["load", "start", "build"], "hello")


@pytest.mark.parametrize("deed", DEEDS)
def test_a_set_up_that_misbehaves(s, deed):
    s.write_module("hello", in_set_up(DEEDS[deed]))
    check(s, ["start", "load"], "hello")


def test_a_set_up_that_refuses_is_quoted(s):
    source = in_set_up('ins_log(&hello_module, INS_ERR, "the moon is wrong");').replace(
        "begin(); return INS_OK;", "begin(); return 500;")
    s.write_module("hello", source.replace("static void begin", "extern ins_module hello_module;\n"
                                           "static void begin"))
    check(s, ["start"], "hello")
    assert "the moon is wrong" in s.log()


def test_a_handler_structure_without_end_does_not_hurt(s):
    """A worker that dies at its start is a failed reload."""
    source = hello(2).replace(
        ".handlers = handlers",
        ".handlers = handlers, .child_init = init").replace(
        "INS_MODULE(hello_module)",
        "static void init(apr_pool_t *p, ins_server *m) { (void)p; (void)m; *(volatile int *)8 = 1; }\n"
        "INS_MODULE(hello_module)")
    s.write_module("hello", source)
    check(s, ["start", "load"])


def test_a_compile_that_never_ends_is_stopped(s):
    fifo = s.path("modules", "never.h")
    if not os.path.exists(fifo):
        os.mkfifo(fifo, 0o644)
    s.write_module("hello", '#include "never.h"\n' + hello(2))
    check(s, ["build"], "hello")


def test_a_compile_that_eats_memory_is_stopped(s):
    doubling = "#define A0 1,1,1,1,1,1,1,1\n"
    for i in range(1, 26):
        doubling += f"#define A{i} A{i - 1},A{i - 1}\n"
    s.write_module("hello", doubling + "int many[] = { A25 };\n" + hello(2))
    check(s, ["build"], "hello")


def test_an_endless_include_is_named(s):
    s.write_module("hello", '#include "hello.c"\n' + hello(2))
    check(s, ["build"], "hello.c")


def test_a_missing_source_is_named(s):
    s.write_config(s.config + "LoadModule gone_module modules/gone.c\n")
    check(s, ["build", "config", "load"], "gone.c")


def test_an_unknown_directive_is_named_with_its_neighbour(s):
    s.write_config(s.config + "KeepAliveTimeOutt 5\n")
    errors = check(s, ["config"], "KeepAliveTimeOutt", "KeepAliveTimeout")
    assert errors[0]["line"] == s.line_of("instar.conf", "KeepAliveTimeOutt")
    assert errors[0]["file"] == s.path("instar.conf") and errors[0]["column"] == 1


def test_an_unknown_handler_is_named(s):
    s.write_config(s.config + "Route GET /x hallo\n")
    check(s, ["config", "start", "load"], "hallo", "hello")


def test_a_port_in_use_is_named(s):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        listen, s.listen = s.listen, s.listen + f"\nListen 127.0.0.1:{port}"
        s.write_config()
        try:
            errors = check(s, ["start"], str(port), "in use")
            assert errors[0]["line"] == s.line_of("instar.conf", f"Listen 127.0.0.1:{port}")
        finally:
            s.listen = listen


def test_a_missing_certificate_is_named(s):
    s.write_config(s.config + "<VirtualHost *:1>\nServerName x\nSSLEngine On\n"
                              "SSLCertificateFile missing.pem\n</VirtualHost>\n")
    errors = check(s, ["start"], "missing.pem")
    assert errors[0]["line"] == s.line_of("instar.conf", "SSLCertificateFile")


def test_an_https_address_without_a_certificate_is_named(s):
    listen, s.listen = s.listen, s.listen + "\nListen 127.0.0.1:1 https"
    s.write_config()
    try:
        errors = check(s, ["start"], "certificate")
        assert errors[0]["line"] == s.line_of("instar.conf", "127.0.0.1:1 https")
        tested = s.run("-t")
        assert tested.returncode == 1 and "certificate" in tested.stderr, tested
    finally:
        s.listen = listen


def test_an_unknown_user_is_named(s):
    user, s.user = s.user, "User nobody-of-that-name"
    s.write_config()
    try:
        check(s, ["config", "start"], "nobody-of-that-name")
    finally:
        s.user = user


def test_a_log_that_cannot_be_opened_is_named(s):
    s.write_config(s.config + 'CustomLog /nowhere/at/all/log "%h"\n')
    check(s, ["start", "config"], "/nowhere/at/all/log")
    tested = s.run("-t")
    assert tested.returncode == 1 and "/nowhere/at/all/log" in tested.stderr, tested


def test_the_config_file_may_be_gone(s):
    log = len(s.log())
    os.unlink(s.path("instar.conf"))
    try:
        s.send(signal.SIGHUP)
        until(lambda: "instar.conf" in s.log()[log:], "the error is logged")
        assert version_of(s.get("/hello").body) == 1
    finally:
        good_again(s)
    assert s.status()["last_reload"]["stage"] == "config"


def test_a_failed_hangup_shows_in_status_and_log(s):
    s.write_config(s.config + "Nonsense 1\n")
    log = len(s.log())
    s.send(signal.SIGHUP)
    until(lambda: "Nonsense" in s.log()[log:], "the error is logged")
    last = until(lambda: [one for one in [s.status()["last_reload"]] if one and not one["ok"]],
                 "status tells of it")[0]
    assert last["stage"] == "config" and "Nonsense" in str(last["errors"])
    text = s.ctl("status").stdout
    assert "Nonsense" in text


def test_good_code_goes_live_again(steady):
    steady.write_module("hello", hello(9))
    steady.reload()
    assert version_of(steady.get("/hello").body) == 9
    steady.write_module("hello", hello(1))
    steady.reload()


# ---- The first start ---------------------------------------------------------------------


def test_a_first_start_that_fails_says_why(server):
    s = server("Route GET /hello hello\n", {"hello": "this is no C\n"}, start=False)
    done = s.run("-k", "start")
    assert done.returncode == 1
    assert "hello.c:1:" in done.stderr + done.stdout
    done = s.run("-DFOREGROUND")
    assert done.returncode == 1
    assert "hello.c:1:" in done.stderr + done.stdout
    assert not os.path.exists(s.path("run", "httpd.pid"))


def test_a_first_start_that_hangs_is_bounded(server):
    s = server(CONFIG.format(start=START, build=BUILD), {"hello": in_set_up("for (;;) { pause(); }")},
               start=False)
    done = s.run("-k", "start")
    assert done.returncode == 1 and "hello" in done.stderr + done.stdout
