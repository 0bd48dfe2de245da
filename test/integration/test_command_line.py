# SPDX-License-Identifier: Apache-2.0
"""instar's and instarctl's verbs, options and exit codes, as harnesses and people use them."""
import fcntl
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from harness import processes
from harness.env import INSTAR, INSTARCTL, PATIENCE, PREFIX, others_may_enter, until
from harness.http import Broken
from harness.modules import PROBE, PROBE_ROUTES, hello, version_of

ROUTE = "Route GET /hello hello\n"
DONE, REFUSED, USAGE, NOT_RUNNING, RUNNING = 0, 1, 2, 3, 4



HOLDER = r"""
import os, socket, sys, time
doors = []
for name in sys.argv[1:]:
    doors.append(socket.socket(socket.AF_UNIX))
    doors[-1].bind(name.encode().replace(b"@", b"\0") if name[0] == "@" else name)
    doors[-1].listen()
if os.fork() == 0:
    print("ready", os.getpid(), flush=True)
time.sleep(60)
"""


def abstract_sockets(pid):
    """The names that the process has, which are not paths."""
    mine = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    with open("/proc/net/unix", encoding="ascii", errors="replace") as table:
        lines = [line.split() for line in table if " @" in line]
    return {words[7] for words in lines if f"socket:[{words[6]}]" in mine}


def test_a_dead_servers_child_is_no_server(server):
    """What was forked a moment before a kill -9 may hold its sockets a moment longer."""
    s = server(ROUTE, {"hello": hello(1)})
    (name,) = abstract_sockets(s.pid)
    assert s.stop() == 0
    dead = subprocess.Popen([sys.executable, "-c", HOLDER, name, s.path("run/instar.sock")], stdout=subprocess.PIPE,
                            text=True)
    child = int(dead.stdout.readline().split()[1])
    try:
        dead.kill()
        dead.wait()
        assert s.ctl("status").returncode == NOT_RUNNING
        s.start()
        assert version_of(s.get("/hello").body) == 1
    finally:
        processes.kill(child)
        dead.stdout.close()


def test_a_dead_servers_socket_is_not_waited_on(server):
    """A start that has its pid file already, and not its control socket yet."""
    s = server(ROUTE, {"hello": hello(1)})
    assert s.stop() == 0
    dead = subprocess.Popen([sys.executable, "-c", HOLDER, s.path("run/instar.sock")], stdout=subprocess.PIPE,
                            text=True)
    child = int(dead.stdout.readline().split()[1])
    try:
        dead.kill()
        dead.wait()
        with open(s.path("run/httpd.pid"), "w+", encoding="ascii") as pid_file:
            fcntl.lockf(pid_file, fcntl.LOCK_EX)
            pid_file.write(f"{os.getpid()}\n")
            pid_file.flush()
            done = s.ctl("status")
            assert done.returncode not in (DONE, USAGE) and done.stderr, done
    finally:
        processes.kill(child)
        dead.stdout.close()


def _refused(s):
    try:
        s.connect().close()
        return False
    except Broken as broken:
        return broken.kind == "refused"


@pytest.fixture
def daemon(server):
    """A server that is not started; one that daemonizes is found by its pid file."""
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    yield s
    pid = s.read("run/httpd.pid").strip()
    if pid:
        s.known.update([int(pid)] + processes.descendants(int(pid)))
        s.run("-k", "stop")


def note(s):
    """Remembers the daemon's processes, for the look round afterwards."""
    pid = int(s.read("run/httpd.pid"))
    s.known.update([pid] + processes.descendants(pid))
    return pid


def test_start_returns_when_it_answers_and_stop_when_it_is_gone(daemon):
    for _ in range(3):
        done = daemon.run("-k", "start")
        assert done.returncode == DONE, done.stderr
        assert version_of(daemon.get("/hello").body) == 1
        pid = note(daemon)
        done = daemon.run("-k", "stop")
        assert done.returncode == DONE, done.stderr
        assert _refused(daemon) and processes.gone(pid)
        assert not os.path.exists(daemon.path("run/httpd.pid"))


