# SPDX-License-Identifier: Apache-2.0
"""WebSockets on the wire: the handshake, frames, text, closing, limits, compression."""
import os

import pytest

from harness.env import PREFIX, until
from harness.websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Refused, Socket,
                               close_payload, frame, handshake)

CONFIG = """
<VirtualHost *:{tls}>
    SSLEngine On
    SSLCertificateFile {ca}/localhost.pem
    SSLCertificateKeyFile {ca}/localhost.key
</VirtualHost>
LogFormat "%>s %B %r" short
CustomLog logs/access_log short
Route WS /echo wsecho
Route WS /small wsecho
Route WS /keeps wsecho
Route WS /window wsecho
Route WS /plain wsecho
Route WS /any wsecho
Route WS /hosts wsecho
Route WS /pings wsecho
Route WS /quiet wsecho
<Location /small>
    WebSocketMaxMessage 1000
    WebSocketMaxFrame 600
</Location>
<Location /keeps>
    WebSocketCompression context-takeover
</Location>
<Location /window>
    WebSocketCompression context-takeover 10
</Location>
<Location /plain>
    WebSocketCompression Off
</Location>
<Location /any>
    WebSocketOrigin any
</Location>
<Location /hosts>
    WebSocketOrigin example.com b.example:8443 *.example.org
</Location>
<Location /pings>
    WebSocketPing 100ms
    WebSocketTimeout 0
</Location>
<Location /quiet>
    WebSocketPing 100ms
    WebSocketTimeout 400ms
</Location>
"""


@pytest.fixture(scope="module")
def echo(shared, authority):
    made = shared(start=False)
    made.listen += f"\nListen 127.0.0.1:{made.ports[1]} https"
    made.write_config(
        f'LoadModule wsecho_module "{PREFIX}/libexec/instar/modules/examples/wsecho.c"\n' +
        CONFIG.format(tls=made.ports[1], ca=authority.folder))
    return made.start()


@pytest.fixture(params=["plain", "tls"])
def opened(request, echo, authority):
    """Opens WebSockets, plain or under TLS."""
    sockets = []

    def connect(target="/echo", **more):
        if request.param == "tls":
            more.update(tls=authority.client(), sni="localhost")
            sockets.append(Socket(("127.0.0.1", echo.ports[1]), target, **more))
        else:
            sockets.append(Socket(echo.address, target, **more))
        return sockets[-1]

    yield connect
    for one in sockets:
        one.close()


@pytest.fixture
def ws(echo):
    with Socket(echo.address) as one:
        yield one


# ---- The handshake -----------------------------------------------------------------------


def refused(echo, target="/echo", **more):
    with pytest.raises(Refused) as caught:
        Socket(echo.address, target, **more)
    return caught.value.answer


def test_a_plain_get_is_told_to_upgrade(echo):
    answer = echo.get("/echo")
    assert answer.status == 426 and answer.get("Upgrade") == "websocket"
    assert "upgrade" in answer.get("Connection").lower()


def test_other_methods_are_not_allowed(echo):
    answer = echo.get("/echo", method="POST", body=b"x")
    assert answer.status == 405 and "GET" in answer.get("Allow") and "WS" not in answer.get("Allow")
    assert echo.get("/echo", method="WS").status == 405


@pytest.mark.parametrize("version, status", [("12", 426), ("14", 426), ("8, 13", 426), (None, 400)])
def test_other_versions_are_refused(echo, version, status):
    answer = refused(echo, version=version)
    assert answer.status == status
    if status == 426:
        assert answer.get("Sec-WebSocket-Version") == "13"


@pytest.mark.parametrize("key", ["", "x", "AAAAAAAAAAAAAAAAAAAAAA==, AAAAAAAAAAAAAAAAAAAAAA==",
                                 "AAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAB==",
                                 "AAAAAAAAAAA-AAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA"])
def test_keys_that_are_not_sixteen_bytes_are_refused(echo, key):
    assert refused(echo, key=key).status == 400


