# SPDX-License-Identifier: Apache-2.0
"""What a client of HTTP/1.1 may rely on beyond single requests: order, persistence, bodies of
any size both ways, HEAD, 100-continue, HTTP/1.0, dates and errors."""
import email.utils
import re
import socket
import threading
import time

import pytest

from harness.env import sized, until
from harness.http import Connection
from harness.modules import PROBE, PROBE_ROUTES

CONFIG = PROBE_ROUTES + """
LimitRequestBody 67108864
KeepAliveTimeout 60
MaxKeepAliveRequests 0
"""


@pytest.fixture(scope="module")
def probe(shared):
    return shared(CONFIG, {"probe": PROBE})


def line(answer, name):
    for one in answer.text.splitlines():
        if one.startswith(name + "="):
            return one.partition("=")[2]
    raise AssertionError(f"no {name} in {answer}")


# ---- Persistence and order ------------------------------------------------------


def test_pipelined_answers_come_in_order(probe):
    with probe.connect() as connection:
        requests = "".join(f"GET /info?{i} HTTP/1.1\r\nHost: localhost\r\n\r\n" for i in range(200))
        connection.send(requests)
        for i in range(200):
            assert line(connection.answer(), "args") == str(i)


def test_a_slow_answer_keeps_its_place_in_a_pipeline(probe):
    with probe.connect() as connection:
        connection.send("GET /info?first HTTP/1.1\r\nHost: x\r\n\r\n"
                        "GET /nap?ms=200 HTTP/1.1\r\nHost: x\r\n\r\n"
                        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                        "GET /stream?size=100000 HTTP/1.1\r\nHost: x\r\n\r\n"
                        "GET /info?last HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line(connection.answer(), "args") == "first"
        assert connection.answer().text == "slept"
        assert connection.answer().text == "hello"
        assert len(connection.answer().body) == 100000
        assert line(connection.answer(), "args") == "last"


def test_nothing_is_answered_behind_connection_close(probe):
    with probe.connect() as connection:
        connection.send("GET /info?1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                        "GET /info?2 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.answer()
        assert answer.closes and line(answer, "args") == "1"
        assert connection.at_end()


def test_a_connection_is_kept_and_counted(probe):
    with probe.connect() as connection:
        for i in range(50):
            assert line(connection.request("/info"), "keepalives") == str(i)


def test_a_request_may_come_in_any_pieces(probe):
    request = (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nX: y\r\n\r\n")
    for cut in range(1, len(request)):
        with probe.connect() as connection:
            connection.send(request[:cut])
            if cut % 7 == 0:
                time.sleep(0.005)
            connection.send(request[cut:])
            assert connection.answer().text == "hello world", cut


def test_http_1_0_closes_unless_it_asks(probe):
    with probe.connect() as connection:
        connection.send("GET /info HTTP/1.0\r\n\r\n")
        answer = connection.answer()
        assert answer.status == 200 and answer.get("Transfer-Encoding") is None
        assert connection.at_end()
    with probe.connect() as connection:
        for _ in range(3):
            connection.send("GET /info HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = connection.answer()
            assert answer.status == 200 and "keep-alive" in answer.get("Connection").lower()


def test_http_1_0_never_gets_chunks(probe):
    with probe.connect() as connection:
        connection.send("GET /stream?size=300000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = connection.answer()
        assert answer.get("Transfer-Encoding") is None and len(answer.body) == 300000
        assert answer.closes and connection.at_end()


def test_a_higher_minor_version_is_answered_as_1_1(probe):
    with probe.connect() as connection:
        connection.send("GET /info HTTP/1.9\r\nHost: x\r\n\r\n")
        assert connection.answer().version == "HTTP/1.1"


def test_the_client_may_close_its_side_first(probe):
    with probe.connect() as connection:
        connection.send("GET /nap?ms=50 HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().text == "slept"
        assert connection.at_end()


# ---- Bodies ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 100, 4095, 4096, 65535, 65536, 65537, 1000000, 5000000])
def test_a_body_comes_back_whole(probe, size):
    body = bytes(i * 31 % 251 for i in range(min(size, 9973))) * (size // 9973 + 1)
    body = body[:size]
    with probe.connect() as connection:
        sender = threading.Thread(target=lambda: connection.send(
            f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + body))
        sender.start()
        answer = connection.answer()
        sender.join()
        assert answer.body == body
        assert answer.closes or connection.request("/info").status == 200


@pytest.mark.parametrize("chunk", [1, 7, 1000, 65536, 70000])
def test_chunks_of_any_size_come_back_whole(probe, chunk):
    body = bytes(i * 17 % 253 for i in range(min(200 * chunk, 300000)))
    framed = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + chunk]), body[i:i + chunk])
                      for i in range(0, len(body), chunk)) + b"0\r\n\r\n"
    with probe.connect() as connection:
        sender = threading.Thread(target=lambda: connection.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + framed))
        sender.start()
        assert connection.answer().body == body
        sender.join()
        assert connection.request("/info").status == 200


def test_the_whole_body_is_there_for_a_handler_that_asks(probe):
    with probe.connect() as connection:
        assert connection.request("/whole", "POST", body=b"x" * 200000).text == "200000 bytes"
        assert connection.request("/whole", "POST", body=b"").text == "0 bytes"


def test_a_handler_that_asks_for_less_than_comes_says_413(probe):
    with probe.connect() as connection:
        assert connection.request("/whole", "POST", body=b"x" * ((1 << 20) + 1)).status == 413


def test_an_ignored_body_is_not_taken_for_a_request(probe):
    body = b"GET /info?smuggled HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    with probe.connect() as connection:
        for _ in range(5):
            answer = connection.request("/ignore", "POST", body=body)
            assert answer.text == "ignored"
            if answer.closes:
                break
            assert line(connection.request("/info?real"), "args") == "real"


def test_a_long_ignored_body_does_not_break_the_connection_off(probe):
    """The answer must reach a client that is still sending (no reset)."""
    body = b"x" * 20000000
    with probe.connect() as connection:
        connection.send(f"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n")
        sender = threading.Thread(target=lambda: _send_quietly(connection, body))
        sender.start()
        assert connection.answer().text == "ignored"
        sender.join()


def _send_quietly(connection, body):
    try:
        connection.send(body)
    except Exception:  # the other side may have enough
        pass


def test_a_stream_of_unknown_length_comes_in_chunks(probe):
    with probe.connect() as connection:
        answer = connection.request("/stream?size=1000000")
        assert answer.get("Transfer-Encoding") == "chunked"
        assert answer.body == b"s" * 1000000
        assert connection.request("/info").status == 200


def test_a_stream_of_known_length_says_so(probe):
    with probe.connect() as connection:
        answer = connection.request("/stream?size=1000000&length=1")
        assert answer.get("Content-Length") == "1000000" and len(answer.body) == 1000000
        assert connection.request("/info").status == 200


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 65535, 65536, 65537, 3000000])
def test_a_written_answer_comes_whole(probe, size):
    with probe.connect() as connection:
        assert connection.request(f"/big?size={size}").body == b"\0" * size
        assert connection.request(f"/big?size={size}&length=1").body == b"\0" * size


