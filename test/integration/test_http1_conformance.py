# SPDX-License-Identifier: Apache-2.0
"""RFC 9110 and 9112 at the socket: what is accepted, what is refused, with which status, and
that nothing behind a refused request is ever taken for a request."""
import pytest

from harness.env import SANITIZED
from harness.http import Connection, answers_to
from harness.modules import PROBE, PROBE_ROUTES

CONFIG = PROBE_ROUTES + """
LimitRequestBody 100000
LimitRequestLine 8190
LimitRequestFieldSize 8190
LimitRequestFields 100
RequestReadTimeout header=60 body=60
"""


@pytest.fixture(scope="module")
def probe(shared):
    return shared(CONFIG, {"probe": PROBE})


def get(target="/info", fields="", version="HTTP/1.1", host="Host: localhost\r\n", method="GET"):
    return f"{method} {target} {version}\r\n{host}{fields}\r\n"


def post(fields, body, target="/echo"):
    return f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}"


def chunked(body, target="/echo"):
    return post("Transfer-Encoding: chunked\r\n", body, target)


FINE = {
    "a minimal request": get(),
    "an empty line before it": "\r\n" + get(),
    "white space around a value": get(fields="X:  \t a \t \r\n"),
    "an empty value": get(fields="X:\r\n"),
    "a tab inside a value": get(fields="X: a\tb\r\n"),
    "bytes above 127 in a value": get(fields="X: \xe4\xf6\xff\r\n"),
    "every character that a name may have": get(fields="!#$%&'*+-.^_`|~0aZ: 1\r\n"),
    "a host with a port": get(host="Host: localhost:8080\r\n"),
    "a host that is an IPv6 address": get(host="Host: [::1]:80\r\n"),
    "a host that is an IPv4 address": get(host="Host: 127.0.0.1\r\n"),
    "a host with a trailing dot": get(host="Host: localhost.\r\n"),
    "a host in capitals": get(host="HOST: LOCALHOST\r\n"),
    "white space around the host": get(host="Host: \t localhost \t\r\n"),
    "an underscore in the host": get(host="Host: a_b\r\n"),
    "the absolute form": get("http://localhost/info"),
    "the absolute form, scheme in capitals": get("HTTP://localhost/info"),
    "the absolute form with a port and query": get("http://localhost:80/info?x=1"),
    "an empty query": get("/info?"),
    "a query with question marks and slashes": get("/info?a=b?c/d&e=%2F"),
    "escaped letters in the path": get("/%69nfo"),
    "dot segments": get("/a/../info"),
    "a single dot segment": get("/./info"),
    "a double slash": get("//info"),
    "sub-delimiters in the path": get("/info?!$&'()*+,;=:@"),
    "a higher minor version": get(version="HTTP/1.2"),
    "HTTP/1.0 with a host": get(version="HTTP/1.0"),
    "HTTP/1.0 without a host": get(version="HTTP/1.0", host=""),
    "a hundred fields": get(fields="".join(f"X-{i}: {i}\r\n" for i in range(98))),
    "a long request line": get("/info?" + "q" * 8000),
    "a long field": get(fields="X: " + "v" * 8000 + "\r\n"),
    "a method of its own with a route": get("/info", method="PATCH"),
    "a length of nought": post("Content-Length: 0\r\n", ""),
    "a length": post("Content-Length: 5\r\n", "hello"),
    "a length with leading noughts": post("Content-Length: 0005\r\n", "hello"),
    "white space around the length": post("Content-Length:  5 \t\r\n", "hello"),
    "a body with a GET": get("/ignore", "Content-Length: 5\r\n") + "hello",
    "a body that the handler ignores": post("Content-Length: 5\r\n", "hello", "/ignore"),
    "chunks": chunked("5\r\nhello\r\n0\r\n\r\n"),
    "two chunks": chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    "no chunk but the last": chunked("0\r\n\r\n"),
    "a chunk size in capitals": chunked("A\r\n0123456789\r\n0\r\n\r\n"),
    "a chunk size in small letters": chunked("a\r\n0123456789\r\n0\r\n\r\n"),
    "leading noughts in a chunk size": chunked("00005\r\nhello\r\n000\r\n\r\n"),
    "a chunk extension": chunked("5;a\r\nhello\r\n0\r\n\r\n"),
    "a chunk extension with a value": chunked("5;a=b;c=d\r\nhello\r\n0;z\r\n\r\n"),
    "a chunk extension with a quoted value": chunked('5;a="b\\"c;d"\r\nhello\r\n0\r\n\r\n'),
    "trailers": chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n"),
    "the coding in capitals": post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n"),
    "Expect: 100-continue with the body": post("Content-Length: 5\r\nExpect: 100-continue\r\n",
                                               "hello"),
    "Expect in capitals": post("Content-Length: 5\r\nExpect: 100-Continue\r\n", "hello"),
    "Connection: close": get(fields="Connection: close\r\n"),
    "Connection: a list": get(fields="Connection: foo, keep-alive\r\n"),
    "an upgrade to what is not offered": get(
        fields="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
}

# name: (request, statuses)
REFUSED = {}


def refuse(status, **cases):
    statuses = status if isinstance(status, tuple) else (status,)
    for name, request in cases.items():
        REFUSED[name.replace("_", " ")] = (request, statuses)


refuse(400,
       leading_space=" " + get(),
       trailing_space_in_the_request_line=get(version="HTTP/1.1 "),
       two_spaces_before_the_target=get(" /info"),
       two_spaces_before_the_version=get("/info "),
       a_tab_for_a_space="GET\t/info HTTP/1.1\r\nHost: localhost\r\n\r\n",
       a_space_in_the_target=get("/in fo"),
       a_control_character_in_the_method=get(method="GE\x01T"),
       a_NUL_in_the_method=get(method="G\0ET"),
       a_bracket_in_the_method=get(method="G(T"),
       a_colon_in_the_method=get(method="GET:"),
       a_high_byte_in_the_method=get(method="G\xc3T"),
       no_method="/info HTTP/1.1\r\nHost: localhost\r\n\r\n",
       a_target_without_slash=get("info"),
       an_asterisk_with_GET=get("*"),
       a_NUL_in_the_target=get("/in\0fo"),
       a_control_character_in_the_target=get("/in\x01fo"),
       a_DEL_in_the_target=get("/in\x7ffo"),
       a_fragment_in_the_target=get("/info#top"),
       a_percent_sign_alone=get("/info%"),
       a_percent_sign_with_one_digit=get("/info%4"),
       a_percent_sign_with_letters=get("/info%zz"),
       an_absolute_form_without_host=get("http:///info"),
       an_absolute_form_with_a_bad_port=get("http://localhost:x/info"),
       a_bare_CR_in_the_request_line="GET /info\r HTTP/1.1\r\nHost: localhost\r\n\r\n",
       no_host=get(host=""),
       two_hosts=get(host="Host: localhost\r\nHost: other\r\n"),
       the_same_host_twice=get(host="Host: localhost\r\nHost: localhost\r\n"),
       an_empty_host=get(host="Host:\r\n"),
       a_host_of_white_space=get(host="Host: \t \r\n"),
       a_space_in_the_host=get(host="Host: local host\r\n"),
       a_brace_in_the_host=get(host="Host: a{b\r\n"),
       a_pipe_in_the_host=get(host="Host: a|b\r\n"),
       a_slash_in_the_host=get(host="Host: a/b\r\n"),
       a_user_in_the_host=get(host="Host: me@localhost\r\n"),
       a_question_mark_in_the_host=get(host="Host: a?b\r\n"),
       a_hash_in_the_host=get(host="Host: a#b\r\n"),
       a_backslash_in_the_host=get(host="Host: a\\b\r\n"),
       a_quote_in_the_host=get(host='Host: a"b\r\n'),
       a_port_that_is_no_number=get(host="Host: localhost:http\r\n"),
       an_open_bracket_in_the_host=get(host="Host: [::1\r\n"),
       an_IPv6_host_without_brackets=get(host="Host: ::1\r\n"),
       a_high_byte_in_the_host=get(host="Host: \xe4\r\n"),
       a_NUL_in_the_host=get(host="Host: a\0b\r\n"),
       a_space_before_the_colon=get(fields="X : 1\r\n"),
       a_tab_before_the_colon=get(fields="X\t: 1\r\n"),
       a_space_before_the_hosts_colon=get(host="Host : localhost\r\n"),
       a_field_without_colon=get(fields="Nonsense\r\n"),
       a_field_without_name=get(fields=": 1\r\n"),
       a_first_field_that_begins_with_space=get(host=" Host: localhost\r\n"),
       obs_fold=get(fields="X: 1\r\n 2\r\n"),
       obs_fold_with_a_tab=get(fields="X: 1\r\n\t2\r\n"),
       a_host_with_an_empty_label=get(host="Host: a..b\r\n"),
       a_host_that_begins_with_a_dot=get(host="Host: .localhost\r\n"),
       a_host_with_two_dots_at_its_end=get(host="Host: localhost..\r\n"),
       obs_fold_of_the_host=get(host="Host:\r\n localhost\r\n"),
       a_space_in_a_name=get(fields="X Y: 1\r\n"),
       a_high_byte_in_a_name=get(fields="X\xe4: 1\r\n"),
       a_NUL_in_a_name=get(fields="X\0: 1\r\n"),
       a_control_character_in_a_name=get(fields="X\x0b: 1\r\n"),
       a_NUL_in_a_value=get(fields="X: a\0b\r\n"),
       a_bare_CR_in_a_value=get(fields="X: a\rb\r\n"),
       a_bare_CR_before_CRLF=get(fields="X: a\r\r\n"),
       a_vertical_tab_in_a_value=get(fields="X: a\x0bb\r\n"),
       a_form_feed_in_a_value=get(fields="X: a\x0cb\r\n"),
       an_escape_in_a_value=get(fields="X: a\x1bb\r\n"),
       a_DEL_in_a_value=get(fields="X: a\x7fb\r\n"),
       a_backspace_in_a_value=get(fields="X: a\x08b\r\n"),
       bare_LF_everywhere=get().replace("\r\n", "\n"),
       bare_LF_behind_the_request_line=get().replace("\r\n", "\n", 1),
       bare_LF_behind_a_field=get(fields="X: 1\n"),
       bare_LF_at_the_end="GET /info HTTP/1.1\r\nHost: localhost\r\n\n",
       bare_CR_for_line_ends=get().replace("\r\n", "\r") + "\r\n\r\n",
       a_NUL_before_the_request="\0" + get(),
       a_BOM_before_the_request="\xef\xbb\xbf" + get())
for _character in '()<>@,;:\\"/[]?={}':
    if _character != ":":
        refuse(400, **{f"a {_character} in a name": get(fields=f"X{_character}Y: 1\r\n")})

refuse((400, 505),
       no_version="GET /info\r\nHost: localhost\r\n\r\n",
       a_version_in_small_letters=get(version="http/1.1"),
       another_protocols_name=get(version="HTTPS/1.1"),
       a_version_without_a_dot=get(version="HTTP/11"),
       a_version_without_a_minor_number=get(version="HTTP/1."),
       a_version_without_a_major_number=get(version="HTTP/.1"),
       a_version_of_two_digits=get(version="HTTP/1.10"),
       a_major_version_of_two_digits=get(version="HTTP/11.1"),
       a_version_and_more=get(version="HTTP/1.1x"),
       a_version_without_slash=get(version="HTTP1.1"),
       a_version_with_a_comma=get(version="HTTP/1,1"),
       a_negative_version=get(version="HTTP/-1.1"),
       the_preface_of_HTTP_2="PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
refuse(505,
       HTTP_2=get(version="HTTP/2.0"),
       HTTP_3=get(version="HTTP/3.0"),
       HTTP_0_9=get(version="HTTP/0.9"),
       HTTP_9_9=get(version="HTTP/9.9"))
refuse((400, 404), an_escaped_NUL=get("/in%00fo"))
refuse((400, 405, 501), CONNECT=get("localhost:80", method="CONNECT"))
refuse((400, 501), TLS_on_a_plain_port="\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "\0" * 64)

refuse(400,
       an_empty_length=post("Content-Length:\r\n", ""),
       a_negative_length=post("Content-Length: -1\r\n", ""),
       a_length_with_a_plus=post("Content-Length: +5\r\n", "hello"),
       a_length_in_hexadecimal=post("Content-Length: 0x5\r\n", "hello"),
       a_length_with_letters=post("Content-Length: 5a\r\n", "hello"),
       a_length_with_a_point=post("Content-Length: 5.0\r\n", "hello"),
       a_length_with_a_space_inside=post("Content-Length: 1 5\r\n", "hello"),
       two_lengths=post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
       two_lengths_in_a_list=post("Content-Length: 5, 6\r\n", "hello"),
       a_length_and_chunks=post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                "0\r\n\r\n"),
       chunks_and_a_length=post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                                "0\r\n\r\n"),
       chunked_is_not_last=post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
       chunked_twice=post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
       chunked_twice_in_two_fields=post(
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       chunks_in_HTTP_1_0="POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       a_vertical_tab_before_chunked=post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
       a_space_before_the_codings_colon=post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"))
refuse((400, 413),
       a_length_beyond_64_bits=post("Content-Length: 18446744073709551621\r\n", "hello"),
       a_length_at_the_end_of_64_bits=post("Content-Length: 9223372036854775807\r\n", "hello"),
       a_length_of_a_hundred_digits=post("Content-Length: " + "9" * 100 + "\r\n", "hello"))
refuse((400, 501),
       an_empty_coding=post("Transfer-Encoding:\r\n", "0\r\n\r\n"),
       identity=post("Transfer-Encoding: identity\r\n", "hello"),
       a_quoted_coding=post('Transfer-Encoding: "chunked"\r\n', "0\r\n\r\n"),
       a_coding_in_two_words=post("Transfer-Encoding: chunked foo\r\n", "0\r\n\r\n"),
       chunked_with_a_parameter=post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"))
refuse(501,
       gzip=post("Transfer-Encoding: gzip\r\n", "hello"),
       gzip_then_chunked=post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
       an_unknown_coding=post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"))
refuse(400,
       a_chunk_size_with_letters=chunked("g\r\nhello\r\n0\r\n\r\n"),
       no_chunk_size=chunked("\r\nhello\r\n0\r\n\r\n"),
       a_negative_chunk_size=chunked("-5\r\nhello\r\n0\r\n\r\n"),
       a_chunk_size_with_a_plus=chunked("+5\r\nhello\r\n0\r\n\r\n"),
       a_chunk_size_with_0x=chunked("0x5\r\nhello\r\n0\r\n\r\n"),
       a_space_before_the_chunk_size=chunked(" 5\r\nhello\r\n0\r\n\r\n"),
       a_space_behind_the_chunk_size=chunked("5 \r\nhello\r\n0\r\n\r\n"),
       bare_LF_behind_the_chunk_size=chunked("5\nhello\r\n0\r\n\r\n"),
       bare_CR_behind_the_chunk_size=chunked("5\rhello\r\n0\r\n\r\n"),
       bare_LF_behind_a_chunk=chunked("5\r\nhello\n0\r\n\r\n"),
       a_chunk_longer_than_its_size=chunked("5\r\nhelloo\r\n0\r\n\r\n"),
       a_chunk_shorter_than_its_size=chunked("6\r\nhello\r\n0\r\n\r\n"),
       a_NUL_in_a_chunk_extension=chunked("5;a\0\r\nhello\r\n0\r\n\r\n"),
       a_bare_CR_in_a_chunk_extension=chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"),
       a_bare_LF_in_a_chunk_extension=chunked("5;a\nhello\r\n0\r\n\r\n"),
       an_open_quote_in_a_chunk_extension=chunked('5;a="b\r\nhello\r\n0\r\n\r\n'),
       words_behind_the_chunk_size=chunked("5 hello\r\nhello\r\n0\r\n\r\n"),
       a_very_long_chunk_extension=chunked("5;" + "a" * 100000 + "\r\nhello\r\n0\r\n\r\n"),
       very_many_noughts_in_a_chunk_size=chunked("0" * 100000 + "5\r\nhello\r\n0\r\n\r\n"),
       a_trailer_without_colon=chunked("0\r\nNonsense\r\n\r\n"),
       a_trailer_with_obs_fold=chunked("0\r\nX: 1\r\n 2\r\n\r\n"),
       a_trailer_with_a_space_before_the_colon=chunked("0\r\nX : 1\r\n\r\n"),
       bare_LF_behind_a_trailer=chunked("0\r\nX: 1\n\r\n"),
       bare_LF_at_the_end_of_the_chunks=chunked("0\r\n\n"),
       a_NUL_in_a_trailer=chunked("0\r\nX: a\0b\r\n\r\n"))
refuse((400, 413),
       a_chunk_size_beyond_64_bits=chunked("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
       a_chunk_size_at_the_end_of_64_bits=chunked("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
       a_chunk_size_at_the_end_of_63_bits=chunked("7fffffffffffffff\r\nhello\r\n0\r\n\r\n"))
refuse((400, 413, 431),
       a_long_trailer=chunked("0\r\nX: " + "v" * 10000 + "\r\n\r\n"),
       too_many_trailers=chunked("0\r\n" + "".join(f"X-{i}: 1\r\n" for i in range(300)) + "\r\n"))
refuse(413,
       a_body_that_is_too_long=post("Content-Length: 100001\r\n", "x" * 100001),
       chunks_that_are_too_long=chunked("186a1\r\n" + "x" * 100001 + "\r\n0\r\n\r\n"),
       many_chunks_that_are_too_long=chunked(("2710\r\n" + "x" * 10000 + "\r\n") * 11
                                             + "0\r\n\r\n", "/whole"))
refuse(414,
       a_request_line_that_is_too_long=get("/info?" + "q" * 8200),
       a_request_line_without_end="GET /" + "q" * 30000)
refuse(431,
       a_field_that_is_too_long=get(fields="X: " + "v" * 8200 + "\r\n"),
       a_field_without_end="GET /info HTTP/1.1\r\nHost: localhost\r\nX: " + "v" * 60000,
       too_many_fields=get(fields="".join(f"X-{i}: {i}\r\n" for i in range(101))),
       a_name_that_is_too_long=get(fields="X" * 8200 + ": v\r\n"))
refuse(417, an_expectation_that_nobody_knows=get(fields="Expect: miracles\r\n"))
refuse((400, 414, 501), a_method_without_end="G" * 60000)

# What is refused without doubt about where it ends: the connection may go on.
MAY_GO_ON = {"an expectation that nobody knows", "an escaped NUL", "CONNECT",
             "a body that is too long"}

NOT_FOUND = {
    "an escaped slash": "/hello%2Fyou",
    "an escaped slash in a dot segment": "/..%2Finfo",
    "nothing of the kind": "/nothing",
    "a prefix of a route": "/inf",
    "a route and more": "/info/x",
    "another case": "/INFO",
}

BEHIND = get("/info?smuggled")


def statuses(raw):
    """The statuses of the answers in raw; bodies of ours never hold a status line."""
    return [int(part.split(b" ", 1)[0]) for part in raw.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("name", FINE)
def test_is_accepted(probe, name):
    raw = FINE[name].encode("latin-1")
    with Connection(probe.address) as connection:
        connection.send(raw)
        answer = connection.answer()
        assert answer.status == 200, answer
        if not answer.closes:
            connection.send(BEHIND)
            answer = connection.answer()
            assert answer.status == 200 and "smuggled" in answer.text, answer


@pytest.mark.parametrize("name", FINE)
def test_is_accepted_byte_by_byte(probe, name):
    raw = FINE[name].encode("latin-1")
    if len(raw) > 2000:
        pytest.skip("covered by the short ones")
    with Connection(probe.address) as connection:
        for i in range(len(raw)):
            connection.send(raw[i:i + 1])
        assert connection.answer().status == 200


def check_refused(probe, name, pause, piece=1):
    request, expected = REFUSED[name]
    raw = answers_to(probe.address, (request + BEHIND).encode("latin-1"), pause, piece=piece)
    found = statuses(raw)
    assert found and found[0] in expected, f"{raw[:300]!r}"
    if name not in MAY_GO_ON:
        assert len(found) == 1, f"more than one answer: {raw!r}"
        assert b"smuggled" not in raw
        assert b"\r\nConnection: close\r\n" in raw, f"{raw[:300]!r}"


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in MAY_GO_ON])
def test_is_refused(probe, name):
    check_refused(probe, name, None)


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in MAY_GO_ON])
def test_is_refused_in_small_pieces(probe, name):
    length = len(REFUSED[name][0])
    if SANITIZED and length > 10000:
        pytest.skip("slow under sanitizers")
    check_refused(probe, name, 0, 1 if length < 1000 else 1 + length // 50)


@pytest.mark.parametrize("name", sorted(MAY_GO_ON))
def test_is_refused_and_may_go_on(probe, name):
    request, expected = REFUSED[name]
    with Connection(probe.address) as connection:
        connection.send(request)
        answer = connection.answer()
        assert answer.status in expected, answer
        if not answer.closes:
            connection.send(BEHIND)
            assert "smuggled" in connection.answer().text


@pytest.mark.parametrize("name", NOT_FOUND)
def test_is_not_found(probe, name):
    with Connection(probe.address) as connection:
        assert connection.request(NOT_FOUND[name]).status == 404
        assert connection.request("/info").status == 200


@pytest.mark.parametrize("target", ["/../info", "/a/../../info", "/%2e%2e/info", "/.%2E/info",
                                    "/a/%2e%2e/%2e%2e/info", "/..", "/../../../etc/passwd"])
def test_a_path_cannot_escape(probe, target):
    answer = probe.get(target)
    assert answer.status in (200, 400, 404)
    if answer.status == 200:
        uri = [line for line in answer.text.splitlines() if line.startswith("uri=")][0]
        assert ".." not in uri


def test_the_paths_are_decoded_once(probe):
    answer = probe.get("/%2569nfo")
    assert answer.status == 404


def test_an_unknown_method_is_refused(probe):
    assert probe.get("/info", method="BREW").status in (405, 501)
    assert probe.get("/info", method="get").status in (405, 501)


def test_a_request_that_stops_halfway_gets_no_answer_from_a_handler(probe):
    with Connection(probe.address) as connection:
        connection.send(post("Content-Length: 100\r\n", "only this"))
        connection.socket.shutdown(1)
        raw = b""
        while connection.more():
            pass
        raw = connection.buffer
        assert b"200 OK" not in raw and (not raw or statuses(raw) == [400]), raw
    assert probe.get("/info").status == 200