@pytest.mark.parametrize("fields", [{"extensions": "permessage-deflate; ="},
                                    {"extensions": "a b"},
                                    {"protocols": "a, a"}, {"protocols": "a b"},
                                    {"fields": [("Content-Length", "1")], "more": b"x"}])
def test_fields_that_are_no_grammar_are_refused(echo, fields):
    assert refused(echo, **fields).status == 400


def test_an_upgrade_to_something_else_is_none(echo):
    with echo.connect() as c:
        c.send("GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")
        assert c.answer().status == 426


def test_fields_may_be_spelt_in_any_case_and_share_lists(echo):
    request, _ = handshake()
    request = request.replace(b"Upgrade: websocket", b"uPGRADE: h2c, WebSocket")
    request = request.replace(b"Connection: Upgrade", b"Connection: keep-alive, UPGRADE")
    with echo.connect() as c:
        c.send(request)
        line, _ = c._head()
        assert line.startswith("HTTP/1.1 101 Switching Protocols")


@pytest.mark.parametrize("target, origin, allowed", [
    ("/echo", None, True),
    ("/echo", "http://localhost", True),
    ("/echo", "http://LOCALHOST:80", True),
    ("/echo", "https://localhost", True),
    ("/echo", "http://localhost:8080", False),
    ("/echo", "http://evil.example", False),
    ("/echo", "http://localhost.evil.example", False),
    ("/echo", "null", False),
    ("/any", "http://evil.example", True),
    ("/any", "null", True),
    ("/hosts", "https://example.com:99", True),
    ("/hosts", "https://b.example:8443", True),
    ("/hosts", "https://b.example", False),
    ("/hosts", "https://a.b.example.org", True),
    ("/hosts", "https://example.org", False),
    ("/hosts", "http://localhost", False),
])
def test_origins(echo, target, origin, allowed):
    if allowed:
        with Socket(echo.address, target, origin=origin) as ws:
            ws.text("hello")
            assert ws.message() == (TEXT, b"hello")
    else:
        assert refused(echo, target, origin=origin).status == 403


def test_frames_that_come_with_the_handshake_are_read(echo):
    with Socket(echo.address, more=frame(TEXT, b"early")) as ws:
        assert ws.message() == (TEXT, b"early")


# ---- Messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20])
def test_messages_of_all_lengths(opened, size):
    ws = opened()
    ws.text("*" * size)
    assert ws.message() == (TEXT, b"*" * size)
    data = os.urandom(size)
    ws.binary(data)
    assert ws.message() == (BINARY, data)
    assert ws.bye() == 1000


def test_messages_may_be_cut_anywhere(ws):
    data = frame(TEXT, "Hëllo".encode(), fin=False) + frame(PING, b"p") + frame(
        CONTINUATION, "wörld".encode() * 50)
    for i in range(len(data)):
        ws.send(data[i:i + 1])
    assert ws.message(pongs=True) == (PONG, b"p")
    assert ws.message() == (TEXT, "Hëllo".encode() + "wörld".encode() * 50)


def test_many_messages_in_one_write_are_answered_in_order(opened):
    ws = opened()
    ws.send(b"".join(frame(TEXT, b"%d" % i) for i in range(2000)))
    for i in range(2000):
        assert ws.message() == (TEXT, b"%d" % i)


def test_fragments_with_control_frames_between(ws):
    ws.frame(TEXT, b"one", fin=False)
    ws.ping(b"1")
    ws.frame(CONTINUATION, b"two", fin=False)
    ws.frame(CONTINUATION, b"", fin=False)
    ws.ping(b"2")
    ws.frame(CONTINUATION, b"three")
    assert ws.message(pongs=True) == (PONG, b"1")
    assert ws.message(pongs=True) == (PONG, b"2")
    assert ws.message() == (TEXT, b"onetwothree")


@pytest.mark.parametrize("payload", [b"", b"hello", bytes([0, 255, 254, 253]), b"x" * 125])
def test_pings_are_answered(opened, payload):
    ws = opened()
    ws.ping(payload)
    assert ws.message(pongs=True) == (PONG, payload)


