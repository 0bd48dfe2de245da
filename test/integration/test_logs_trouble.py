# SPDX-License-Identifier: Apache-2.0
"""Logs on a full disk, a syslog that is down, formats for machines, ids, conditions, buffering."""
import json
import os
import re
import resource
import socket
import threading
import time

import pytest

from harness import numbered
from harness.env import sized, until
from harness.http import Broken
from harness.modules import PROBE, PROBE_ROUTES
from harness.numbered import Numbered, check_lines

LIMIT = 64 << 20  # of every file that the server writes: a disk that is nearly full


def limited(server, monkeypatch, config, **more):
    """A server whose files cannot grow beyond LIMIT."""
    s = server(numbered.CONFIG + "MaxConnections 200\n" + config, {"numbered": numbered.MODULE},
               start=False, **more)
    # The module is built before, without the limit.
    s.start()
    s.stop()
    monkeypatch.setattr(s, "_limits", lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY)))
    return s


def fill(s, room):
    """The access log, up to room bytes below the limit: a hole and the end of a line."""
    with open(s.path("logs/access"), "wb") as file:
        file.seek(LIMIT - room - 1)
        file.write(b"\n")
    s.filled = LIMIT - room


def lines_of(s):
    """What came behind the filling."""
    with open(s.path("logs/access"), "rb") as file:
        file.seek(s.filled)
        return file.read().decode()


def make_room(s):
    s.filled = 0
    os.truncate(s.path("logs/access"), 0)


def test_a_full_disk_fails_no_request_and_its_loss_is_counted_and_said(server, monkeypatch):
    s = limited(server, monkeypatch,
                f"CustomLog logs/access {numbered.FORMAT[:-1]} {'x' * 100}\"\nLogBufferSize 64K\n")
    # Not a whole number of lines: the last that fits does not fit whole.
    fill(s, 10_050)
    s.start()
    full_for = sized(0, 10, 0)
    with Numbered(s.address, 8_000, connections=4) as load:
        assert load.wait() == 8_000
    began, count = time.monotonic(), 8_000
    while time.monotonic() - began < full_for:
        with Numbered(s.address, 1_000, first=count, connections=4) as load:
            load.wait()
        count += 1_000
    assert s.status()["counters"]["log_lost"] > 0
    assert "INS02202" in s.log() and "INS02203" in s.log()
    before = lines_of(s)
    assert 60 < before.count("\n") < 90, "what fitted was written, in whole lines"
    assert os.path.getsize(s.path("logs/access")) <= LIMIT
    make_room(s)
    until(lambda: s.log().count("INS02204") == s.log().count("INS02202"),
          "each worker that had trouble says that it is over")
    with Numbered(s.address, 200, first=count, connections=2) as load:
        load.wait()
    count += 200
    lost = s.status()["counters"]["log_lost"]
    said = sum(int(n) for n in re.findall(r"again; (\d+) lines were lost", s.log()))
    assert said == lost, "what was said is what was counted"
    until(lambda: (before + lines_of(s)).count("\n") == count - lost, "what waited has come")
    check_lines((before + lines_of(s)).replace(" " + "x" * 100, ""), count, lost)


def test_what_fits_into_the_buffers_is_not_lost(server, monkeypatch):
    s = limited(server, monkeypatch, f"CustomLog logs/access {numbered.FORMAT}\n")
    fill(s, 37)
    s.start()
    with Numbered(s.address, 3_000, connections=4) as load:
        load.wait()
    until(lambda: "INS02202" in s.log(), "the trouble is said")
    before = lines_of(s)
    make_room(s)
    until(lambda: (before + lines_of(s)).count("\n") == 3_000, "all lines have come")
    check_lines(before + lines_of(s), 3_000)
    assert s.status()["counters"]["log_lost"] == 0


