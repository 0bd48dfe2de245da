# SPDX-License-Identifier: Apache-2.0
"""instarctl's verbs for people: status, top, tail, logs, routes."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

import pytest

from harness.env import INSTARCTL, PATIENCE, until
from harness.modules import hello

CONFIG = """
LogFormat "%U" path
CustomLog logs/access_log path
Route GET /hello hello
"""


@pytest.fixture(scope="module")
def s(shared):
    return shared(CONFIG, {"hello": hello(1)})


class Follower:
    """An instarctl that stays, and what it has said so far."""

    def __init__(self, server, *arguments):
        self.process = subprocess.Popen(
            [INSTARCTL, "-d", server.root, "-f", "instar.conf", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.errors = [], []
        self.threads = [threading.Thread(target=self.read, args=pair) for pair in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(pipe, lines):
        for line in pipe:
            lines.append(line.rstrip("\n"))

    def says(self, text):
        until(lambda: any(text in line for line in self.lines), f"{text!r}, not {self.lines[-5:]}")

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None and number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture
def follow():
    followers = []

    def start(server, *arguments):
        followers.append(Follower(server, *arguments))
        return followers[-1]

    yield start
    for one in followers:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


# ---- status ---------------------------------------------------------------------------------


def test_status_tells_generations_workers_counters_and_the_last_reload(s):
    s.get("/hello")
    text = s.ctl("status").stdout
    assert re.match(r"Instar/\S+, pid \d+, up ", text)
    until(lambda: not re.search(r"up \d+\.000 s", s.ctl("status").stdout), "seconds have fractions")
    assert re.search(r"^generation \d+  serving   pid \d+  for .* 2 workers  \d+ connections? "
                     r"\(0 TLS\)  0 busy$", text, re.M)
    assert len(re.findall(r"^  worker \d+\.[01]  pid \d+  ", text, re.M)) == 2
    assert re.search(r"^  \d+ requests answered$", text, re.M)
    assert re.search(r"^  answers by class of status: 0 1xx, \d+ 2xx, ", text, re.M)
    assert "last reload (start, " in text


def test_status_json_has_kept_its_members_and_grown(s):
    status = s.status()
    for name in ("ok", "version", "pid", "uptime", "generation", "workers", "connections",
                 "generations", "last_reload", "counters"):
        assert name in status
    assert status["workers"] == 2 and status["step"] is None
    for name in ("accepted", "requests", "errors", "bytes_in", "bytes_out", "handed_over",
                 "adopted", "loop_moves", "thread_limit", "conn_limit", "status_2xx",
                 "method_get", "reloads_ok", "deaths_crash"):
        assert isinstance(status["counters"][name], int), name
    assert {one["pid"] for one in status["worker_list"]} == set(s.worker_pids())


# ---- logs and tail ----------------------------------------------------------------------------


def test_logs_lists_the_files_by_kind(s):
    assert s.ctl("logs").stdout.splitlines() == [
        f"error {s.path('logs/error_log')}", f"access {s.path('logs/access_log')}"]
    assert json.loads(s.ctl("logs", "--json").stdout)["logs"][1] == {
        "kind": "access", "path": s.path("logs/access_log")}


def test_tail_begins_with_the_last_lines(s, follow):
    for i in range(5):
        s.get(f"/last{i}")
    # Two workers write: the order of their lines is the file's.
    until(lambda: all(f"/last{i}\n" in s.read("logs/access_log") for i in range(5)),
          "the lines are written")
    last = s.read("logs/access_log").splitlines()[-2:]
    told = follow(s, "tail", "access", "-n", "2")
    until(lambda: len(told.lines) >= 2, "it tells them")
    assert told.lines == last
    none = follow(s, "tail", "access", "-n", "0")
    until(lambda: s.get("/later") and none.lines, "it follows")
    assert set(none.lines) == {"/later"}
    assert told.end() == 0 and none.end(signal.SIGTERM) == 0


def test_tail_follows_over_rotation_reload_and_drain(server, follow):
    s = server(CONFIG, {"hello": hello(1)})
    told = follow(s, "tail", "access", "-n", "0")
    expected = []

    def ask(path, connection=None):
        expected.append(path)
        connection.request(path) if connection else s.get(path)
        told.says(path)

    until(lambda: s.get("/there") and "/there" in told.lines, "it follows")
    with s.connect() as kept:
        ask("/before", kept)
        os.rename(s.path("logs/access_log"), s.path("logs/access_log.1"))
        ask("/renamed", kept)  # goes on in the renamed file
        s.reload()
        ask("/new")
        os.rename(s.path("logs/access_log"), s.path("logs/access_log.2"))
        s.reload()
        ask("/newer")
        assert s.graceful("upgrade")["ok"]
        ask("/last")
    assert [line for line in told.lines if line != "/there"] == expected
    assert told.end() == 0


def test_tail_reads_on_in_a_file_that_was_cut_off(s, follow):
    told = follow(s, "tail", "access", "-n", "0")
    until(lambda: s.get("/there") and "/there" in told.lines, "it follows")
    os.truncate(s.path("logs/access_log"), 0)
    s.get("/cut")
    told.says("/cut")
    assert told.end() == 0


def test_tail_of_several_logs_names_each_and_finds_new_ones(server, follow):
    s = server(CONFIG, {"hello": hello(1)})
    told = follow(s, "tail")
    told.says("error_log: [")
    s.get("/hello")
    told.says("access_log: /hello")
    s.write_config(s.config + 'CustomLog logs/second_log "second %U"\n')
    s.reload()
    until(lambda: s.get("/again") and any(line == "second_log: second /again"
                                          for line in told.lines), "the new log is followed")
    assert told.end() == 0


def test_tail_ends_when_the_server_has_stopped(server, follow):
    s = server(CONFIG, {"hello": hello(1)})
    told = follow(s, "tail", "error")
    told.says("serving in")
    s.stop()
    assert told.end(None) == 0
    assert "the server has stopped" in told.lines[-1]
    assert told.errors == ["instarctl: the server has stopped"]


def test_tail_says_what_it_cannot_follow(server, follow):
    s = server("CustomLog stderr \"%U\"\nRoute GET /hello hello\n", {"hello": hello(1)})
    told = follow(s, "tail")
    until(lambda: told.errors, "it says so")
    assert told.errors == ["instarctl: stderr is not a file: not followed"]
    assert told.end() == 0
    done = s.ctl("tail", "nowhere")
    assert done.returncode == 1 and 'no log "nowhere"' in done.stderr


# ---- routes -----------------------------------------------------------------------------------

ROUTES = """
<Location /api>
    Route GET /users/{id:[0-9]+} hello
    Route POST /users/{id} hello
    Route GET users/me hello key=value