def test_pongs_that_nobody_asked_for_are_ignored(ws):
    ws.frame(PONG, b"unasked")
    ws.ping(b"p")
    assert ws.message(pongs=True) == (PONG, b"p")


# ---- What is refused -----------------------------------------------------------------------------

BROKEN = {
    "no mask": frame(TEXT, b"x", masked=False),
    "rsv1": frame(TEXT, b"x", rsv=4),
    "rsv2": frame(TEXT, b"x", rsv=2),
    "rsv3": frame(TEXT, b"x", rsv=1),
    "rsv all, ping": frame(PING, b"x", rsv=7),
    "rsv close": frame(CLOSE, b"", rsv=1),
    **{f"opcode {n}": frame(n, b"x") for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "ping of 126": frame(PING, b"x" * 126),
    "ping in fragments": frame(PING, b"x", fin=False),
    "close in fragments": frame(CLOSE, b"", fin=False),
    "pong in fragments": frame(PONG, b"x", fin=False),
    "continuation first": frame(CONTINUATION, b"x"),
    "continuation first, more to come": frame(CONTINUATION, b"x", fin=False),
    "continuation behind a whole message": frame(TEXT, b"x") + frame(CONTINUATION, b"y"),
    "a message inside a message": frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    "a binary one inside a text": frame(TEXT, b"x", fin=False) + frame(BINARY, b"y", fin=False),
    "16 bits for 5": frame(TEXT, b"x" * 5, size=16),
    "64 bits for 5": frame(TEXT, b"x" * 5, size=64),
    "64 bits for 65535": frame(BINARY, b"x" * 65535, size=64),
    "length above 2^63": frame(BINARY, b"", length=1 << 63, size=64),
    "close of one byte": frame(CLOSE, b"\x03"),
    "close of 126": frame(CLOSE, close_payload(1000, b"x" * 124)),
    **{f"close {n}": frame(CLOSE, close_payload(n))
       for n in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)},
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_frames_close_with_1002(echo, case):
    with Socket(echo.address, "/plain") as ws:
        ws.send(BROKEN[case])
        if case == "continuation behind a whole message":
            assert ws.message() == (TEXT, b"x")
        assert ws.closed() == 1002


GOOD_TEXT = ["κόσμε", "\x00", "\x7f", "\x80", "߿", "ࠀ", "￿", "\U00010000", "\U0010ffff",
             "Hello-µ@ßöäüàá-UTF-8!!", "�", "\ufffe", "퟿"]
BAD_TEXT = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3\x28", b"\xe0\x80\x80",
            b"\xe0\x9f\xbf", b"\xe2\x82", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80",
            b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80",
            b"\xfc\x84\x80\x80\x80\x80", b"\xfe", b"\xff", b"ok\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited"]


@pytest.mark.parametrize("text", GOOD_TEXT)
def test_text_is_cut_at_every_byte(ws, text):
    data = text.encode()
    for i in range(len(data) + 1):
        ws.frame(TEXT, data[:i], fin=False)
        ws.frame(CONTINUATION, data[i:])
        assert ws.message() == (TEXT, data)


@pytest.mark.parametrize("data", BAD_TEXT)
def test_text_that_is_not_utf8_closes_with_1007(echo, data):
    for pieces in ([data], [data[:1], data[1:]]):
        with Socket(echo.address) as ws:
            for i, piece in enumerate(pieces):
                ws.frame(CONTINUATION if i else TEXT, piece, fin=i == len(pieces) - 1)
            assert ws.closed() == 1007


@pytest.mark.parametrize("data", [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90",
                                  b"x\xc0", b"\xed\xa0", b"good \xf8"])
def test_text_fails_as_soon_as_it_cannot_become_valid(echo, data):
    with Socket(echo.address) as ws:
        ws.send(frame(TEXT, data + b"\x80" * 100, length=len(data) + 100)[:-100])
        assert ws.closed() == 1007


def test_binary_may_be_anything(ws):
    ws.binary(b"\xff\xfe\x00\xc0")
    assert ws.message() == (BINARY, b"\xff\xfe\x00\xc0")


# ---- Closing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013,
                                  1014, 3000, 3999, 4000, 4999])
