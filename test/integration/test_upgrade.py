# SPDX-License-Identifier: Apache-2.0
"""The server binary is replaced while it serves."""
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from harness import processes
from harness.env import INSTAR, SANITIZED, sized, until
from harness.load import Load
from harness.modules import PROBE, hello, version_of
from harness.systemd import Notified

ROUTE = "Route GET /hello hello\nRoute GET /nap nap\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n"
SLOW = "StartTimeout 60\n"      # a loaded machine under a sanitizer
HANG = 15 if SANITIZED else 5    # seconds that one which hangs is given


def version_text():
    done = subprocess.run([INSTAR, "-v"], capture_output=True, text=True, check=True)
    return re.search(r"Instar/(\S+)", done.stdout).group(1)


BUILT = version_text()


def put(path, data, mode=0o755):
    """In the place of what is there, as package managers do."""
    with open(path + ".new", "wb") as out:
        out.write(data)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path


def binary(version):
    """The installed server under another version: of the same length, so that it fits."""
    with open(INSTAR, "rb") as source:
        data = source.read()
    assert len(version) == len(BUILT)
    return data.replace(BUILT.encode(), version.encode())


def numbered(n):
    """The version's text with another end."""
    return BUILT[:-1] + "123456789"[n % 9]


@pytest.fixture
def upgradable(server):
    """Servers that run a binary of their own."""
    def make(config=ROUTE + SLOW, **more):
        modules = more.pop("modules", None) or {"hello": hello(1), "probe": PROBE}
        s = server(config, modules, start=False, **more)
        os.mkdir(s.path("sbin"))
        s.binary = s.path("sbin/instar")
        put(s.binary, binary(BUILT))
        s.command = lambda *arguments: [s.binary, "-d", s.root, "-f", "instar.conf", *arguments]
        return s.start()
    return make


def upgrade(s, version=None):
    if version:
        put(s.binary, binary(version))
    return s.graceful("upgrade")


