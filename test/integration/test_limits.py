# SPDX-License-Identifier: Apache-2.0
"""Limits: what a client may ask for, how long it may take, and what happens when there are too
many of them. Nothing spins, nothing is lost, and each limit is said once."""
import os
import time

import pytest

from harness.env import SANITIZED, until
from harness.http import Broken, Connection
from harness.modules import PROBE, PROBE_ROUTES


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def test_an_idle_connection_ends_at_keep_alive_timeout(server):
    s = server(PROBE_ROUTES + "KeepAliveTimeout 1\n", {"probe": PROBE})
    with s.connect() as connection:
        began = time.monotonic()
        assert connection.request("/info").status == 200
        assert connection.at_end()
        assert 0.8 < time.monotonic() - began < s.slack(10)


def test_a_connection_that_says_nothing_ends_at_timeout(server):
    s = server(PROBE_ROUTES + "Timeout 1\n", {"probe": PROBE})
    with s.connect() as connection:
        began = time.monotonic()
        assert connection.at_end()
        assert 0.8 < time.monotonic() - began < s.slack(10)


def test_a_connection_that_begins_late_is_served(server):
    s = server(PROBE_ROUTES, {"probe": PROBE})
    with s.connect() as connection:
        time.sleep(1.5)
        assert connection.request("/info").status == 200


def test_a_host_has_a_keep_alive_timeout_of_its_own(server):
    """As in httpd: where it stands in the host itself; else the first host's counts."""
    s = server(PROBE_ROUTES + """
KeepAliveTimeout 60
<VirtualHost *>
ServerName first.example
KeepAliveTimeout 1
</VirtualHost>
<VirtualHost *>
ServerName inherits.example
</VirtualHost>
<VirtualHost *>
ServerName own.example
KeepAliveTimeout 59
</VirtualHost>
""", {"probe": PROBE})
    with s.connect() as inherits, s.connect() as own, s.connect() as back:
        inherits.request("/info", host="inherits.example")
        own.request("/info", host="own.example")
        back.request("/info", host="own.example")
        back.request("/info", host="first.example")
        began = time.monotonic()
        assert inherits.at_end() and back.at_end()
        assert time.monotonic() - began < s.slack(10)
        assert own.request("/info", host="own.example").status == 200
        s.reload()
        assert own.still_open(2)


@pytest.mark.parametrize("setting", ["KeepAlive Off", "KeepAliveTimeout 0"])
def test_keep_alive_can_be_off(server, setting):
    s = server(PROBE_ROUTES + setting + "\n", {"probe": PROBE})
    with s.connect() as connection:
        assert connection.request("/info").closes
        assert connection.at_end()


def test_a_connection_ends_after_its_requests(server):
    s = server(PROBE_ROUTES + "MaxKeepAliveRequests 3\n", {"probe": PROBE})
    with s.connect() as connection:
        assert not connection.request("/info").closes
        assert not connection.request("/info").closes
        assert connection.request("/info").closes
        assert connection.at_end()


LIMITS = PROBE_ROUTES + """
LimitRequestLine 200
LimitRequestFields 5
LimitRequestFieldSize 100
LimitRequestBody 1000
<Location /whole>
LimitRequestBody 10
</Location>
"""


def test_limits_are_as_configured(server):
    s = server(LIMITS, {"probe": PROBE})
    cases = [
        ("/info?" + "q" * 150, [], b"", 200),
        ("/info?" + "q" * 200, [], b"", 414),
        ("/info", [("X", "v" * 90)], b"", 200),
        ("/info", [("X", "v" * 120)], b"", 431),
        ("/info", [(f"X{i}", "v") for i in range(3)], b"", 200),
        ("/info", [(f"X{i}", "v") for i in range(5)], b"", 431),
        ("/echo", [], b"x" * 1000, 200),
        ("/echo", [], b"x" * 1001, 413),
        ("/whole", [], b"x" * 10, 200),
        ("/whole", [], b"x" * 11, 413),
    ]
    for target, fields, body, status in cases:
        with s.connect() as connection:
            method = "POST" if body else "GET"
            assert connection.request(target, method, fields, body).status == status, target


def slow_parts():
    return [
        ("the request line", b"GET /in", 408),
        ("the fields", b"GET /info HTTP/1.1\r\nHost: x\r\nX: ", 408),
        ("the body", b"POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", 408),
        ("a chunk", b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab",
         408),
    ]


def test_a_client_that_stops_sending_is_told_408(server):
    s = server(PROBE_ROUTES + "RequestReadTimeout header=1 body=1\n", {"probe": PROBE})
    opened = []
    began = time.monotonic()
    for name, data, status in slow_parts():
        connection = s.connect()
        connection.send(data)
        opened.append((name, connection, status))
    for name, connection, status in opened:
        try:
            assert connection.answer().status == status, name
            assert connection.at_end(), name
        except Broken as broken:
            assert broken.kind == "closed", f"{name}: {broken}"
        connection.close()
    assert 0.5 < time.monotonic() - began < s.slack(10)


