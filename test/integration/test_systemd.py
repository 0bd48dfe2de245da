# SPDX-License-Identifier: Apache-2.0
"""What a service manager is told, what it passes on, and the shipped unit under a real one."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import processes
from harness.env import INSTAR, INSTARCTL, PREFIX, until
from harness.load import Load
from harness.modules import hello, version_of
from harness.systemd import SYSTEMD, Notified, Systemd, launcher

ROUTE = "Route GET /hello hello\n"


@pytest.fixture
def notified(tmp_path):
    os.chmod(tmp_path, 0o755)
    one = Notified(str(tmp_path / "notify"))
    yield one
    one.close()


def managed(s, sockets=(), names=(), environment=None, pid="self"):
    """Starts s as a service manager would."""
    words = launcher(sockets, names, environment or {}, pid)
    plain = s.command
    s.command = lambda *arguments: [*words, *plain(*arguments)]
    passed = [one.fileno() for one in sockets]
    for one in sockets:
        os.set_inheritable(one.fileno(), True)
    popen = subprocess.Popen

    def popen_with(*arguments, **more):
        return popen(*arguments, pass_fds=passed, **more)
    subprocess.Popen = popen_with
    try:
        s.start()
    finally:
        subprocess.Popen = popen
        s.command = plain
    return s


def listening(family=socket.AF_INET, address=None, dual=False):
    one = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
    one.bind(address or ("127.0.0.1", 0))
    one.listen(64)
    return one


# ---- sd_notify ----------------------------------------------------------------

@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_states_of_a_life_arrive_in_order(server, tmp_path, kind):
    os.chmod(tmp_path, 0o755)
    name = str(tmp_path / "notify") if kind == "path" else f"@instar-test-{os.getpid()}"
    notified = Notified(name)
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    managed(s, environment={"NOTIFY_SOCKET": notified.name})
    notified.until_states(["READY"])
    assert notified.last("MAINPID") == str(s.pid)
    assert "Generation 1 serves with 2 workers" in notified.status()

    before = time.monotonic() * 1e6
    s.write_module("hello", hello(2))
    s.reload()
    notified.until_states(["READY", "RELOADING", "READY"])
    assert before <= int(notified.last("MONOTONIC_USEC")) <= time.monotonic() * 1e6
    assert "Generation 2 serves" in notified.status()
    assert "1 module compiled" in notified.status()

    s.write_module("hello", "nonsense")
    assert s.graceful()["exit"] == 1
    notified.until_states(["READY", "RELOADING", "READY", "RELOADING", "READY"])
    assert "Generation 2 serves" in notified.status()
    assert "failed at stage build" in notified.status()

    assert s.stop(signal.SIGQUIT) == 0
    notified.until_states(["READY", "RELOADING"] * 2 + ["READY", "STOPPING"])
    notified.close()


def test_a_start_that_fails_says_why_and_is_never_ready(server, notified):
    s = server("Route GET /hello nobody\n", {"hello": hello(1)}, start=False)
    with pytest.raises(AssertionError):
        managed(s, environment={"NOTIFY_SOCKET": notified.name})
    s.process.wait()
    s.process = None
    until(lambda: notified.messages, "something was said")
    assert notified.states() == []
    until(lambda: "failed" in notified.status(), "why")


def test_the_watchdog_is_fed_by_the_process_that_it_watches(server, notified):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    managed(s, environment={"NOTIFY_SOCKET": notified.name, "WATCHDOG_USEC": "400000"})
    until(lambda: notified.count("WATCHDOG") >= 4, "the watchdog is fed")
    # A server without any worker is not well. Its generation is stopped, so that none comes.
    os.kill(s.serving()["pid"], signal.SIGSTOP)
    for pid in s.worker_pids():
        processes.kill(pid)
    until(lambda: s.serving()["workers"] == 0, "no worker is left")
    fed = notified.count("WATCHDOG")
    time.sleep(1.0)
    assert notified.count("WATCHDOG") <= fed + 1
    os.kill(s.serving()["pid"], signal.SIGCONT)
    until(lambda: notified.count("WATCHDOG") > fed + 2, "it is fed again")


def test_a_watchdog_that_is_for_another_process_is_not_fed(server, notified):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    managed(s, environment={"NOTIFY_SOCKET": notified.name, "WATCHDOG_USEC": "100000",
                            "WATCHDOG_PID": "1"})
    notified.until_states(["READY"])
    time.sleep(0.5)
    assert notified.count("WATCHDOG") == 0
    s.stop()


def test_time_is_asked_for_while_a_build_takes_long(server, notified):
    slow = hello(1) + '\n#include "slow.h"\n'
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    managed(s, environment={"NOTIFY_SOCKET": notified.name})
    notified.until_states(["READY"])
    os.mkfifo(s.path("modules/slow.h"))
    os.chmod(s.path("modules/slow.h"), 0o666)
    s.write_module("hello", slow)
    s.send(signal.SIGHUP)
    until(lambda: notified.count("EXTEND_TIMEOUT_USEC") >= 1, "more time is asked for")
    assert int(notified.last("EXTEND_TIMEOUT_USEC")) == 30000000
    s.stop()


def test_children_do_not_inherit_the_variables(server, notified):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    passed = listening()
    s.listen = "Listen systemd:web"
    s.write_config()
    managed(s, [passed], ["web"], {"NOTIFY_SOCKET": notified.name, "WATCHDOG_USEC": "9000000"})
    s.remember()
    module = s.write("modules/env.c", ENVIRONMENT)
    s.write_config(ROUTE + f"LoadModule env_module {module}\nRoute GET /env env\n")
    s.reload()
    s.ports[0] = s.port = passed.getsockname()[1]
    assert s.get("/env").body == b"none\n"


ENVIRONMENT = r"""
#include <instar.h>
#include <stdlib.h>

