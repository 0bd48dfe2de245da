# SPDX-License-Identifier: Apache-2.0
"""Processes that die, and a master that survives them."""
import os
import resource
import signal
import socket
import time

import pytest

from harness import processes
from harness.env import sized, until
from harness.http import Broken
from harness.load import Load
from harness.modules import PROBE, PROBE_ROUTES, hello, pid_of, version_of

ROUTE = "Route GET /hello hello\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n"


def answers(s):
    try:
        return version_of(s.get("/hello", timeout=5).body)
    except (Broken, OSError):
        return None


def serving_again(s, seconds):
    """New connections are answered, one after the other, by every worker."""
    began = time.monotonic()
    until(lambda: answers(s), "it answers", s.slack(10))
    assert time.monotonic() - began < s.slack(seconds)


def test_a_killed_worker_is_replaced(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    master = s.pid
    for _ in range(sized(4, 20, 2)):
        victim = s.worker_pids()[0]
        with Load(s.address, fresh=2, kept=0) as load:
            load.wait_for(10)
            processes.kill(victim)
            serving_again(s, 1)
            until(lambda: victim not in s.worker_pids() and len(s.worker_pids()) == 2,
                  "it is replaced")
            load.wait_for(20)
        load.stop()
        # What the dead worker was doing is lost; nothing is refused, and it is over at once.
        assert not [one for one in load.failures if "refused" in one[1]], load.failures
        assert len(load.failures) <= 4, load.failures
    assert s.pid == master and processes.alive(master)


def test_connections_that_wait_for_a_killed_worker_are_answered(server):
    """The only worker dies while connections wait in the kernel's queue."""
    s = server(ROUTE, {"hello": hello(1)}, workers=1)
    worker = s.worker_pids()[0]
    os.kill(worker, signal.SIGSTOP)
    waiting = [s.connect() for _ in range(20)]
    for connection in waiting:
        connection.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    processes.kill(worker)
    for connection in waiting:
        assert version_of(connection.answer().body) == 1
        connection.close()


def test_a_killed_generation_is_replaced(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    for _ in range(sized(3, 20, 2)):
        generation = s.serving()["pid"]
        with Load(s.address, fresh=2, kept=0) as load:
            load.wait_for(10)
            processes.kill(generation)
            serving_again(s, 1)
            until(lambda: (s.status() or {}).get("generation") and
                  s.serving()["pid"] not in (generation, None), "it is replaced")
            load.wait_for(20)
        load.stop()
        assert not [one for one in load.failures if "refused" in one[1]], load.failures
        assert len(load.failures) <= 4, load.failures
    until(lambda: not s.old_generations(), "nothing is left of the killed ones")


def test_all_workers_killed_at_once(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=4)
    for pid in s.worker_pids():
        processes.kill(pid)
    serving_again(s, 1)
    until(lambda: len(s.worker_pids()) == 4, "all are replaced")


@pytest.mark.parametrize("whom", ["the worker", "the generation and its worker"])
def test_who_is_killed_again_and_again_is_back_within_a_second(server, whom):
    """A kill -9 comes from outside: the code that was killed is not made to wait for it."""
    s = server(ROUTE, {"hello": hello(1)}, workers=1)
    for _ in range(sized(8, 20, 4)):
        serving = until(lambda: [one for one in [s.serving()] if one["pid"] and one["worker_pids"]],
                        "generation and worker are there")[0]
        if whom != "the worker":
            processes.kill(serving["pid"])
        processes.kill(serving["worker_pids"][0])
        serving_again(s, 1)


def test_workers_notice_that_the_master_is_gone(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    s.remember()
    family = set(s.known)
    processes.kill(s.pid)
    s.process.wait()
    s.process = None
    until(lambda: all(processes.gone(pid) for pid in family), "all processes have ended")
    s.start()
    assert answers(s) == 1


def test_a_start_right_behind_a_killed_master_succeeds(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    for _ in range(sized(3, 20, 2)):
        s.remember()
        with Load(s.address, fresh=1, kept=1) as load:
            load.wait_for(5)
            processes.kill(s.pid)
            s.process.wait()
            s.process = None
            done = s.run("-k", "start")
            assert done.returncode == 0, done.stderr + s.log()
            assert answers(s) == 1
            load.stop()
        daemon = int(s.read("run/httpd.pid"))
        s.known.update(processes.descendants(daemon), {daemon})
        assert s.run("-k", "stop").returncode == 0
        s.start()


def test_a_stopped_worker_does_not_stop_a_reload(server):
    """A worker that hangs holds up nobody: the switch is bounded."""
    s = server(ROUTE + "GracefulShutdownTimeout 1\n", {"hello": hello(1)}, workers=2)
    os.kill(s.worker_pids()[0], signal.SIGSTOP)
    s.write_module("hello", hello(2))
    s.reload()
    for _ in range(10):
        assert answers(s) == 2
    until(lambda: not s.old_generations(), "the old generation is cut")


def test_a_crashing_handler_costs_its_worker_alone(server):
    s = server(ROUTE + PROBE_ROUTES + "Route GET /crash crash\n",
               {"hello": hello(1), "probe": PROBE}, workers=2)
    s.expect_reports = True  # a sanitizer tells of the crash itself
    for _ in range(3):
        with pytest.raises(Broken):
            s.get("/crash")
        serving_again(s, 1)
    until(lambda: len(s.worker_pids()) == 2, "both workers live")
    assert "SIGSEGV" in s.log() or "signal 11" in s.log() or "exited with status" in s.log()


def test_a_handler_that_exits_costs_its_worker_alone(server):
    leaving = hello(1).replace('ins_set_type(r, "text/plain");',
                               'if (ins_query(r, "leave")) { _exit(0); } ins_set_type(r, "text/plain");')
    s = server(ROUTE, {"hello": leaving}, workers=2)
    with pytest.raises(Broken):
        s.get("/hello?leave=1")
    serving_again(s, 1)
    until(lambda: len(s.worker_pids()) == 2, "both workers live")


def test_workers_that_die_at_once_are_not_respawned_in_a_rush(server):
    """Back-off: a worker that dies again and again does not eat the machine."""
    s = server(ROUTE + PROBE_ROUTES + "Route GET /crash crash\n",
               {"hello": hello(1), "probe": PROBE}, workers=1)
    s.expect_reports = True
    first = s.worker_pids()[0]
    end = time.monotonic() + 3
    deaths = 0
    while time.monotonic() < end:
        try:
            s.get("/crash", timeout=5)
        except (Broken, OSError):
            deaths += 1
    assert 1 <= deaths < 200
    until(lambda: answers(s) == 1, "it serves in the end")
    assert first not in s.worker_pids()


def test_descriptors_do_not_leak_into_children(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    s.reload()
    until(lambda: not s.old_generations(), "the old generation is gone")
    for pid in s.worker_pids():
        names = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                names.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except OSError:
                pass
        assert not [name for name in names if "control" in name], names
        assert len(names) < 40, names


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives up root")
def test_no_module_code_runs_as_root(server):
    source = hello(1).replace("ins_printf(r, \"begin %s %ld \", VERSION, (long)getpid());",
                              'ins_printf(r, "uids %d %d %d %d ", at_load, at_set_up, (int)geteuid(), (int)getegid());')
    source = source.replace("static int hello", """
static int at_load = -1, at_set_up = -1;
__attribute__((constructor)) static void begin(void) { at_load = (int)geteuid(); }
static int set_up(apr_pool_t *p, ins_server *s) { (void)p; (void)s; at_set_up = (int)geteuid(); return INS_OK; }
static int hello""", 1).replace(".handlers = handlers", ".handlers = handlers, .post_config = set_up")
    s = server(ROUTE, {"hello": source})
    words = s.get("/hello").text.split()
    assert words[0] == "uids" and "0" not in words[1:5], words
    with open(f"/proc/{s.pid}/status") as text:
        assert "Uid:\t0" in text.read()


@pytest.mark.skipif(os.getuid() != 0, reason="only root enters folders of others")
def test_a_folder_that_only_root_may_enter_works(server):
    """A checkout below root's home."""
    s = server(ROUTE, {"hello": hello(1)}, mode=0o700, start=False)
    s.build = s.path("builds")
    s.write_config()
    s.start()
    assert answers(s) == 1
    s.write_module("hello", hello(2))
    s.reload()
    assert answers(s) == 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root enters folders of others")
def test_a_module_in_another_folder_that_only_root_may_enter(server, tmp_path):
    """LoadModule by an absolute path below somebody's home."""
    os.chmod(tmp_path, 0o700)
    folder = tmp_path / "home" / "modules"
    folder.mkdir(parents=True)
    (folder / "number.h").write_text('#define VERSION "1"\n')
    source = hello(1).replace('#define VERSION "1"', '#include "number.h"')
    (folder / "hello.c").write_text(source)
    s = server(ROUTE + f'LoadModule hello_module "{folder}/hello.c"\n')
    assert answers(s) == 1
    (folder / "number.h").write_text('#define VERSION "2"\n')
    s.reload()
    assert answers(s) == 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root enters folders of others")
def test_a_module_that_only_root_may_read(server, tmp_path):
    """What root tries first: a file in its own home, where the folder itself is closed."""
    source = hello(1).replace('#define VERSION "1"', '#include "number.h"')
    for name, text in (("number.h", '#define VERSION "1"\n'), ("hello.c", source)):
        (tmp_path / name).write_text(text)
        os.chmod(tmp_path / name, 0o600)
    os.chmod(tmp_path, 0o700)
    s = server(ROUTE + f'LoadModule hello_module "{tmp_path}/hello.c"\n')
    assert answers(s) == 1
    assert s.reload()["compiled"] == []
    (tmp_path / "number.h").write_text('#define VERSION "2"\n')
    assert len(s.reload()["compiled"]) == 1
    assert answers(s) == 2
    (tmp_path / "number.h").write_text('#define VERSION "3"\nint broken = missing;\n')
    outcome = s.graceful()
    assert outcome["exit"] == 1 and outcome["stage"] == "build", outcome
    assert f"{tmp_path}/number.h:2:" in s.ctl("graceful").stderr
    assert answers(s) == 2


def test_an_old_worker_that_is_killed_while_it_drains(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE}, workers=2)
    with s.occupy("/nap?ms=20000"):
        s.write_module("hello", hello(2))
        s.reload()
        old = s.old_generations()
        assert old
        for pid in old[0]["worker_pids"] + [old[0]["pid"]]:
            processes.kill(pid)
        until(lambda: not s.old_generations(), "the old generation is gone")
        assert answers(s) == 2


def test_titles_name_the_roles(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    titles = [processes.title(pid) for pid in processes.descendants(s.pid)]
    assert len([one for one in titles if "worker" in one]) == 2, titles
    assert len([one for one in titles if "generation" in one]) == 1, titles


def test_idle_connections_survive_the_death_of_another_worker(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    connections = [s.connect() for _ in range(40)]
    owners = [pid_of(connection.request("/hello").body) for connection in connections]
    victim = s.worker_pids()[0]
    processes.kill(victim)
    for connection, owner in zip(connections, owners):
        if owner != victim:
            assert version_of(connection.request("/hello").body) == 1
        connection.close()


def test_a_master_out_of_descriptors_turns_clients_away(server):
    s = server(ROUTE, {"hello": hello(1)})
    path = os.path.join(s.root, "run", "instar.sock")
    limits = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
    used = max(int(fd) for fd in os.listdir(f"/proc/{s.pid}/fd")) + 1
    resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (used, limits[1]))
    try:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(path)
                assert client.recv(1) == b""
        assert answers(s) == 1
    finally:
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, limits)
    assert s.ctl("status").returncode == 0