def test_a_flushed_piece_comes_before_the_rest_is_written(probe):
    with probe.connect() as connection:
        answer = connection.request("/pieces?count=20")
        assert answer.text == "".join(f"piece {i}\n" for i in range(20))


def test_a_long_stream_needs_constant_memory(probe):
    """A hundred megabytes to a client that reads slowly at first."""
    size = sized(100, 1000, 20) * 1000000
    with probe.connect() as connection:
        connection.send(f"GET /stream?size={size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)
        got = 0
        while True:
            data = connection.socket.recv(1 << 20)
            if not data:
                break
            got += len(data)
        assert got > size
    from harness import processes
    assert all(processes.rss(pid) < 150 << 20 for pid in probe.worker_pids()) or sized(0, 0, 1)


def test_a_client_that_goes_away_stops_the_stream(probe):
    with probe.connect() as connection:
        connection.send("GET /stream?size=100000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.more()
    until(lambda: probe.serving()["connections"] == 0, "the connection is forgotten")


# ---- Expect, HEAD, OPTIONS ---------------------------------------------------------


def test_the_server_asks_for_an_expected_body(probe):
    with probe.connect() as connection:
        connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                        "Expect: 100-continue\r\n\r\n")
        assert connection.interim() == 100
        connection.send("hello")
        assert connection.answer().text == "hello"


def test_no_100_where_the_body_is_refused(probe):
    with probe.connect() as connection:
        connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n"
                        "Expect: 100-continue\r\n\r\n")
        answer = connection.answer()
        assert answer.status == 413 and not answer.interim