static int env(ins_request *r)
{
    static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                         "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" };

    for (int i = 0; i < 6; i++) {
        if (getenv(names[i])) {
            ins_printf(r, "%s ", names[i]);
            return INS_OK;
        }
    }
    ins_puts(r, "none\n");
    return INS_OK;
}

static const ins_handler handlers[] = { { "env", env }, { 0 } };

INS_MODULE(env_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""


# ---- sd_listen_fds ------------------------------------------------------------

def answered(address, family=socket.AF_INET):
    with socket.socket(family) as one:
        one.settimeout(20)
        one.connect(address)
        one.sendall(b"GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = b""
        while chunk := one.recv(65536):
            text += chunk
    return version_of(text.split(b"\r\n\r\n", 1)[1])


def test_a_listen_with_the_same_address_uses_the_inherited_socket(server):
    passed = listening()
    port = passed.getsockname()[1]
    s = server(ROUTE, {"hello": hello(1)}, start=False, listen=f"Listen 127.0.0.1:{port}")
    managed(s, [passed], ["whatever"])
    assert answered(("127.0.0.1", port)) == 1
    s.write_module("hello", hello(2))
    s.reload()
    assert answered(("127.0.0.1", port)) == 2
    # Not named for a while, then again: it is still there.
    s.listen = f"Listen 127.0.0.1:{s.ports[1]}"
    s.write_config()
    outcome = s.reload()
    assert [one for one in outcome["warnings"] if f"127.0.0.1:{port}" in one["message"]]
    s.listen = f"Listen 127.0.0.1:{port}"
    s.write_config()
    assert "warnings" not in s.reload()
    assert answered(("127.0.0.1", port)) == 2
    s.stop()
    passed.settimeout(5)
    with socket.create_connection(("127.0.0.1", port)):
        passed.accept()[0].close()      # it was never closed for others


def test_sockets_are_used_by_name_and_unused_ones_are_said(server):
    first, second, third = listening(), listening(), listening()
    s = server(ROUTE, {"hello": hello(1)}, start=False, listen="Listen systemd:web")
    managed(s, [first, second, third], ["web", "other", "web"])
    assert answered(first.getsockname()) == 1
    assert answered(third.getsockname()) == 1
    assert re.search(rf'INS01333: 127.0.0.1:{second.getsockname()[1]} \("other"\) was passed on',
                     s.log())


def test_a_name_that_was_not_passed_on_is_an_error_at_its_line(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False, listen="Listen systemd:web")
    done = s.run("-DFOREGROUND")
    assert done.returncode == 1
    assert f"instar.conf:{s.line_of('instar.conf', 'systemd:web')}:" in done.stderr
    assert 'no socket named "web" was passed on' in done.stderr
    s.listen = "Listen systemd:a:b"
    s.write_config()
    assert "a socket's name has no ':'" in s.run("-t").stderr


def test_one_socket_for_both_families_fits_a_listen_for_any_address(server):
    try:
        passed = listening(socket.AF_INET6, ("::", 0), dual=True)
    except OSError:
        pytest.skip("no IPv6 here")
    port = passed.getsockname()[1]
    s = server(ROUTE, {"hello": hello(1)}, start=False, listen=f"Listen {port}")
    managed(s, [passed], [""])
    assert answered(("127.0.0.1", port)) == 1
    assert answered(("::1", port), socket.AF_INET6) == 1
    assert s.reload()["ok"]
    assert answered(("127.0.0.1", port)) == 1


def test_an_inherited_unix_socket_keeps_its_file(server, tmp_path):
    os.chmod(tmp_path, 0o755)
    path = str(tmp_path / "web.sock")
    passed = listening(socket.AF_UNIX, path)
    s = server(ROUTE, {"hello": hello(1)}, start=False, listen=f"Listen unix:{path}")
    managed(s, [passed], ["web"])
    assert answered(path, socket.AF_UNIX) == 1
    assert s.reload()["ok"]
    s.stop()
    assert os.path.exists(path)


def test_what_is_for_another_process_or_no_listening_socket_is_left_alone(server):
    passed = listening()
    s = server(ROUTE, {"hello": hello(1)}, start=False,
               listen=f"Listen 127.0.0.1:{passed.getsockname()[1]}")
    with pytest.raises(AssertionError):
        managed(s, [passed], ["web"], pid="1")       # so that the port is in use by a stranger
    s.process.wait()
    s.process = None
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    managed(s, [passed, datagram], ["web", "dns"])
    assert answered(passed.getsockname()) == 1
    assert "INS01332: descriptor 4 (dns) of LISTEN_FDS is not used" in s.log()


def test_activation_works_for_a_server_that_detaches(server):
    passed = listening()
    s = server(ROUTE, {"hello": hello(1)}, start=False, listen="Listen systemd:web")
    words = launcher([passed], ["web"], {})
    os.set_inheritable(passed.fileno(), True)
    done = subprocess.run([*words, *s.command("-k", "start")], capture_output=True, text=True,
                          timeout=60, pass_fds=[passed.fileno()])
    assert done.returncode == 0, done.stderr
    assert answered(passed.getsockname()) == 1
    daemon = int(s.read("run/httpd.pid"))
    s.known.update(processes.descendants(daemon), {daemon})
    assert s.run("-k", "stop").returncode == 0


# ---- The real one -------------------------------------------------------------

@pytest.fixture(scope="module")
def systemd():
    assert os.access(SYSTEMD, os.X_OK), "systemd is not installed (Debian: systemd)"
    if os.getuid() != 0:
        pytest.skip("a systemd of one's own needs root")
    if os.path.exists("/run/systemd/system"):
        pytest.skip("this machine has a systemd already, which is left alone")
    one = Systemd()
    if not one.up():
        one.close()
        pytest.skip("no namespace for a systemd of our own here; the harness above stands in for it")
    yield one
    one.close()


def sanitizers():
    """Their settings, which the real one's environment does not have, and where they report to."""
    lines = ""
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            lines += f'Environment="{name}={os.environ[name]}"\n'
            found = re.search(r"log_path=([^:]+)/", os.environ[name])
            lines += f"ReadWritePaths={found.group(1)}\n" if found else ""
    return lines


def install_unit(systemd, s, changes=""):
    """The shipped unit, with this server's root."""
    with open(os.path.join(PREFIX, "lib/systemd/system/instar.service"), encoding="utf-8") as unit:
        text = unit.read()
    options = f"-d {s.root} -f instar.conf"
    assert f"{INSTAR} -DFOREGROUND\n" in text and f"{INSTARCTL} graceful\n" in text
    text = text.replace(f"{INSTAR} -DFOREGROUND", f"{INSTAR} {options} -DFOREGROUND")
    text = text.replace(f"{INSTARCTL} graceful", f"{INSTARCTL} {options} graceful")
    # The test's own folders are in /tmp, which is another one behind PrivateTmp.
    text = text.replace("PrivateTmp=yes\n", "")
    text += f"\n[Service]\nReadWritePaths={s.root} {s.build}\n{sanitizers()}{changes}"
    systemd.unit("instar.service", text)
    assert systemd.ctl("daemon-reload").returncode == 0


def state(systemd):
    return (systemd.show("instar.service", "ActiveState"),
            systemd.show("instar.service", "SubState"))


def test_the_shipped_unit_under_a_real_systemd(server, systemd):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    install_unit(systemd, s)
    try:
        started = systemd.ctl("start", "instar.service")
        assert started.returncode == 0, s.log() + systemd.ctl("status", "instar").stdout
        assert state(systemd) == ("active", "running")
        assert version_of(s.get("/hello").body) == 1
        assert "Generation 1 serves" in systemd.show("instar.service", "StatusText")
        main = systemd.show("instar.service", "MainPID")

        s.write_module("hello", hello(2))
        done = systemd.ctl("reload", "instar.service")
        assert done.returncode == 0, done.stderr + s.log()
        assert version_of(s.get("/hello").body) == 2
        assert state(systemd) == ("active", "running")

        assert s.ctl("upgrade").returncode == 0
        assert state(systemd) == ("active", "running")
        assert systemd.show("instar.service", "MainPID") == main
        assert "Generation 3 serves" in systemd.show("instar.service", "StatusText")

        s.write_module("hello", "nonsense")
        assert systemd.ctl("reload", "instar.service").returncode != 0
        assert state(systemd) == ("active", "running")
        assert "failed at stage build" in systemd.show("instar.service", "StatusText")
        assert version_of(s.get("/hello").body) == 2
        assert systemd.show("instar.service", "MainPID") == main

        began = time.monotonic()
        assert systemd.ctl("stop", "instar.service").returncode == 0
        assert time.monotonic() - began < s.slack(20)
        assert state(systemd) == ("inactive", "dead")
        assert systemd.show("instar.service", "Result") == "success"
    finally:
        systemd.ctl("kill", "-s", "KILL", "instar.service")
        systemd.ctl("reset-failed")


def test_a_failed_start_fails_the_unit(server, systemd):
    s = server("Route GET /hello nobody\n", {"hello": hello(1)}, start=False)
    install_unit(systemd, s, "Restart=no\n")
    assert systemd.ctl("start", "instar.service").returncode != 0
    assert systemd.show("instar.service", "Result") == "exit-code"
    systemd.ctl("reset-failed")


def test_real_socket_activation(server, systemd):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    install_unit(systemd, s)
    with open(os.path.join(PREFIX, "share/instar/systemd/instar.socket"), encoding="utf-8") as unit:
        text = unit.read()
    text = text.replace("ListenStream=80\nListenStream=443\n", f"ListenStream={s.port}\n")
    systemd.unit("instar.socket", text)
    systemd.ctl("daemon-reload")
    s.listen = f"Listen {s.port}"
    s.write_config()
    try:
        done = systemd.ctl("start", "instar.socket")
        assert done.returncode == 0, done.stderr
        assert version_of(s.get("/hello", timeout=60).body) == 1     # which starts it
        s.write_module("hello", hello(2))
        assert systemd.ctl("reload", "instar.service").returncode == 0
        assert version_of(s.get("/hello").body) == 2
        # A restart of the service refuses nobody: systemd has the socket.
        main = systemd.show("instar.service", "MainPID")
        with Load(s.address, fresh=2, kept=0) as load:
            load.wait_for(10)
            assert systemd.ctl("restart", "instar.service").returncode == 0
            load.wait_for(10)
            load.stop()
        assert load.failures == []
        assert systemd.show("instar.service", "MainPID") != main
    finally:
        systemd.ctl("stop", "instar.socket", "instar.service")
        systemd.ctl("kill", "-s", "KILL", "instar.service")
        systemd.ctl("reset-failed")


def test_a_hung_master_is_killed_and_started_again(server, systemd):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    install_unit(systemd, s, "WatchdogSec=2\nRestartSec=100ms\n")
    try:
        assert systemd.ctl("start", "instar.service").returncode == 0, s.log()
        main = systemd.show("instar.service", "MainPID")
        assert systemd.run("kill", "-STOP", main).returncode == 0
        until(lambda: systemd.show("instar.service", "MainPID") not in (main, "0") and
              state(systemd) == ("active", "running"), "it was started again")
        assert version_of(s.get("/hello").body) == 1
    finally:
        systemd.ctl("stop", "instar.service")
        systemd.ctl("kill", "-s", "KILL", "instar.service")
        systemd.ctl("reset-failed")


def test_the_unit_is_well_formed_and_hardened(tmp_path):
    unit = os.path.join(PREFIX, "lib/systemd/system/instar.service")
    analyze = shutil.which("systemd-analyze")
    assert analyze, "systemd-analyze is not installed (Debian: systemd)"
    done = subprocess.run([analyze, "security", "--offline=yes", "--no-pager", "--threshold=45", unit],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