def test_a_started_server_is_detached(daemon):
    done = subprocess.run(daemon.command("-k", "start"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    # run() returned, so nobody holds the pipe any longer
    assert done.returncode == DONE
    pid = note(daemon)
    assert os.getsid(pid) != os.getsid(0)
    for fd in (0, 1, 2):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert not target.startswith("pipe:") and "pts" not in target, target


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_the_caller_may_have_closed_its_streams(daemon, closed):
    def run(*command):
        return subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=PATIENCE).returncode

    assert run(*daemon.command("-k", "start")) == DONE
    pid = note(daemon)
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    assert version_of(daemon.get("/hello").body) == 1
    assert run(INSTARCTL, "-d", daemon.root, "-f", "instar.conf", "graceful") == DONE
    assert run(*daemon.command("-k", "graceful")) == DONE
    note(daemon)
    assert run(*daemon.command("-k", "stop")) == DONE
    assert processes.gone(pid)


def test_verbs_have_exit_codes(daemon):
    assert daemon.run("-k", "stop").returncode == NOT_RUNNING
    assert daemon.run("-k", "graceful-stop").returncode == NOT_RUNNING
    assert daemon.ctl("graceful").returncode in (DONE, NOT_RUNNING)
    if daemon.read("run/httpd.pid"):
        note(daemon)
        daemon.run("-k", "stop")
    assert daemon.ctl("status").returncode == NOT_RUNNING
    assert daemon.ctl("stop").returncode == NOT_RUNNING
    assert daemon.run("-k", "start").returncode == DONE
    note(daemon)
    assert daemon.run("-k", "start").returncode == RUNNING
    assert daemon.ctl("start").returncode == RUNNING
    assert daemon.ctl("status").returncode == DONE
    assert daemon.run("-k", "graceful").returncode == DONE
    assert daemon.run("-k", "restart").returncode == DONE
    daemon.write_module("hello", "no C at all\n")
    assert daemon.run("-k", "graceful").returncode == REFUSED
    assert daemon.ctl("graceful").returncode == REFUSED
    assert daemon.ctl("configtest").returncode == REFUSED
    assert daemon.run("-k", "configtest").returncode == REFUSED
    assert daemon.run("-t").returncode == REFUSED
    assert version_of(daemon.get("/hello").body) == 1
    daemon.write_module("hello", hello(2))
    assert daemon.ctl("graceful").returncode == DONE
    note(daemon)
    assert daemon.ctl("graceful-stop").returncode == DONE
    until(lambda: _refused(daemon), "it is gone")


@pytest.mark.parametrize("verb", ["graceful", "restart"])
def test_reload_verbs_start_a_server_that_is_down(daemon, verb):
    assert daemon.run("-k", verb).returncode == DONE
    note(daemon)
    assert version_of(daemon.get("/hello").body) == 1


def test_instarctl_starts_and_stops(daemon):
    done = daemon.ctl("--json", "start")
    assert done.returncode == DONE and json.loads(done.stdout)["ok"] is True, done
    note(daemon)
    assert version_of(daemon.get("/hello").body) == 1
    for verb in ("stop", "graceful-stop"):
        done = daemon.ctl(verb, "--json")
        assert done.returncode == DONE, done
        said = json.loads(done.stdout)
        assert said["ok"] is True and said["generation"] is None and said["draining"] == [], said
        until(lambda: _refused(daemon), "it is gone")
        assert daemon.ctl("start").returncode == DONE
        note(daemon)


@pytest.mark.parametrize("arguments", [["-k"], ["-k", "dance"], ["-Q"], ["-d"], ["surplus"],
                                       ["-e", "shouting"], ["-k", "start", "-k"]])
def test_wrong_usage_of_instar(arguments):
    done = subprocess.run([INSTAR, *arguments], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == USAGE and done.stderr, done


@pytest.mark.parametrize("arguments", [[], ["dance"], ["status", "surplus"], ["--jason", "status"],
                                       ["-d"]])
def test_wrong_usage_of_instarctl(arguments):
    done = subprocess.run([INSTARCTL, *arguments], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == USAGE and done.stderr, done


def test_options_may_stand_on_either_side_of_the_verb(server):
    s = server(ROUTE, {"hello": hello(1)})
    for order in (["--json", "-d", s.root, "-f", "instar.conf", "status"],
                  ["status", "-d", s.root, "-f", "instar.conf", "--json"],
                  ["-f", s.path("instar.conf"), "status", "--json"]):
        done = subprocess.run([INSTARCTL, *order], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == DONE, done
        assert json.loads(done.stdout)["pid"] == s.pid


def test_json_is_one_object_and_nothing_else(server):
    s = server(ROUTE, {"hello": hello(1)})
    for verb in ("graceful", "status", "generations", "configtest", "restart"):
        done = s.ctl("--json", verb)
        assert isinstance(json.loads(done.stdout), dict), done
    s.write_module("hello", "no C\n")
    for verb in ("graceful", "configtest"):
        done = s.ctl(verb, "--json")
        outcome = json.loads(done.stdout)
        assert done.returncode == REFUSED and outcome["ok"] is False
        assert outcome["stage"] == "build" and outcome["generation"] == (
            s.status()["generation"] if verb == "graceful" else outcome["generation"])
        for error in outcome["errors"]:
            assert set(error) >= {"file", "line", "column", "message"}


def test_json_of_a_server_that_is_down(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    done = s.ctl("--json", "status")
    assert done.returncode == NOT_RUNNING and json.loads(done.stdout)["ok"] is False


def test_graceful_says_it_in_words(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    s.write_module("hello", hello(2))
    text = s.ctl("graceful").stdout
    assert re.search(r"generation \d+ serving in \d+ ms: 1 module compiled, 1 unchanged", text), text


def test_the_server_is_found_when_its_config_is_broken(server):
    s = server(ROUTE, {"hello": hello(1)})
    s.write_config(ROUTE + "<Location /x>\nNonsense\n")
    assert s.ctl("status").returncode == DONE
    done = s.ctl("graceful")
    assert done.returncode == REFUSED and "Nonsense" in done.stdout + done.stderr
    assert s.run("-k", "graceful").returncode == REFUSED
    assert version_of(s.get("/hello").body) == 1


def test_configtest_binds_nothing_and_needs_no_server(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    for done in (s.run("-t"), s.run("-k", "configtest"), s.ctl("configtest")):
        assert done.returncode == DONE, done
        assert "Syntax OK" in done.stderr + done.stdout
    assert _refused(s) and not s.read("run/httpd.pid")
    s.start()
    assert s.run("-t").returncode == DONE
    assert version_of(s.get("/hello").body) == 1


@pytest.mark.skipif(os.getuid() != 0 or not others_may_enter(INSTAR),
                    reason="takes root, and programs that other users can reach")
def test_configtest_needs_no_root(server):
    import pwd
    nobody = pwd.getpwnam("nobody")
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    for folder, _, files in os.walk(s.root):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for name in files:
            os.chown(os.path.join(folder, name), nobody.pw_uid, nobody.pw_gid)
    s.build = s.path("builds")
    s.write_config()
    os.chmod(s.path("instar.conf"), 0o644)
    done = s.run("-t", user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode == DONE, done.stdout + done.stderr


@pytest.mark.skipif(os.getuid() != 0 or not others_may_enter(INSTAR),
                    reason="takes root, and programs that other users can reach")
def test_a_server_needs_no_root(server):
    import pwd
    nobody = pwd.getpwnam("nobody")
    s = server(ROUTE, {"hello": hello(1)}, start=False, user=False)
    s.build = s.path("builds")
    s.write_config()
    for folder, _, files in os.walk(s.root):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for name in files:
            os.chown(os.path.join(folder, name), nobody.pw_uid, nobody.pw_gid)
    with open(s.path("stderr"), "ab") as stderr:
        s.process = subprocess.Popen(s.command("-DFOREGROUND"), stdin=subprocess.DEVNULL,
                                     stdout=stderr, stderr=stderr, start_new_session=True,
                                     user="nobody", group="nogroup", extra_groups=[])
    until(s._serving, "the server serves")
    assert version_of(s.get("/hello").body) == 1
    s.write_module("hello", hello(2))
    s.reload()
    assert version_of(s.get("/hello").body) == 2


@pytest.mark.skipif(os.getuid() != 0 or not others_may_enter(INSTAR),
                    reason="takes root, and programs that other users can reach")
def test_strangers_are_not_obeyed(server):
    s = server(ROUTE, {"hello": hello(1)})
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(s.path("run"))
             for name in names]
    sockets = [path for path in paths if stat.S_ISSOCK(os.lstat(path).st_mode)]
    assert sockets and all(os.lstat(path).st_mode & 0o777 == 0o600 for path in sockets)
    done = s.ctl("graceful-stop", user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode != DONE
    assert version_of(s.get("/hello").body) == 1


def test_an_option_adds_a_directive(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    s.start("-c", "Route GET /more hello")
    assert s.get("/more").status == 200
    s.reload()
    assert s.get("/more").status == 200


def test_an_option_defines_a_name(server):
    s = server("<IfDefine Extra>\nRoute GET /hello hello\n</IfDefine>\n", {"hello": hello(1)},
               start=False)
    s.start("-D", "Extra")
    assert s.get("/hello").status == 200
    s.reload()
    assert s.get("/hello").status == 200


def test_the_lists_are_printed(server):
    s = server(ROUTE + "<VirtualHost *:1>\nServerName dumped.example\n</VirtualHost>\n",
               {"hello": hello(1)}, start=False)
    done = s.run("-S")
    assert done.returncode == DONE and "dumped.example" in done.stdout
    done = s.run("-M")
    assert done.returncode == DONE and "hello_module" in done.stdout and "ssl_module" in done.stdout
    done = s.run("-L")
    assert done.returncode == DONE
    for name in ("ServerRoot", "Listen", "Route", "SSLEngine", "KeepAliveTimeout", "LoadModule"):
        assert name in done.stdout


def test_versions_and_help():
    for option, words in (("-v", "Instar/"), ("-V", "Instar/"), ("-h", "-k")):
        done = subprocess.run([INSTAR, option], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == DONE and words in done.stdout + done.stderr, done


@pytest.mark.parametrize("number,graceful", [(signal.SIGTERM, False), (signal.SIGINT, False),
                                             (signal.SIGQUIT, True), (signal.SIGWINCH, True)])
def test_signals_stop_it(server, number, graceful):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    with s.occupy("/nap?ms=1500") as slow:
        s.remember()
        s.send(number)
        if graceful:
            until(lambda: _refused(s), "nobody new is let in")
            assert slow.answer().text == "slept"
        else:
            with pytest.raises(Broken):
                slow.answer()
    assert s.stop() == 0


def test_graceful_stop_ends_idle_connections(server):
    s = server(ROUTE + "KeepAliveTimeout 1\n", {"hello": hello(1)})
    connections = [s.connect() for _ in range(5)]
    for connection in connections:
        connection.request("/hello")
    s.remember()
    assert s.ctl("graceful-stop").returncode == DONE
    for connection in connections:
        assert connection.at_end()
        connection.close()
    s.process.wait(PATIENCE)
    s.process = None


def test_one_process_for_a_debugger(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    with open(s.path("stderr"), "ab") as stderr:
        s.process = subprocess.Popen(s.command("-X"), stdin=subprocess.DEVNULL, stdout=stderr,
                                     stderr=stderr, start_new_session=True)

    def served():
        assert s.process.poll() is None, s.log()
        try:
            return s.get("/hello", timeout=5).status == 200
        except (Broken, OSError):
            return False

    until(served, "it serves")
    assert processes.children(s.process.pid) == []
    s.process.send_signal(signal.SIGINT)
    assert s.process.wait(PATIENCE) == 0
    s.process = None


def on_terminal(s, *arguments):
    """What a command prints to a terminal."""
    master, slave = pty.openpty()
    done = subprocess.Popen([INSTARCTL, "-d", s.root, "-f", "instar.conf", *arguments],
                            stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    text = b""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        text += data
    os.close(master)
    return done.wait(), text.decode()


def test_compiler_output_is_in_colour_on_a_terminal_alone(server):
    s = server(ROUTE, {"hello": hello(1)})
    s.write_module("hello", hello(1).replace("return INS_OK;", "return INS_OK"))
    status, text = on_terminal(s, "graceful")
    assert status == REFUSED and "\x1b[" in text and "hello.c" in text
    done = s.ctl("graceful")
    assert "\x1b[" not in done.stdout + done.stderr
    assert "\x1b[" not in s.log()


def test_a_terminals_resize_does_not_stop_a_foreground_server(server):
    """The kernel's SIGWINCH is no request to stop."""
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    master, slave = pty.openpty()

    def own_terminal():
        import fcntl
        import termios
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with open(s.path("stderr"), "ab") as stderr:
        s.process = subprocess.Popen(s.command("-DFOREGROUND"), stdin=slave, stdout=stderr,
                                     stderr=stderr, preexec_fn=own_terminal)
    until(s._serving, "the server serves")
    import fcntl
    import struct
    import termios
    for rows in (30, 40, 50):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        time.sleep(0.1)
    assert version_of(s.get("/hello").body) == 1
    s.remember()
    os.close(slave)
    os.close(master)  # hang-up
    assert s.process.wait(PATIENCE) == 0
    s.process = None


def test_the_installation_is_complete():
    for name in ("sbin/instar", "bin/instarctl", "etc/instar/instar.conf", "include/instar.h",
                 "share/man/man8/instar.8", "share/man/man8/instarctl.8",
                 "libexec/instar/modules"):
        assert os.path.exists(os.path.join(PREFIX, name)), name