def test_an_error_log_that_takes_nothing_is_said_on_stderr(server):
    s = server(PROBE_ROUTES, {"probe": PROBE}, start=False)
    s.write("instar.conf", s.config_text().replace("ErrorLog logs/error_log", "ErrorLog /dev/full"))
    s.start()
    for _ in range(20):
        assert s.get("/say?words=unheard").status == 200
    until(lambda: "INS02200" in s.read("stderr"), "it is said")
    assert "lines for /dev/full are lost: No space left on device" in s.read("stderr")
    assert s.read("stderr").count("INS02200") <= 2 + 2, "once by each process"
    counters = s.status()["counters"]
    assert counters["log_lost"] >= 20


# ---- syslog ---------------------------------------------------------------------


class Syslog:
    """What a syslog daemon would get."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.socket = None
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.socket.settimeout(0.1)
        threading.Thread(target=self._read, args=(self.socket,), daemon=True).start()

    def _read(self, mine):
        while self.socket is mine:
            try:
                self.lines.append(mine.recv(1 << 16).decode())
            except TimeoutError:
                pass
            except OSError:
                return

    def close(self):
        mine, self.socket = self.socket, None
        os.unlink(self.path)
        mine.close()


def test_syslog_gets_access_and_error_lines(server):
    s = server(PROBE_ROUTES, {"probe": PROBE}, start=False)
    daemon = Syslog(s.path("syslog"))
    text = s.config_text().replace("ErrorLog logs/error_log", "ErrorLog syslog:local3:web-1")
    s.write("instar.conf", text + f'SyslogSocket {s.path("syslog")}\nCustomLog syslog:user "%U %s"\n')
    s.start()
    s.get("/say?words=hello%20there")
    access = until(lambda: [one for one in daemon.lines if one.endswith("/say 200")], "it came")[0]
    assert re.fullmatch(r"<14>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d instar\[\d+\]: /say 200", access)
    error = until(lambda: [one for one in daemon.lines if "hello there" in one], "it came")[0]
    assert re.match(r"<156>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d web-1\[\d+\]: \[probe:warn\] \[pid ", error)
    s.stop()
    until(lambda: any("the server has stopped" in one for one in daemon.lines), "the master writes, too")
    daemon.close()


def test_a_syslog_that_is_down_holds_nothing_up(server):
    s = server(numbered.CONFIG, {"numbered": numbered.MODULE}, start=False, workers=1)
    daemon = Syslog(s.path("syslog"))
    s.write_config(numbered.CONFIG + f'SyslogSocket {s.path("syslog")}\nLogBufferSize 64K\n'
                   f"CustomLog syslog {numbered.FORMAT[:-1]} {'x' * 200}\"\n")
    s.start()
    with Numbered(s.address, 10, connections=1) as load:
        load.wait()
    until(lambda: len(daemon.lines) == 10, "all lines came")
    daemon.close()
    with Numbered(s.address, 2_000, first=10, connections=2) as load:
        assert load.wait() == 2_000
    lost = until(lambda: s.status()["counters"]["log_lost"], "the loss is counted")
    daemon.open()
    until(lambda: len(daemon.lines) == 2_010 - lost, "what waited has come")
    until(lambda: f"is written again; {lost} lines were lost" in s.log(), "its end is said")
    daemon.close()


# ---- What lines say ---------------------------------------------------------------


def test_json_conditions_and_ids(server):
    s = server(numbered.CONFIG + PROBE_ROUTES + """
