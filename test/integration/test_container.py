# SPDX-License-Identifier: Apache-2.0
"""The server as the first process of a pid namespace, as in a container."""
import os
import signal
import subprocess

import pytest

from harness import processes
from harness.env import until
from harness.http import Connection
from harness.modules import PROBE, hello, version_of

ROUTES = "Route GET /hello hello\nRoute GET /orphan orphan\nRoute GET /nap nap\n"
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

ORPHAN = r"""
#include <instar.h>
#include <stdlib.h>
#include <unistd.h>

/* A grandchild that outlives its parent: init's to reap. */
static int orphan(ins_request *r)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (fork() == 0) {
            usleep(100000);
        }
        _exit(0);
    }
    ins_puts(r, "left behind");
    return INS_OK;
}

static const ins_handler handlers[] = { { "orphan", orphan }, { 0 } };

INS_MODULE(orphan_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as text:
        return [int(word) for word in text.read().split()]


@pytest.fixture
def contained(server):
    """A server that is its namespace's pid 1, without -DFOREGROUND."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no pid namespaces here")
    s = server(ROUTES, {"hello": hello(1), "orphan": ORPHAN, "probe": PROBE}, start=False)
    with open(s.path("stderr"), "ab") as stderr:
        outer = subprocess.Popen([*NAMESPACE, *s.command()], stdin=subprocess.DEVNULL,
                                 stdout=stderr, stderr=stderr)
    until(lambda: outer.poll() is not None or (s.status() or {}).get("generation"), "it serves")
    assert outer.poll() is None, s.log()
    s.first = children(outer.pid)[0]
    s.outer = outer
    yield s
    if outer.poll() is None:
        processes.kill(s.first)
    outer.wait()


def test_it_stays_in_the_foreground_reloads_and_reaps_orphans(contained):
    s = contained
    assert s.status()["pid"] == 1
    s.write_module("hello", hello(2))
    assert s.ctl("graceful").returncode == 0
    assert version_of(s.get("/hello").body) == 2
    os.kill(s.first, signal.SIGHUP)
    until(lambda: s.status()["generation"] == 3, "a signal is understood too")
    until(lambda: not s.old_generations() and
          not any("keeper" in processes.title(pid) for pid in processes.descendants(s.first)),
          "those that serve are left")
    family = len(processes.descendants(s.first))
    for _ in range(4):
        assert s.get("/orphan").body == b"left behind"
    until(lambda: len(processes.descendants(s.first)) == family, "orphans are reaped")


def test_docker_stop_is_graceful_and_the_exit_status_is_the_containers(contained):
    s = contained
    with Connection(s.address) as slow:
        slow.send("GET /nap?ms=700 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        until(lambda: s.status()["connections"] >= 1, "it naps")
        os.kill(s.first, signal.SIGQUIT)
        assert slow.answer().body == b"slept"
    assert s.outer.wait(60) == 0


def test_sigterm_stops_the_first_process_at_once(contained):
    os.kill(contained.first, signal.SIGTERM)
    assert contained.outer.wait(60) == 0