def test_close_codes_are_echoed(echo, code):
    with Socket(echo.address) as ws:
        assert ws.bye(code, b"because") == code


def test_close_without_a_code(opened):
    ws = opened()
    ws.frame(CLOSE)
    assert ws.closed() is None


def test_close_with_the_longest_reason(ws):
    assert ws.bye(1000, b"x" * 123) == 1000


def test_a_reason_that_is_not_utf8(ws):
    assert ws.bye(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80") == 1007


def test_nothing_is_read_behind_a_close(echo):
    with Socket(echo.address) as ws:
        ws.send(frame(CLOSE, close_payload(1000)) + frame(PING, b"x") + frame(TEXT, b"late"))
        assert ws.closed() == 1000


def test_a_client_that_just_goes_is_forgotten(echo):
    until(lambda: echo.serving()["connections"] == 0, "those of other tests are gone")
    with Socket(echo.address) as ws:
        ws.frame(TEXT, b"half", fin=False)
        until(lambda: echo.serving()["connections"] == 1, "it is counted")
    until(lambda: echo.serving()["connections"] == 0, "it is gone")


# ---- Limits -----------------------------------------------------------------------------------------------


def test_a_message_at_the_limit_passes(echo):
    with Socket(echo.address, "/small") as ws:
        ws.frame(BINARY, b"x" * 600, fin=False)
        ws.frame(CONTINUATION, b"x" * 400)
        assert ws.message() == (BINARY, b"x" * 1000)


@pytest.mark.parametrize("data", [
    frame(BINARY, b"x" * 601)[:10],
    frame(BINARY, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 401)[:10],
    frame(BINARY, b"", length=(1 << 63) - 1, size=64)],
    ids=["a frame", "a message", "the longest there is"])
def test_what_is_too_big_closes_with_1009_before_it_is_sent(echo, data):
    with Socket(echo.address, "/small") as ws:
        ws.send(data)
        assert ws.closed() == 1009


def test_a_client_that_is_silent_is_pinged(echo):
    with Socket(echo.address, "/pings") as ws:
        for _ in range(3):
            assert ws.next_frame()[0] == PING
            ws.frame(PONG)


def test_a_client_that_answers_no_ping_is_given_up(echo):
    with Socket(echo.address, "/quiet") as ws:
        assert ws.next_frame()[0] == PING
        assert ws.at_end()


# ---- Compression ----------------------------------------------------------------------------------------------

OFFERS = {
    "permessage-deflate": {},
    "permessage-deflate; client_max_window_bits": {},
    "permessage-deflate; client_max_window_bits=9": {"client_max_window_bits": "9"},
    "permessage-deflate; client_max_window_bits=\"10\"": {"client_max_window_bits": "10"},
    "permessage-deflate; server_max_window_bits=9": {"server_max_window_bits": "9"},
    "permessage-deflate; server_max_window_bits=15; server_no_context_takeover": {},
    "permessage-deflate; client_no_context_takeover; client_max_window_bits": {},
    "x-unknown; a=b, permessage-deflate; bad, PERMESSAGE-deflate; server_max_window_bits=12":
        {"server_max_window_bits": "12"},
}
TEXTS = [b"", b"a", b"hello " * 10, b"0123456789" * 3000, "κόσμε ".encode() * 5000]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("target", ["/echo", "/keeps"])
def test_compressed_messages(opened, offer, target):
    ws = opened(target, extensions=offer)
    keeps = target == "/keeps"
    assert ws.terms is not None
    for side in ("server", "client"):
        name = f"{side}_no_context_takeover"
        assert (name in ws.terms) == (not keeps or name in offer), ws.terms
    for name in ("server_max_window_bits", "client_max_window_bits"):
        assert ws.terms.get(name) == OFFERS[offer].get(name), ws.terms
    for data in TEXTS * 2:
        for pieces in (1, 3):
            ws.packed(TEXT, data, pieces)
            assert ws.message() == (TEXT, data)
            assert ws.was_packed or len(data) < 2
        ws.text(data)
        assert ws.message() == (TEXT, data)
    data = os.urandom(100000)
    ws.packed(BINARY, data, 5)
    assert ws.message() == (BINARY, data)
    assert ws.bye() == 1000


@pytest.mark.parametrize("offer", [
    "x-webkit-deflate-frame",
    "permessage-deflate; server_max_window_bits=8",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=09",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; what=ever"])
def test_offers_that_cannot_be_met_are_left(echo, offer):
    with Socket(echo.address, extensions=offer) as ws:
        assert ws.terms is None
        ws.text("plain")
        assert ws.message() == (TEXT, b"plain")


def test_the_next_offer_is_taken(echo):
    offer = "permessage-deflate; server_max_window_bits=8, permessage-deflate"
    with Socket(echo.address, extensions=offer) as ws:
        assert ws.terms is not None


def test_windows_and_context_by_directive(echo):
    offer = "permessage-deflate; client_max_window_bits; server_max_window_bits=12"
    with Socket(echo.address, "/window", extensions=offer) as ws:
        assert ws.terms == {"server_max_window_bits": "10", "client_max_window_bits": "10"}
        data = os.urandom(5000)
        for _ in range(3):
            ws.packed(BINARY, data * 2)
            assert ws.message() == (BINARY, data * 2)
    with Socket(echo.address, "/plain", extensions=offer) as ws:
        assert ws.terms is None


def test_a_kept_context_makes_the_second_message_smaller(echo):
    with Socket(echo.address, "/keeps", extensions="permessage-deflate") as ws:
        data = os.urandom(2000).hex().encode()
        sizes = []
        for _ in range(2):
            ws.packed(TEXT, data)
            opcode, fin, rsv, payload = ws.next_frame()
            assert (opcode, fin, rsv) == (TEXT, True, 4)
            assert ws._inflate(payload) == data
            sizes.append(len(payload))
        assert sizes[1] < sizes[0] / 10, sizes


def test_a_message_that_ends_with_a_final_block(echo):
    # RFC 7692, 7.2.3.4
    with Socket(echo.address, extensions="permessage-deflate") as ws:
        ws.frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=4)
        assert ws.message() == (TEXT, b"Hello")