</Location>
<LocationMatch "^/a">
    LimitRequestBody 1000
</LocationMatch>
Route GET ~ ^/item-(?<id>[0-9]+)$ hello
Route GET /files/{path...} hello
<VirtualHost *:{other}>
    ServerName a.example
    Route GET /hello other
</VirtualHost>
<VirtualHost *:{other}>
    ServerName b.example
</VirtualHost>
"""
OTHER = hello(2).replace("hello_module", "other_module").replace('"hello"', '"other"')


@pytest.fixture(scope="module")
def routed(shared):
    s = shared(CONFIG, {"hello": hello(1), "other": OTHER}, start=False)
    s.write_config(CONFIG + f"Listen 127.0.0.1:{s.ports[1]}\n"
                   + ROUTES.replace("{other}", str(s.ports[1])))
    return s.start()


def routes(s, *arguments):
    done = s.ctl("routes", *arguments, "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def answer_at(s, port, *arguments):
    found = [one for one in routes(s, *arguments)["answers"]
             if f"127.0.0.1:{port}" in one["addresses"].split(", ")]
    assert len(found) == 1
    return found[0]


def test_routes_without_a_path_are_all_of_them(routed):
    text = routed.ctl("routes").stdout
    line = routed.line_of("instar.conf", "Route POST /users/{id}")
    assert re.search(rf"^  POST +/api/users/{{id}} +hello \(hello_module\) +\S+instar.conf:{line}$",
                     text, re.M)
    hosts = routes(routed)["hosts"]
    assert [host["host"] for host in hosts] == ["localhost", "a.example", "b.example"]
    assert [one["pattern"] for one in hosts[0]["routes"]] == [
        "/hello", "/api/users/{id:[0-9]+}", "/api/users/{id}", "/api/users/me",
        "~ ^/item-(?<id>[0-9]+)$", "/files/{path...}"]
    assert [one["module"] for one in hosts[1]["routes"]] == ["other_module"]


@pytest.mark.parametrize("path, method, pattern, params", [
    ("/api/users/7", "GET", "/api/users/{id:[0-9]+}", {"id": "7"}),
    ("/api/users/7?a=b", "HEAD", "/api/users/{id:[0-9]+}", {"id": "7"}),
    ("/api/users/me", "GET", "/api/users/me", {}),
    ("/api/users/me", "POST", "/api/users/{id}", {"id": "me"}),
    ("/item-12", "GET", "~ ^/item-(?<id>[0-9]+)$", {"id": "12"}),
    ("/api/../files/a/%62", "GET", "/files/{path...}", {"path": "a/b"}),
])
def test_routes_tells_what_would_answer(routed, path, method, pattern, params):
    route = answer_at(routed, routed.port, path, "--method", method)["route"]
    assert (route["pattern"], route["params"]) == (pattern, params)
    assert route["line"] > 0 and route["file"] == routed.path("instar.conf")
    # and so it is
    with routed.connect() as connection:
        assert connection.request(path, method).status == 200


def test_routes_tells_why_others_do_not_answer(routed):
    one = answer_at(routed, routed.port, "/api/users/x")
    assert one["route"] is None and one["allow"] == "POST, OPTIONS"
    why = {(t["methods"], t["pattern"]): t["why_not"] for t in one["tried"]}
    assert why == {
        ("GET", "/hello"): '"api" is not "hello"',
        ("GET", "/api/users/{id:[0-9]+}"): '"x" does not match {id:[0-9]+}',
        ("POST", "/api/users/{id}"): "it matches, but not the method GET",
        ("GET", "/api/users/me"): '"x" is not "me"',
        ("GET", "~ ^/item-(?<id>[0-9]+)$"): "its expression does not match",
        ("GET", "/files/{path...}"): '"api" is not "files"',
    }
    sections = [section["section"] for section in one["sections"]]
    assert sections == ["<Location /api>", '<LocationMatch "^/a">']
    short = {t["pattern"]: t["why_not"]
             for t in answer_at(routed, routed.port, "/api/users")["tried"]}
    assert short["/api/users/me"] == 'the path ends before "me"'
    assert short["/api/users/{id}"] == "the path ends before {id}"
    more = {t["pattern"]: t["why_not"]
            for t in answer_at(routed, routed.port, "/hello/you/there")["tried"]}
    assert more["/hello"] == 'the path goes on with "/you/there"'


def test_routes_chooses_the_host_as_a_request_does(routed):
    port = routed.ports[1]
    for arguments, host, chosen, module in (
            ((), "a.example", "it is the first on this address", "other_module"),
            (("--host", "b.example"), "b.example", "its name is the request's", "hello_module"),
            (("--host", "c.example"), "a.example",
             "it is the first on this address, and none has the request's name", "other_module")):
        one = answer_at(routed, port, "/hello", *arguments)
        assert (one["host"], one["chosen"], one["route"]["module"]) == (host, chosen, module)
    text = routed.ctl("routes", "/hello").stdout
    assert "it matches too, but the one that answers goes before it" in text
    assert f"at 127.0.0.1:{port}\n  host      a.example" in text


def test_routes_asks_what_serves_and_not_the_file(routed):
    good = routed.config
    routed.write_config(good + "Nonsense\n")
    try:
        assert answer_at(routed, routed.port, "/item-1")["route"] is not None
    finally:
        routed.write_config(good)
    assert routed.status()["last_reload"]["what"] == "start"


def test_routes_says_what_is_no_path(routed):
    assert "answered with 404: an encoded slash" in routed.ctl("routes", "/a%2Fb").stdout
    assert "answered with 400" in routed.ctl("routes", "a").stdout
    assert "answered with 400" in routed.ctl("routes", "/..").stdout
    assert routed.ctl("routes", "/a b").returncode == 2
    assert "none: 404" in routed.ctl("routes", "/nowhere").stdout


# ---- top --------------------------------------------------------------------------------------


def test_top_prints_plain_samples(s):
    s.get("/hello")
    done = s.ctl("top", "-n", "2", "-i", "0.05")
    assert done.returncode == 0 and done.stderr == ""
    head, *lines = done.stdout.splitlines()
    assert head.split()[:6] == ["time", "requests/s", "conns", "busy", "p50", "p99"]
    assert len(lines) == 2
    for line in lines:
        assert re.match(r"\d\d:\d\d:\d\d +\d+ +\d+ +\d+ ", line) and line.endswith(" serving")


def test_top_shows_rates_and_latencies(s):
    def sampled():
        told = subprocess.Popen([INSTARCTL, "-d", s.root, "-f", "instar.conf", "top", "-n", "1",
                                 "-i", "0.5"], stdout=subprocess.PIPE, text=True)
        while told.poll() is None:
            s.get("/hello")
        line = told.communicate()[0].splitlines()[1].split()
        assert told.returncode == 0
        return int(line[1]) > 0 and float(line[4]) > 0 and line[5] in ("us", "ms", "s")

    until(sampled, "a sample has requests and their time")


class Terminal:
    """instarctl on a terminal of its own."""

    def __init__(self, server, *arguments):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            [INSTARCTL, "-d", server.root, "-f", "instar.conf", *arguments], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True, env={**os.environ, "TERM": "xterm"})
        self.shown = ""

    def shows(self, text):
        def there():
            if os.get_blocking(self.master):
                os.set_blocking(self.master, False)
            try:
                self.shown += os.read(self.master, 65536).decode()
            except BlockingIOError:
                pass
            return text in self.shown
        until(there, f"{text!r} is shown, not {self.shown[-500:]!r}")

    def type(self, keys):
        os.write(self.master, keys)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("how", ["q", "signal"])
def test_top_restores_the_terminal(s, how):
    terminal = Terminal(s, "top", "-i", "0.1")
    try:
        terminal.shows("\033[?1049h")
        terminal.shows("WORKER")
        terminal.shows("requests/s")
        assert not termios.tcgetattr(terminal.slave)[3] & termios.ECHO
        if how == "q":
            terminal.type(b"q")
        else:
            terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(PATIENCE) == 0
        terminal.shows("\033[?1049l")
        assert "\033[?25h" in terminal.shown
        assert termios.tcgetattr(terminal.slave) == terminal.before
    finally:
        terminal.close()


def test_top_ends_with_the_server(server):
    s = server(CONFIG, {"hello": hello(1)})
    terminal = Terminal(s, "top", "-i", "0.1")
    try:
        terminal.shows("WORKER")
        s.stop()
        assert terminal.process.wait(PATIENCE) == 3
        assert termios.tcgetattr(terminal.slave) == terminal.before
        terminal.shows("does not answer any more")
    finally:
        terminal.close()


@pytest.mark.parametrize("arguments, words", [
    (("top", "-n", "x"), "-n x: is no number from 0 on"),
    (("tail", "-n", "-1"), "-n -1: is no number from 0 on"),
    (("top", "-i", "0"), "-i 0: must be 0.01 to 3600 seconds"),
    (("top", "more"), 'top takes no argument: what is "more"?'),
    (("tail", "a", "b"), 'tail takes one argument: what is "b"?'),
    (("status", "now"), 'status takes no argument: what is "now"?'),
    (("logs", "x"), 'logs takes no argument: what is "x"?'),
    (("statsu",), 'there is no verb "statsu"'),
    ((), "a verb is missing")])
def test_a_command_line_without_sense_is_named_and_usage(s, arguments, words):
    done = s.ctl(*arguments)
    assert done.returncode == 2 and done.stderr.startswith(f"instarctl: {words}\nUsage: instarctl")


def test_without_a_server_all_say_so(server):
    s = server(CONFIG, {"hello": hello(1)}, start=False)
    for verb in ("top", "tail", "logs", "status", "routes"):
        assert s.ctl(verb).returncode == 3
