# SPDX-License-Identifier: Apache-2.0
"""Code that crashes once it serves is rolled back by itself, within ProbationTime."""
import json
import os
import signal
import time

from harness import processes
from harness.env import sized, until
from harness.http import Broken
from harness.modules import hello, version_of

ROUTE = ("Route GET /hello hello\nRoute GET /risk risk\nMaxKeepAliveRequests 0\n"
         "GracefulShutdownTimeout 5\n")
LONG_ENOUGH = "ProbationTime 120\n"

RISK = r"""
#include <instar.h>
#include <stdlib.h>
#include <unistd.h>

static int risk(ins_request *r)
{
    @HOW@;
    ins_puts(r, "risk");
    return INS_OK;
}

static const ins_handler handlers[] = { { "risk", risk }, { 0 } };

INS_MODULE(risk_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""
# Answers when somebody writes to a pipe, where there is one.
GATE = r"""
#include <fcntl.h>
#include <instar.h>
#include <unistd.h>

static int gate(ins_request *r)
{
    int fd = open("@PATH@", O_RDONLY);

    if (fd >= 0) {
        close(fd);
    }
    ins_puts(r, "open");
    return INS_OK;
}

static const ins_handler handlers[] = { { "gate", gate }, { 0 } };

INS_MODULE(gate_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""
WELL, CRASH = "(void)0", "*(volatile int *)0 = 1"


def risk(how):
    return RISK.replace("@HOW@", how)


def answers(s):
    try:
        return version_of(s.get("/hello", timeout=5).body)
    except (Broken, OSError):
        return None


def take_risk(s):
    try:
        return s.get("/risk", timeout=5).status
    except (Broken, OSError):
        return None


def crash_until(s, condition):
    """Asks for what crashes until the server has had enough."""
    asked = 0

    def once():
        nonlocal asked
        if condition():
            return True
        asked += take_risk(s) is None
        return condition()
    until(once, "it is rolled back")
    return asked


def history(s):
    return json.loads(s.ctl("--json", "generations").stdout)["history"]


def make(server, more=LONG_ENOUGH, **settings):
    s = server(ROUTE + more, {"hello": hello(1), "risk": risk(WELL)}, **settings)
    s.expect_reports = True  # a sanitizer tells of the crash itself
    return s


def serve_crashing(s, how=CRASH):
    s.write_module("hello", hello(2))
    s.write_module("risk", risk(how))
    s.reload()


def test_a_crash_loop_is_rolled_back(server):
    s = make(server)
    serve_crashing(s)
    status = s.status()
    assert status["probation"]["allowed"] == 3 and status["probation"]["crashes"] == 0
    assert "is on probation" in s.ctl("status").stdout
    began = time.monotonic()
    crash_until(s, lambda: s.status()["rollback_of"] == 1)
    assert time.monotonic() - began < s.slack(5)
    assert answers(s) == 1 and take_risk(s) == 200
    until(lambda: s.status()["last_reload"]["what"] == "rollback", "its outcome is there")
    status = s.status()
    assert status["last_reload"]["ok"] and status["last_reload"]["what"] == "rollback"
    words = status["last_reload"]["words"]
    assert "by itself: generation 2 crashed 3 times within" in words, words
    assert "its last handler was risk of risk_module (GET /risk)" in words, words
    assert status["probation"] is None, "what comes of it is not on probation"
    kept = {one["generation"]: one for one in history(s)}
    assert kept[2]["outcome"] == "crashed" and "crashed 3 times" in kept[2]["words"]
    assert "INS01153" in s.log()
    # The way on: a reload reads the disk, a rollback goes to what served before.
    s.write_module("risk", risk(WELL))
    s.reload()
    assert answers(s) == 2 and take_risk(s) == 200


def test_exits_count_and_the_number_is_set(server):
    for how in ("_exit(3)", "_exit(0)"):
        s = make(server, LONG_ENOUGH + "ProbationCrashes 1\n")
        serve_crashing(s, how)
        take_risk(s)
        until(lambda: s.status()["rollback_of"] == 1, "it is rolled back")
        assert answers(s) == 1
        s.stop()


def test_a_generation_process_that_dies_counts(server):
    s = make(server, LONG_ENOUGH + "ProbationCrashes 2\n")
    serve_crashing(s)
    for _ in range(2):
        generation = until(lambda: s.serving()["pid"], "it has a process")
        if s.status()["rollback_of"]:
            break
        os.kill(generation, signal.SIGSEGV)
        until(lambda: s.serving()["pid"] not in (None, generation), "it has another one")
    until(lambda: s.status()["rollback_of"] == 1, "it is rolled back")
    assert answers(s) == 1
    died = [one for one in history(s) if (one["words"] or "").startswith("its process ")]
    assert died and {one["outcome"] for one in died} <= {"ended", "crashed"}, died


def test_what_does_not_count(server):
    """kill -9, crashes after the time, and any crash where it is off."""
    s = make(server, LONG_ENOUGH + "ProbationCrashes 1\n")
    serve_crashing(s)
    for _ in range(2):
        victim = s.worker_pids()[0]
        processes.kill(victim)
        until(lambda: victim not in s.worker_pids() and len(s.worker_pids()) == 2,
              "it is replaced")
    assert s.status()["probation"]["crashes"] == 0 and s.status()["generation"] == 2
    s.stop()
    for more in ("ProbationTime 0\n", "ProbationTime 50ms\nProbationCrashes 1\n"):
        s = make(server, more)
        serve_crashing(s)
        until(lambda: s.status()["probation"] is None, "its time is over")
        for _ in range(4):
            take_risk(s)
        until(lambda: answers(s) == 2, "it is served as before")
        assert s.status()["generation"] == 2 and not s.status()["rollback_of"]
        s.stop()


def test_a_rollback_by_hand_is_on_probation_and_ends_there(server):
    """What crashes after it is thrown out too, once; what is brought back so stays."""
    s = make(server, LONG_ENOUGH + "ProbationCrashes 1\n")
    s.stop()
    s.write_module("risk", risk(CRASH))
    s.start()                              # a start is not on probation
    take_risk(s)
    until(lambda: answers(s) == 1, "it is served as before")
    serve_crashing(s, "abort()")           # as bad
    done = s.ctl("--json", "rollback")
    assert json.loads(done.stdout)["ok"], done.stdout
    take_risk(s)                           # back to abort()
    until(lambda: answers(s) == 2, "the rollback is rolled back")
    generation = s.status()["generation"]
    for _ in range(3):
        take_risk(s)
    until(lambda: answers(s) == 2, "it stays")
    assert s.status()["generation"] == generation


def test_a_reload_that_brings_the_same_again_does_not_save_it(server):
    """It had crashed often enough while that reload was under way."""
    s = make(server)
    s.write_module("gate", GATE.replace("@PATH@", s.path("gate")))
    s.write_config(ROUTE + LONG_ENOUGH + "Route GET /gate gate\n"
                   "Probe GET /gate 200 timeout=60s\n")
    serve_crashing(s)
    until(lambda: answers(s) == 2, "it serves")
    os.mkfifo(s.path("gate"))
    os.chmod(s.path("gate"), 0o666)
    reload = s.spawn(s.ctl_command("graceful"))
    until(lambda: s.status()["step"] == "probing", "the reload waits for its probe")
    crash_until(s, lambda: s.log().count("INS01153") > 0)
    assert s.status()["step"] == "probing" and s.status()["rollback_of"] is None
    with open(s.path("gate"), "w", encoding="ascii"):
        os.remove(s.path("gate"))
    assert reload.wait(60) == 0
    until(lambda: s.status()["rollback_of"] == 1, "it is rolled back behind the reload")
    assert answers(s) == 1
    until(lambda: "generation 2 crashed 3 times" in s.status()["last_reload"]["words"],
          "its outcome is there")


def test_no_request_is_lost_but_the_crashing(server):
    """Asked one after the other: what else sits in a worker that crashes is lost with it."""
    s = make(server, LONG_ENOUGH + "MaxDrainingGenerations 4\n")
    master = s.pid
    for _ in range(sized(2, 20)):
        serve_crashing(s)
        crashed, served = 0, set()
        while not s.status()["rollback_of"]:
            crashed += take_risk(s) is None
            served.add(version_of(s.get("/hello").body))  # never refused, never cut
            assert crashed < 1000
        assert crashed >= 3 and served <= {1, 2}, (crashed, served)
        assert version_of(s.get("/hello").body) == 1
        s.write_module("hello", hello(1))
        s.write_module("risk", risk(WELL))
        s.reload()
    assert s.pid == master and processes.alive(master)