BROKEN_PACKED = {
    "no deflate": (frame(TEXT, b"\xff\xff\xff\xff", rsv=4), 1007),
    "text that is not UTF-8": (None, 1007),
    "rsv1 on a continuation": (frame(TEXT, b"\x00", rsv=4, fin=False)
                               + frame(CONTINUATION, b"", rsv=4), 1002),
    "rsv1 on a ping": (frame(PING, b"x", rsv=4), 1002),
    "rsv2": (frame(TEXT, b"\x00", rsv=6), 1002),
}


@pytest.mark.parametrize("case", BROKEN_PACKED)
def test_broken_compressed_messages(echo, case):
    data, code = BROKEN_PACKED[case]
    with Socket(echo.address, extensions="permessage-deflate") as ws:
        ws.send(data or frame(TEXT, ws.compress(b"\xff" * 20), rsv=4))
        assert ws.closed() == code


def test_what_swells_beyond_the_limit_closes_with_1009(echo):
    with Socket(echo.address, "/small", extensions="permessage-deflate") as ws:
        ws.packed(BINARY, b"x" * 1000)
        assert ws.message() == (BINARY, b"x" * 1000)
        ws.packed(BINARY, b"x" * 1001)
        assert ws.closed() == 1009
    with Socket(echo.address, extensions="permessage-deflate") as ws:
        ws.packed(BINARY, b"\x00" * 50_000_000)
        assert ws.closed() == 1009


# ---- The log ----------------------------------------------------------------------------------------------------


def test_the_access_log_has_a_line_when_it_ends(echo):
    with Socket(echo.address, "/echo?who=me") as ws:
        ws.text("hello")
        assert ws.message() == (TEXT, b"hello")
        assert "who=me" not in echo.read("logs/access_log")
        ws.bye()
    # a message of 5 and a close frame of 2 bytes, each with a head of 2
    until(lambda: "101 11 GET /echo?who=me HTTP/1.1" in echo.read("logs/access_log"), "the line")