RequestIDHeader X-Request-ID
CustomLog logs/json json
CustomLog logs/loud "%U" env=!quiet
CustomLog logs/quiet "%U" env=quiet
""", {"numbered": numbered.MODULE, "probe": PROBE}, workers=1)
    ids = []
    for target in ("/quiet", "/say?words=hello%22", "/ok"):
        answer = s.get(target, fields=[("User-Agent", 'a "b"\\'), ("X-Request-ID", "mine")])
        ids.append(answer.get("X-Request-ID"))
    until(lambda: s.read("logs/json").count("\n") == 3, "all lines are there")
    entries = [json.loads(line) for line in s.read("logs/json").splitlines()]
    assert [one["request_id"] for one in entries] == ids and len(set(ids)) == 3
    assert entries[1]["uri"] == '/say?words=hello%22' and entries[1]["user_agent"].startswith('a "b"\\')
    assert entries[0]["generation"] == s.status()["generation"] and entries[0]["status"] == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entries[0]["time"])
    assert s.read("logs/quiet") == "/quiet\n" and s.read("logs/loud") == "/say\n/ok\n"
    said = until(lambda: [line for line in s.log().splitlines() if "hello" in line], "it is said")[0]
    assert f"[id {ids[1]}] [client 127.0.0.1:" in said


def test_an_id_that_came_is_taken_over_only_where_it_is_trusted_and_harmless(server):
    s = server(PROBE_ROUTES + 'RequestIDHeader X-Request-ID trust\nCustomLog logs/ids "%L"\n',
               {"probe": PROBE}, workers=1)
    good = "0af7651916cd43dd8448eb211c80319c-b7ad6b71"
    bad = ["", "with space", "quote\"", "x" * 129, "semi;colon", "caf\xe9"]
    assert s.get("/info", fields=[("X-Request-ID", good)]).get("X-Request-ID") == good
    own = [s.get("/info", fields=[("X-Request-ID", one)]).get("X-Request-ID") for one in bad]
    assert all(re.fullmatch(r"[\w-]{21}", one) for one in own) and len(set(own)) == len(bad), own
    until(lambda: s.read("logs/ids").split() == [good] + own, "the log has them")


def test_an_error_log_in_json(server):
    s = server(PROBE_ROUTES + "ErrorLogFormat json\n", {"probe": PROBE})
    s.get("/say?words=one%22two%0A%FF")
    s.reload()
    until(lambda: "two" in s.read("logs/error_log"), "it is there")
    s.stop()
    lines = s.read("logs/error_log").splitlines()
    # The first ones come before the config is known to the master.
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(entries) >= len(lines) - 3
    said = [one for one in entries if "two" in one["message"]][0]
    assert said["message"].startswith('one"two\n') and said["client"].startswith("127.0.0.1:")
    assert said["part"] == "probe" and said["level"] == "warn" and said["request_id"]
    assert all(re.fullmatch(r"INS0\d{4}", one["tag"]) for one in entries if "tag" in one)


def test_a_worker_that_crashes_has_written_its_lines(server):
    s = server(numbered.CONFIG + f"CustomLog logs/access {numbered.FORMAT}\n"
               "Route GET /crash crash\nBufferedLogs On\nLogFlushInterval 1h\n",
               {"numbered": numbered.MODULE, "probe": PROBE}, workers=1)
    s.expect_reports = True
    with Numbered(s.address, 500, connections=2) as load:
        load.wait()
    assert not s.read("logs/access"), "they wait"
    with pytest.raises((Broken, OSError)):
        s.get("/crash")
    until(lambda: s.read("logs/access").count("\n") == 500, "they were written")
    check_lines(s.read("logs/access"), 500)
    until(lambda: re.search(r"was killed by SIG(SEGV|ABRT)", s.log()), "its death is what it was")


def test_buffered_lines_wait_for_their_interval_and_no_longer(server):
    s = server(numbered.CONFIG + f"CustomLog logs/access {numbered.FORMAT}\nBufferedLogs On\n"
               "LogFlushInterval 1h\n", {"numbered": numbered.MODULE})
    with Numbered(s.address, 100, connections=2) as load:
        load.wait()
    assert not s.read("logs/access"), "they wait"
    s.reload()
    until(lambda: s.read("logs/access").count("\n") == 100, "a worker that ends has written them")
    s.replace("LogFlushInterval 1h", "LogFlushInterval 100ms")
    s.reload()
    with Numbered(s.address, 5_000, first=100, connections=2) as load:
        load.wait()
    until(lambda: s.read("logs/access").count("\n") == 5_100, "they come by themselves")
    check_lines(s.read("logs/access"), 5_100)