def test_no_100_where_nothing_is_found(probe):
    with probe.connect() as connection:
        connection.send("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                        "Expect: 100-continue\r\n\r\n")
        answer = connection.answer()
        assert answer.status == 404


def test_no_100_for_http_1_0(probe):
    with probe.connect() as connection:
        connection.send("POST /echo HTTP/1.0\r\nContent-Length: 5\r\n"
                        "Expect: 100-continue\r\n\r\nhello")
        answer = connection.answer()
        assert answer.status == 200 and not answer.interim


@pytest.mark.parametrize("target", ["/info", "/stream?size=100000&length=1", "/big?size=5000",
                                    "/nothing", "/status?code=500&returned=1"])
def test_head_is_get_without_the_body(probe, target):
    with probe.connect() as connection:
        full = connection.request(target)
    with probe.connect() as connection:
        head = connection.request(target, "HEAD")
        assert head.status == full.status and head.body == b""
        if full.get("Content-Length") and target != "/info":
            assert head.get("Content-Length") == full.get("Content-Length")
        assert head.get("Content-Type") == full.get("Content-Type")
        if not head.closes:
            assert connection.request("/info").status == 200


def test_a_refused_head_has_no_body_either(probe):
    """Not even where the connection ends behind it."""
    with probe.connect() as connection:
        connection.send("HEAD /info HTTP/1.1\r\nX : 1\r\n\r\n")
        answer = connection.answer(head=True)
        assert answer.status == 400 and answer.closes
        assert connection.at_end()


def test_the_page_of_an_internal_error_names_the_administrator(server):
    s = server(PROBE_ROUTES + """
ServerAdmin "<webmaster@example.org>"
<VirtualHost *>
ServerName other.example
ServerAdmin other@example.org
</VirtualHost>
""", {"probe": PROBE})
    page = s.get("/status?code=500&returned=1").text
    assert "other@example.org" in page
    s.replace("<VirtualHost *>", "<VirtualHost 192.0.2.1>")
    s.reload()
    assert "&lt;webmaster@example.org&gt;" in s.get("/status?code=500&returned=1").text
    assert "webmaster" not in s.get("/nothing").text


@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_a_body_have_none(probe, code):
    with probe.connect() as connection:
        answer = connection.request(f"/status?code={code}")
        assert answer.status == code and answer.get("Transfer-Encoding") is None
        assert code != 204 or answer.get("Content-Length") is None
        assert connection.request("/info").status == 200


def test_options_tells_the_methods(probe):
    answer = probe.get("/info", method="OPTIONS")
    assert answer.status in (200, 204)
    allow = {one.strip() for one in answer.get("Allow").split(",")}
    assert allow == {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"}


def test_options_of_the_server_itself(probe):
    with probe.connect() as connection:
        connection.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.answer().status in (200, 204)
        assert connection.request("/info").status == 200


# ---- Answers ---------------------------------------------------------------------


def test_every_answer_has_a_date(probe):
    for target in ("/info", "/nothing", "/status?code=500&returned=1"):
        date = probe.get(target).get("Date")
        assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} "
                            r"\d\d:\d\d:\d\d GMT", date)
        when = email.utils.parsedate_to_datetime(date).timestamp()
        assert abs(when - time.time()) < 30


def test_error_pages_are_html_and_escape(probe):
    answer = probe.get("/nothing/<script>alert(1)</script>".replace("<", "%3C"))
    assert answer.status == 404
    assert "text/html" in answer.get("Content-Type") and "<script>" not in answer.text
    answer = probe.get("/status?code=418&error=%3Cb%3E")
    assert answer.status == 418 and "&lt;b&gt;" in answer.text


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 422, 429, 451, 500, 502, 503, 599])
def test_a_status_that_a_handler_returns_is_answered(probe, code):
    answer = probe.get(f"/status?code={code}&returned=1")
    assert answer.status == code


def test_a_field_cannot_be_injected(probe):
    answer = probe.get("/fields", fields=[("Cookie", "a=b; c=d")])
    assert answer.get("Injected") is None and answer.get("X-Evil") is None
    assert answer.get("X-One") == "second" and answer.get("X-Two") == "a, b"
    assert "taste=sweet" in answer.get("Set-Cookie")
    assert "cookie=d" in answer.text


def test_a_form_is_decoded(probe):
    answer = probe.get("/fields", method="POST", body="a=1&f=one+two%21",
                       fields=[("Content-Type", "application/x-www-form-urlencoded")])
    assert "form=one two!" in answer.text


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_name_the_place(probe, code):
    answer = probe.get(f"/away?code={code}")
    assert answer.status == code and answer.get("Location").endswith("/there")


def test_fields_reach_the_handler(probe):
    fields = [("X-Twice", "a"), ("x-twice", "b")]
    assert line(probe.get("/info?header=X-TWICE", fields=fields), "header") == "a, b"
    assert line(probe.get("/info?header=X", fields=[("X", "\xe4")]), "header")


def test_the_target_reaches_the_handler(probe):
    answer = probe.get("/./a/../%69nfo?q=%20x")
    assert line(answer, "uri") == "/info" and line(answer, "args") == "q=%20x"
    assert line(answer, "unparsed") == "/./a/../%69nfo?q=%20x"
    answer = probe.get("http://other.example/info", host="localhost")
    assert line(answer, "host") == "other.example"


def test_many_connections_at_once(probe):
    count = sized(300, 5000, 100)
    connections = [Connection(probe.address) for _ in range(count)]
    for connection in connections:
        connection.send("GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
    for connection in connections:
        assert connection.answer().status == 200
    for connection in connections:
        connection.close()
    until(lambda: probe.serving()["connections"] == 0, "all connections are forgotten")