def listeners(pid):
    """inode -> local address of what the process listens on."""
    mine = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    found = {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in mine:
                found[words[9]] = words[1]
    return found


def control_clients(s):
    """Connections on the server's control socket."""
    with open("/proc/net/unix", encoding="ascii") as table:
        return sum(line.rstrip().endswith(s.path("run/instar.sock")) and " 0001 03 " in line
                   for line in table)


def test_upgrades_under_load_fail_no_request(upgradable):
    s = upgradable()
    pid, sockets = s.pid, listeners(s.pid)
    assert sockets
    before = s.status()
    with Load(s.address, fresh=2, kept=4) as load:
        for n in range(sized(3, 20, 2)):
            load.wait_for(40)
            outcome = upgrade(s, numbered(n))
            assert outcome["exit"] == 0 and outcome["ok"], outcome
            assert "upgraded from instar" in " ".join(outcome["notes"])
            assert f"to {numbered(n)}" in " ".join(outcome["notes"])
            status = s.status()
            assert status["version"] == numbered(n)
            assert status["pid"] == pid and s.process.poll() is None
            assert status["generation"] == outcome["generation"] == before["generation"] + 1
            for name, value in status["counters"].items():
                assert value >= before["counters"][name], name
            assert status["uptime"] >= before["uptime"]
            before = status
        load.wait_for(40)
    assert load.failures == []
    assert listeners(pid) == sockets
    # Kept connections were handed over, not closed.
    assert load.closed == 0
    assert before["counters"]["handed_over"] > 0
    until(lambda: not s.old_generations(), "the old ones have drained")


def test_idle_connections_move_to_the_new_binary(upgradable):
    s = upgradable()
    idle = [s.connect() for _ in range(20)]
    for one in idle:
        assert version_of(one.request("/hello").body) == 1
    s.write_module("hello", hello(2))
    assert upgrade(s, numbered(0))["ok"]
    for one in idle:
        assert version_of(one.request("/hello").body) == 2
        one.close()


def test_a_draining_generation_survives_and_its_request_finishes(upgradable):
    s = upgradable()
    with s.connect() as slow:
        slow.send("GET /nap?ms=3000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: s.status()["connections"] >= 1, "it naps")
        s.reload()
        assert [one["state"] for one in s.old_generations()] == ["draining"]
        assert upgrade(s, numbered(0))["ok"]
        assert upgrade(s, numbered(1))["ok"]
        old = s.old_generations()
        assert [one["state"] for one in old if one["connections"]] == ["draining"]
        assert slow.answer().body == b"slept"
    until(lambda: not s.old_generations(), "it has drained")
    assert "has drained" in s.log()


def test_a_signal_upgrades_too(upgradable):
    s = upgradable()
    put(s.binary, binary(numbered(0)))
    s.send(signal.SIGUSR2)
    until(lambda: s.status()["version"] == numbered(0) and s.status()["generation"] == 2,
          "it is upgraded")
    until(lambda: s.status()["last_reload"]["what"] == "upgrade", "its outcome is there")
    assert s.ctl("upgrade").returncode == 0


def test_a_detached_server_is_upgraded(upgradable):
    s = upgradable()
    s.stop()
    done = s.run("-k", "start")
    assert done.returncode == 0, done.stderr
    daemon = int(s.read("run/httpd.pid"))
    outcome = upgrade(s, numbered(0))
    s.known.update(processes.descendants(daemon), {daemon})
    assert outcome["ok"], outcome
    assert s.status()["version"] == numbered(0) and s.status()["pid"] == daemon
    assert s.run("-k", "stop").returncode == 0
    s.start()


# ---- Refused before anything happens --------------------------------------------

def missing(s):
    os.unlink(s.binary)


def other_machine(s):
    data = bytearray(binary(BUILT))
    data[18:20] = b"\xf3\x00" if data[18:20] != b"\xf3\x00" else b"\x3e\x00"
    put(s.binary, bytes(data))


def unknown_state(s):
    """One that says it reads something else."""
    put(s.binary, b"#!/bin/sh\necho 'the running server has state of version 7' >&2\nexit 1\n")


REFUSALS = {
    "missing": (missing, "No such file or directory"),
    "text": (lambda s: put(s.binary, b"just words\n"), "Exec format error"),
    "not executable": (lambda s: put(s.binary, binary(BUILT), 0o644), "Permission denied"),
    "truncated": (lambda s: put(s.binary, binary(BUILT)[:2000]), ""),
    "another machine": (other_machine, "Exec format error"),
    "exits 1": (lambda s: put(s.binary, b"#!/bin/sh\nexit 1\n"), "exited with status 1"),
    "says why": (unknown_state, "the running server has state of version 7"),
    "exits 0": (lambda s: put(s.binary, b"#!/bin/sh\nexit 0\n"),
                "does not know how to take over"),
    "hangs": (lambda s: put(s.binary, b"#!/bin/sh\nexec sleep 1000\n"),
              f"did not say within {HANG} s (StartTimeout)"),
    "dies": (lambda s: put(s.binary, b"#!/bin/sh\nkill -SEGV $$\n"), "was killed by SIGSEGV"),
    "talks": (lambda s: put(s.binary, b"#!/bin/sh\nyes\n"), "it cannot take over"),
}


def test_what_cannot_take_over_is_refused_before_anything_happens(upgradable):
    s = upgradable(ROUTE + f"StartTimeout {HANG}\n")
    before = s.status()
    with Load(s.address, fresh=1, kept=1, pause=0.01) as load:
        for name, (spoil, words) in REFUSALS.items():
            spoil(s)
            outcome = s.graceful("upgrade")
            assert outcome["exit"] == 1 and not outcome["ok"], name
            message = outcome["errors"][0]["message"]
            assert message.startswith(s.binary + ": ") and words in message, (name, message)
            assert outcome["generation"] == before["generation"], name
    assert load.failures == []
    after = s.status()
    for member in ("version", "pid", "generation", "generations"):
        if member == "generations":
            assert [one["pid"] for one in after[member]] == [one["pid"] for one in before[member]]
        else:
            assert after[member] == before[member]
    assert upgrade(s, numbered(0))["ok"]
    assert s.status()["version"] == numbered(0)


def test_the_words_of_a_refusal_reach_a_person(upgradable):
    s = upgradable()
    missing(s)
    done = s.ctl("upgrade")
    assert done.returncode == 1
    assert f"{s.binary}: No such file or directory" in done.stderr
    assert "upgrade failed at stage start" in done.stderr and "generation 1 serves on" in done.stderr
    put(s.binary, binary(BUILT))


def test_a_server_that_stops_ends_the_check(upgradable):
    s = upgradable()
    put(s.binary, b"#!/bin/sh\nexec sleep 1000\n")
    s.send(signal.SIGUSR2)
    until(lambda: any("sleep" in processes.title(pid) for pid in processes.descendants(s.pid)),
          "it is checked")
    s.remember()
    assert s.stop() == 0
    until(lambda: not s.leftovers(), "nothing is left")


def flags(pid):
    """Descriptor -> whether an exec closes it."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
            found[int(fd)] = bool(int(re.search(r"flags:\s*(\d+)", info.read()).group(1), 8) &
                                  os.O_CLOEXEC)
    return found


def wrapper(s, check, then):
    """A binary that passes the check, and then something else."""
    real = put(s.binary + ".real", binary(numbered(0)))
    put(s.binary, f"""#!/bin/sh
if test "$1" = --read-state; then
    {check}
    exec {real} "$@"
fi
{then}
""".encode())


def test_an_exec_that_fails_leaves_everything_as_it_was(upgradable):
    s = upgradable()
    before = flags(s.pid)
    assert all(closes for fd, closes in before.items() if fd > 2)
    with Load(s.address, fresh=1, kept=2) as load:
        load.wait_for(10)
        wrapper(s, f"rm -f {s.binary}", "exit 1")      # gone between the check and the exec
        outcome = s.graceful("upgrade")
        assert outcome["exit"] == 1
        assert "could not be executed: No such file" in outcome["errors"][0]["message"]
        load.wait_for(10)
        assert {fd for fd, closes in flags(s.pid).items() if fd > 2 and not closes} == set()
        s.write_module("hello", hello(2))
        assert s.reload()["ok"]
        load.wait_for(10)
    assert load.failures == []
    assert upgrade(s, numbered(1))["ok"]


def test_no_descriptor_of_the_masters_reaches_others_behind_an_upgrade(upgradable):
    s = upgradable()
    assert upgrade(s, numbered(0))["ok"]
    assert {fd for fd, closes in flags(s.pid).items() if fd > 2 and not closes} == set()
    until(lambda: not s.old_generations(), "drained")
    worker = s.worker_pids()[0]
    with open(f"/proc/{worker}/environ", "rb") as text:
        assert b"INSTAR_UPGRADE_STATE" not in text.read()


def test_a_binary_that_dies_behind_the_exec_takes_all_along_and_a_start_comes_up(upgradable):
    s = upgradable()
    s.remember()
    wrapper(s, "true", "exit 3")
    assert s.ctl("upgrade").returncode != 0
    assert s.process.wait(60) == 3
    s.process = None
    until(lambda: not s.leftovers(), "all processes have ended")
    put(s.binary, binary(numbered(1)))
    s.start()
    assert version_of(s.get("/hello").body) == 1


def test_a_tls_session_is_resumed_behind_an_upgrade(upgradable, authority, tmp_path):
    s = upgradable(f"Route GET /hello hello\nSSLEngine On\nSSLProtocol TLSv1.2\n"
                   f"SSLCertificateFile {authority.path('localhost.pem')}\n"
                   f"SSLCertificateKeyFile {authority.path('localhost.key')}\n")
    session = str(tmp_path / "session")

    def connect(*more):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", "-tls1_2",
                               "-servername", "localhost", *more], input="", text=True,
                              capture_output=True, timeout=60)
        return "Reused" if "Reused, TLSv1.2" in done.stdout else "New"

    assert connect("-sess_out", session) == "New"
    for n in range(2):
        assert connect("-sess_in", session) == "Reused"
        assert upgrade(s, numbered(n))["ok"]
    assert connect("-sess_in", session) == "Reused"


# ---- The reload behind it --------------------------------------------------------

def test_the_old_code_serves_on_where_the_reload_behind_the_upgrade_fails(upgradable):
    s = upgradable()
    s.write_module("hello", "nonsense")
    outcome = upgrade(s, numbered(0))
    assert outcome["exit"] == 1 and outcome["stage"] == "build"
    assert f"the master is instar {numbered(0)} now" in outcome["warnings"][-1]["message"]
    status = s.status()
    assert status["version"] == numbered(0) and status["generation"] == 1
    assert version_of(s.get("/hello").body) == 1
    # The old generation's process can die: its manifest came along.
    with Load(s.address, fresh=1, kept=0) as load:
        processes.kill(s.serving()["pid"])
        until(lambda: (s.status() or {}).get("generation", 1) != 1, "a successor serves")
        load.wait_for(20)
    assert load.failures == []
    assert version_of(s.get("/hello").body) == 1
    s.write_module("hello", hello(3))
    assert s.reload()["ok"]
    assert version_of(s.get("/hello").body) == 3


def test_a_rollback_serves_on_as_one_where_the_reload_behind_the_upgrade_fails(upgradable):
    s = upgradable()
    s.write_module("hello", hello(2))
    s.reload()
    assert s.ctl("rollback").returncode == 0
    rolled = s.ctl("--json", "status").stdout
    s.write_module("hello", "nonsense")
    assert upgrade(s, numbered(0))["exit"] == 1
    status = s.status()
    assert version_of(s.get("/hello").body) == 1
    assert status["rollback_of"] == json.loads(rolled)["rollback_of"] == 1
    s.write_module("hello", hello(3))
    s.reload()
    assert version_of(s.get("/hello").body) == 3
    assert s.ctl("rollback").returncode == 0
    assert version_of(s.get("/hello").body) == 1


def test_what_was_asked_for_meanwhile_is_answered_by_the_new_binary(upgradable):
    s = upgradable()
    s.write_module("hello", hello(2))
    s.reload()
    # The check waits until it is told to go on.
    os.mkfifo(s.path("go"))
    put(s.binary + "2", binary(numbered(0)))
    put(s.binary, f"#!/bin/sh\ntest \"$1\" = --read-state && read line <{s.path('go')}\n"
        f"exec {s.binary}2 \"$@\"\n".encode())
    s.write_module("hello", hello(3))
    answers = {}

    def ask(*words):
        answers[words] = s.ctl("--json", *words)

    asked = [threading.Thread(target=ask, args=(verb,))
             for verb in ("upgrade", "graceful", "configtest")]
    asked[0].start()
    until(lambda: any("read-state" in processes.title(pid)
                      for pid in processes.descendants(s.pid)), "it is checked")
    for one in asked[1:]:
        one.start()
    until(lambda: control_clients(s) == 3, "all have asked")
    with open(s.path("go"), "w", encoding="ascii") as go:
        go.write("go\n")
    for one in asked:
        one.join()
    for words, done in answers.items():
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert json.loads(answers[("graceful",)].stdout)["generation"] >= 3
    assert s.status()["version"] == numbered(0)
    assert version_of(s.get("/hello").body) == 3


def test_signals_that_come_during_an_upgrade_are_not_lost(upgradable):
    s = upgradable()
    for n in range(sized(3, 20, 2)):
        put(s.binary, binary(numbered(n)))
        last = s.status()["generation"]
        first, second = (signal.SIGUSR2, signal.SIGHUP)[::1 if n % 2 == 0 else -1]
        s.send(first)
        s.write_module("hello", hello(n + 2))
        s.send(second)
        until(lambda: s.status()["version"] == numbered(n) and
              version_of(s.get("/hello").body) == n + 2, f"{n}: both were heard")
        assert s.status()["generation"] > last
        until(lambda: s.status().get("last_reload"), "it is over")


def test_a_stop_during_an_upgrade_is_heard_by_whoever_is_there(upgradable):
    s = upgradable()
    rng = random.Random(7)
    for n in range(sized(5, 40, 3)):
        put(s.binary, binary(numbered(n)))
        s.remember()
        s.send(signal.SIGUSR2)
        time.sleep(rng.uniform(0, s.slack(0.06)))
        assert s.stop() == 0
        until(lambda: not s.leftovers(), "nothing is left")
        s.start()
    assert version_of(s.get("/hello").body) == 1


def test_everything_else_comes_along(upgradable, tmp_path):
    """Piped logs, a unix socket, the notify socket, the pid file, restarts of what dies."""
    os.chmod(tmp_path, 0o755)
    notified = Notified(str(tmp_path / "notify"))
    os.environ["NOTIFY_SOCKET"] = notified.name
    try:
        s = upgradable(ROUTE + SLOW + 'CustomLog "|$cat >>logs/piped" "%U"\n')
    finally:
        del os.environ["NOTIFY_SOCKET"]
    s.listen += f"\nListen unix:{s.path('run/web.sock')}"
    s.write_config()
    s.reload()
    inode = os.stat(s.path("run/web.sock")).st_ino
    assert upgrade(s, numbered(0))["ok"]
    assert os.stat(s.path("run/web.sock")).st_ino == inode
    until(lambda: notified.states()[-3:] == ["RELOADING", "RELOADING", "READY"],
          f"told: {notified.states()}")
    for _ in range(5):
        s.get("/hello")
    until(lambda: s.read("logs/piped").count("/hello") == 5, "the command reads the log")
    assert s.run("-k", "start").returncode == 4           # the lock of the pid file holds
    worker = s.worker_pids()[0]
    processes.kill(worker)
    until(lambda: worker not in s.worker_pids() and len(s.worker_pids()) == 2, "replaced")
    history = s.ctl("generations").stdout
    assert "upgrade" in history
    assert s.ctl("rollback").returncode == 0
    assert s.stop() == 0
    assert not os.path.exists(s.path("run/web.sock"))
    assert not os.path.exists(s.path("run/httpd.pid"))
    notified.close()


def test_descriptors_and_memory_do_not_grow(upgradable):
    s = upgradable()
    sizes = []
    for n in range(sized(4, 20, 3)):
        assert upgrade(s, numbered(n))["ok"]
        until(lambda: not s.old_generations(), "drained")
        sizes.append(processes.descriptors(s.pid))
    assert max(sizes[1:]) <= sizes[0] + 1, sizes


# ---- kill -9 in the middle ----------------------------------------------------------

def test_a_start_comes_up_whenever_the_master_was_killed_during_an_upgrade(upgradable):
    s = upgradable()
    rng = random.Random(5)
    for n in range(sized(5, 100, 3)):
        put(s.binary, binary(numbered(n)))
        s.remember()
        s.send(signal.SIGUSR2)
        time.sleep(rng.uniform(0, s.slack(0.15)))
        s.remember()
        processes.kill(s.pid)
        s.process.wait()
        s.process = None
        s.start()
        assert s.status()["version"] == numbered(n)
        assert version_of(s.get("/hello").body) == 1
        until(lambda: not [pid for pid in s.leftovers() if pid not in
                           processes.descendants(s.pid) and pid != s.pid], "the killed one is gone")
