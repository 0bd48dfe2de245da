# SPDX-License-Identifier: Apache-2.0
"""Probe: a request that a new generation must answer before it serves."""
import json
import os

from harness import certs, processes
from harness.env import sized, until
from harness.load import Load
from harness.modules import PROBE, PROBE_ROUTES, hello, version_of

ROUTE = "Route GET /hello hello\nMaxKeepAliveRequests 0\n"

# Version 2 is ill.
HEALTH = r"""
#include <instar.h>
#include <unistd.h>

#define HOW "@HOW@"

static int health(ins_request *r)
{
    if (HOW[0] == 'c') {
        *(volatile int *)0 = 1;
    }
    if (HOW[0] == 'h') {
        sleep(30);
    }
    if (HOW[0] == 'b') {
        ins_set_status(r, 503);
        ins_printf(r, "the database\nis away %s", r->connection->client_ip);
        return INS_OK;
    }
    ins_puts(r, "well");
    return INS_OK;
}

static const ins_handler handlers[] = { { "health", health }, { 0 } };

INS_MODULE(health_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""
ROUTES = ROUTE + "Route GET /health health\n"


def health(how):
    return HEALTH.replace("@HOW@", how)


def answers(s):
    return version_of(s.get("/hello").body)


def refused(s):
    outcome = s.graceful()
    assert outcome["exit"] == 1 and not outcome["ok"] and outcome["stage"] == "probe", outcome
    assert len(outcome["errors"]) == 1, outcome
    return outcome["errors"][0]


def test_a_probe_that_is_answered_lets_it_serve(server):
    s = server(ROUTES + "Probe GET /health 200\nProbe GET /nothing 404 timeout=10s\n",
               {"hello": hello(1), "health": health("well")})
    s.write_module("hello", hello(2))
    s.reload()
    assert answers(s) == 2


def test_a_probe_that_fails_refuses_the_reload(server):
    s = server(ROUTES + "Probe GET /health 200 timeout=500ms\n",
               {"hello": hello(1), "health": health("well")})
    s.expect_reports = True
    s.write_module("hello", hello(2))
    told = {"busy": "answered with 503: the database is away 127.0.0.1",
            "hang": "did not answer within 500 ms",
            "crash": "closed the connection without an answer"}
    for how, words in told.items():
        s.write_module("health", health(how))
        error = refused(s)
        assert "GET /health was to be answered with 200: the new generation " in error["message"]
        assert words in error["message"], error
        assert error["line"] == s.line_of("instar.conf", "Probe GET")
        assert answers(s) == 1
    assert "failed at stage probe" in s.ctl("generations").stdout
    # What is refused is gone, and a configtest does not probe.
    until(lambda: not s.old_generations(), "nothing is left")
    assert s.ctl("configtest").returncode == 0
    s.write_module("health", health("well"))
    s.reload()
    assert answers(s) == 2


def test_the_first_start_is_probed(server):
    s = server(ROUTES + "Probe GET /health 200\n", {"hello": hello(1), "health": health("busy")},
               start=False)
    done = s.run()
    assert done.returncode == 1
    assert "GET /health was to be answered with 200" in done.stderr, done.stderr
    assert "start failed at stage probe" in done.stderr


def test_a_rollback_is_probed(server):
    s = server(ROUTES + "Probe GET /health 200\n", {"hello": hello(1), "health": health("well")})
    flag = s.write("flag", "")
    s.write_module("health", health("well").replace(
        'ins_puts(r, "well");',
        'if (access("%s", F_OK) != 0) { return 500; } ins_puts(r, "well");' % flag))
    s.write_module("hello", hello(2))
    s.reload()
    s.write_module("hello", hello(3))
    s.reload()
    os.remove(flag)
    done = s.ctl("--json", "rollback")
    assert done.returncode == 1 and json.loads(done.stdout)["stage"] == "probe", done.stdout
    assert answers(s) == 3
    assert s.ctl("rollback", "1").returncode == 0
    assert answers(s) == 1


def test_a_probe_reaches_the_named_host_and_says_who_it_is(server):
    s = server(PROBE_ROUTES + """
<VirtualHost *>
    ServerName first.example
</VirtualHost>
<VirtualHost *>
    ServerName second.example
    Route POST /only-here whole
    CustomLog logs/second "%h %>s %r %{User-Agent}i"
</VirtualHost>
Probe POST /only-here 200 host=second.example
""", {"probe": PROBE})
    assert s.get("/only-here").status == 404
    # It is a request like others, so it is logged.
    assert until(lambda: s.read("logs/second"), "the line") == \
        '127.0.0.1 200 POST /only-here HTTP/1.1 Instar-Probe\n'


def test_a_probe_is_plain_where_the_listener_speaks_tls(server, tmp_path):
    certificate, key = certs.Authority(str(tmp_path)).issue("server", "localhost")
    s = server(ROUTE + f"SSLEngine on\nSSLCertificateFile {certificate}\n"
               f"SSLCertificateKeyFile {key}\nProbe GET /hello 200\n", {"hello": hello(1)})
    s.reload()


def test_bad_probes_are_told(server):
    s = server(ROUTES, {"hello": hello(1), "health": health("well")})
    for text, words in {"GET health 200": "begins with '/'", "GET /a 2000": "a status",
                        "GET /a 200 timeout=0": "timeout=", "GET /a 200 later": "timeout=TIME",
                        "G(T /a 200": "a method", '"GET" "/a b" 200': "without blanks"}.items():
        s.write_config(ROUTES + f"Probe {text}\n")
        outcome = s.graceful()
        assert outcome["stage"] == "config" and words in outcome["errors"][0]["message"], outcome


def test_refused_probes_under_load(server):
    s = server(ROUTES + "Probe GET /health 200\n", {"hello": hello(1), "health": health("well")})
    master = s.pid
    s.write_module("health", health("busy"))
    with Load(s.address, fresh=1, kept=2) as load:
        for _ in range(sized(4, 20)):
            refused(s)
            load.wait_for(10)
    load.assert_unbroken(40)
    assert s.pid == master and processes.alive(master)