def test_silence_is_bounded_by_timeout_whatever_the_rate_allows(server):
    """90,000 bytes at MinRate 500 allow three more minutes, but not of silence."""
    s = server(PROBE_ROUTES + "Timeout 1\nRequestReadTimeout header=30 body=30,MinRate=500\n",
               {"probe": PROBE})
    began = time.monotonic()
    for sent in ["GET /info HT",
                 "POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
                 "POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + "x" * 90000]:
        with s.connect() as connection:
            connection.send(sent)
            assert connection.answer().status == 408
    assert time.monotonic() - began < s.slack(15)


def test_a_slow_body_may_take_longer_than_timeout(server):
    s = server(PROBE_ROUTES + "Timeout 2\nRequestReadTimeout header=0 body=0\n", {"probe": PROBE})
    with s.connect() as connection:
        connection.send("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        for _ in range(9):
            time.sleep(0.4)
            connection.send("x")
        assert connection.answer().status == 200


def test_a_client_that_trickles_is_bounded(server):
    """A byte now and then does not keep a request alive for ever: slowloris."""
    s = server(PROBE_ROUTES + "RequestReadTimeout header=1-2,MinRate=1000 body=1-2,MinRate=1000\n",
               {"probe": PROBE})
    with s.connect() as connection:
        began = time.monotonic()
        connection.send("GET /info HTTP/1.1\r\nHost: x\r\n")
        ended = False
        while not ended and time.monotonic() - began < s.slack(20):
            try:
                connection.send("X")
                ended = not connection.still_open(0.1)
            except Broken:
                ended = True
        assert ended
        assert time.monotonic() - began > 0.8


def test_many_slow_clients_do_not_hold_up_a_quick_one(server):
    s = server(PROBE_ROUTES + "RequestReadTimeout header=20 body=20\nThreadsPerWorker 4\n",
               {"probe": PROBE}, workers=1)
    slow = []
    for i in range(200):
        connection = s.connect()
        connection.send(slow_parts()[i % 4][1])
        slow.append(connection)
    for _ in range(20):
        began = time.monotonic()
        assert s.get("/info").status == 200
        assert time.monotonic() - began < s.slack(2)
    for connection in slow:
        connection.close()


def test_a_client_that_does_not_read_is_cut_off(server):
    s = server(PROBE_ROUTES + "Timeout 1\n", {"probe": PROBE})
    with s.connect() as connection:
        connection.send("GET /stream?size=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: s.serving()["connections"] == 0, "the connection is given up")


@pytest.mark.parametrize("workers", [1])
def test_accepting_pauses_at_max_connections(server, workers):
    s = server(PROBE_ROUTES + "MaxConnections 10\nKeepAliveTimeout 60\n", {"probe": PROBE},
               workers=workers)
    held = []
    for _ in range(10):
        connection = s.connect()
        assert connection.request("/info").status == 200
        held.append(connection)
    waiting = s.connect()
    waiting.send("GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
    pids = s.worker_pids()
    before = cpu_seconds(pids)
    assert waiting.still_open(1)
    assert cpu_seconds(pids) - before < 0.3, "it spins"
    for _ in range(5):
        held.pop().close()
    assert waiting.answer().status == 200
    held.append(waiting)
    paused = [one for one in s.log().splitlines() if "MaxConnections" in one]
    assert len(paused) == 1, paused
    for connection in held:
        connection.close()
    assert s.get("/info").status == 200
    assert s.status()["counters"]["conn_limit"] >= 1


def test_accepting_pauses_out_of_descriptors(server):
    s = server(PROBE_ROUTES + "KeepAliveTimeout 60\n", {"probe": PROBE}, workers=1, start=False)
    s.nofile = 64
    s.start()
    worker = s.worker_pids()[0]
    held = [s.connect() for _ in range(100)]
    answered = []
    for connection in held:
        connection.send("GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: "descriptors" in s.log(), "the lack of descriptors is logged")
    before = cpu_seconds([worker])
    time.sleep(1)
    assert cpu_seconds([worker]) - before < 0.5, "it spins"
    for connection in held:  # each that goes makes room for another
        try:
            assert connection.answer().status == 200
            answered.append(connection)
        finally:
            connection.close()
    assert len(answered) == 100
    assert s.get("/info").status == 200
    assert s.worker_pids() == [worker]
    lines = [one for one in s.log().splitlines() if "descriptors" in one]
    assert len(lines) <= 4, lines


def test_threads_are_bounded(server):
    s = server(PROBE_ROUTES + "ThreadsPerWorker 4\n", {"probe": PROBE}, workers=1)
    connections = [Connection(s.address) for _ in range(20)]
    for connection in connections:
        connection.send("GET /nap?ms=100 HTTP/1.1\r\nHost: x\r\n\r\n")
    for connection in connections:
        assert connection.answer().text == "slept"
        connection.close()
    worker = s.worker_pids()[0]
    with open(f"/proc/{worker}/status") as text:
        threads = [int(one.split()[1]) for one in text if one.startswith("Threads:")][0]
    assert threads <= 4 + 3 + (2 if SANITIZED else 0)
