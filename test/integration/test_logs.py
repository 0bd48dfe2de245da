# SPDX-License-Identifier: Apache-2.0
"""Error log and access log: the lines that people and their tools read."""
import os
import re
import signal
import time

from harness.env import sized, until
from harness.load import Load
from harness.modules import PROBE, PROBE_ROUTES, hello

LINE = re.compile(r"\[(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\.\d{6} \d{4})\] "
                  r"\[(?P<part>[\w.-]+):(?P<level>[a-z0-9]+)\] \[pid (?P<pid>\d+):tid (?P<tid>\d+)\] "
                  r"(\[id (?P<id>[^\]]+)\] )?(\[client (?P<client>[^\]]+)\] )?(?P<words>.*)")
TAG = re.compile(r"INS0\d{4}")


def error_lines(s):
    found = []
    for text in s.read("logs/error_log").splitlines():
        match = LINE.fullmatch(text)
        if match:
            found.append(match)
    return found


def test_error_log_lines_look_like_httpds(server):
    s = server(PROBE_ROUTES, {"probe": PROBE})
    s.get("/say?words=hello+there")
    s.reload()
    s.stop()
    text = s.read("logs/error_log").splitlines()
    assert text
    for one in text:
        assert LINE.fullmatch(one), one
    for match in error_lines(s):
        if match["part"] != "probe_module" and match["part"] != "probe":
            assert TAG.match(match["words"]), match[0]


def test_a_modules_words_name_module_and_client(server):
    s = server(PROBE_ROUTES, {"probe": PROBE})
    s.get("/say?words=hello%20there")
    found = until(lambda: [one for one in error_lines(s) if "hello there" in one["words"]],
                  "the line is there")[0]
    assert found["part"].startswith("probe") and found["level"] in ("warn", "warning")
    assert found["client"].startswith("127.0.0.1:")


def test_a_line_cannot_be_forged(server):
    s = server(PROBE_ROUTES, {"probe": PROBE})
    s.get("/say?words=one%0A%5Bforged%5D%20line%1B%5B31m")
    until(lambda: "forged" in s.log(), "the line is there")
    text = s.read("logs/error_log")
    assert "\n[forged]" not in text and "\x1b" not in text


def test_log_levels_by_module(server):
    s = server(PROBE_ROUTES + "LogLevel error\n", {"probe": PROBE})
    s.get("/say?words=unheard")
    s.write_config(PROBE_ROUTES + "LogLevel error probe_module:warn\n")
    s.reload()
    s.get("/say?words=heard")
    until(lambda: " heard" in s.log(), "the line is there")
    assert "unheard" not in s.log()


def test_a_host_has_log_levels_of_its_own(server):
    """As in httpd: a level of the host's own resets the main server's for parts; without one its
    parts are laid over the main server's."""
    s = server(PROBE_ROUTES + """
LogLevel error http:info
<VirtualHost *>
ServerName inherits.example
</VirtualHost>
<VirtualHost *>
ServerName loud.example
LogLevel probe_module:warn
</VirtualHost>
<VirtualHost *>
ServerName quiet.example
LogLevel error
</VirtualHost>
""", {"probe": PROBE})
    for host in ("inherits", "loud", "quiet"):
        s.get(f"/say?words=said+to+{host}", host=f"{host}.example")
        s.get(f"/a%2Fb?{host}", host=f"{host}.example")
    s.replace("LogLevel error\n</VirtualHost>", "LogLevel loudest\n</VirtualHost>")
    assert s.graceful()["errors"][0]["line"] == s.line_of("instar.conf", "LogLevel loudest")
    log = s.log()
    assert "said to loud" in log
    assert "said to inherits" not in log and "said to quiet" not in log
    assert log.count("request refused with 404") == 2


FORMATS = r"""
LogFormat "%h %l %u %t \"%r\" %>s %b" common
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" combined
LogFormat "%m|%U|%q|%H|%s|%B|%{X-One}o|%v|%p|%{c}C|%f|%%|%X|%k|%a|%{%Y}t|%D|%T|%I|%P|%V|%R|%{Content-Length}o" many
CustomLog logs/common common
CustomLog logs/combined combined
CustomLog logs/many many
CustomLog logs/inline "inline %s"
"""


def test_access_log_formats(server):
    s = server(PROBE_ROUTES + FORMATS, {"probe": PROBE})
    s.get("/fields?x=1", fields=[("Referer", 'http://a/"q"'), ("User-Agent", "tester"),
                                 ("Cookie", "c=biscuit")])
    until(lambda: s.read("logs/inline"), "the first line is there")
    s.get("/nothing")
    until(lambda: s.read("logs/inline").count("\n") == 2, "both lines are there")
    common = s.read("logs/common").splitlines()
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                        r'"GET /fields\?x=1 HTTP/1\.1" 200 \d+', common[0]), common
    assert ' 404 ' in common[1]
    combined = s.read("logs/combined").splitlines()
    assert r'"http://a/\"q\""' in combined[0], combined
    many = s.read("logs/many").splitlines()[0].split("|")
    assert many[:5] == ["GET", "/fields", "?x=1", "HTTP/1.1", "200"], many
    assert many[5].isdigit() and many[6] == "second" and many[7] == "localhost"
    assert many[9] == "biscuit" and many[11] == "%" and many[12] in ("-", "+", "X")
    assert many[13] == "0" and many[14] == "127.0.0.1" and many[15] == time.strftime("%Y")
    assert many[16].isdigit() and many[17].isdigit() and many[19].isdigit()
    assert many[-1] == many[5]
    assert s.read("logs/inline") == "inline 200\ninline 404\n"


def test_what_frames_an_answer_is_logged(server):
    s = server(PROBE_ROUTES + """
CustomLog logs/framing "%{Connection}o %{Transfer-Encoding}o %{Content-Length}o"
""", {"probe": PROBE}, workers=1)
    with s.connect() as connection:
        connection.request("/ignore")
        connection.request("/stream?size=10")
        connection.request("/ignore", fields=[("Connection", "close")])
    with s.connect() as connection:
        connection.send("GET /ignore HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        connection.answer()
    until(lambda: s.read("logs/framing").count("\n") == 4, "the lines are there")
    assert s.read("logs/framing") == "- - 7\n- chunked -\nclose - 7\nkeep-alive - 7\n"


def test_a_refused_request_is_logged_with_what_is_known(server):
    s = server(PROBE_ROUTES + """
RequestReadTimeout header=1
CustomLog logs/known "%>s %m %I"
""", {"probe": PROBE}, workers=1)
    for request in ("PUT /x HTTP/1.1\r\n\r\n", "NONSENSE\r\n\r\n", "GET / HT"):
        with s.connect() as connection:
            connection.send(request)
            connection.answer()
    until(lambda: s.read("logs/known").count("\n") == 3, "the lines are there")
    assert s.read("logs/known") == "400 PUT 19\n400 - 12\n408 - 8\n"


def test_refused_requests_are_logged(server):
    s = server(PROBE_ROUTES + FORMATS, {"probe": PROBE})
    with s.connect() as connection:
        connection.send("NONSENSE\r\n\r\n")
        assert connection.answer().status == 400
    until(lambda: " 400 " in s.read("logs/common"), "the line is there")


def test_hosts_have_logs_of_their_own(server):
    s = server(start=False, modules={"probe": PROBE})
    s.write_config(PROBE_ROUTES + f"""
LogFormat "%v %U" short
CustomLog logs/main short
<VirtualHost *:{s.port}>
ServerName one.example
CustomLog logs/one short
ErrorLog logs/one_error
</VirtualHost>
<VirtualHost *:{s.port}>
ServerName two.example
</VirtualHost>
""")
    s.start()
    s.get("/say?words=for+one", host="one.example")
    s.get("/info", host="two.example")
    until(lambda: "one.example /say" in s.read("logs/one"), "the host's line is there")
    until(lambda: "two.example /info" in s.read("logs/main"), "the other host's line is there")
    assert "one.example" not in s.read("logs/main")
    until(lambda: "for one" in s.read("logs/one_error") or "for+one" in s.read("logs/one_error"),
          "the host's error line is there")


def test_logs_are_reopened_by_a_reload(server):
    s = server(PROBE_ROUTES + FORMATS, {"probe": PROBE})
    s.get("/info?before")
    until(lambda: "before" in s.read("logs/common"), "the line is there")
    for name in ("common", "error_log"):
        os.rename(s.path("logs", name), s.path("logs", name + ".1"))
    s.reload()
    s.get("/info?behind")
    until(lambda: "behind" in s.read("logs/common"), "the new file is written")
    assert "behind" not in s.read("logs/common.1")
    s.send(signal.SIGUSR1)
    until(lambda: s.read("logs/error_log"), "the new error log is written")


def test_no_line_is_lost_or_torn_over_reloads(server):
    s = server("Route GET /hello hello\nMaxKeepAliveRequests 0\n"
               'CustomLog logs/access "%h \\"%r\\" %>s %B end"\n', {"hello": hello(1)}, workers=2)
    with Load(s.address, fresh=1, kept=1) as load:
        for number in range(2, sized(8, 30, 4)):
            s.write_module("hello", hello(number))
            s.reload()
            load.wait_for(30)
    load.assert_unbroken()
    # the requests of `until` and others are not made here: every line is the load's
    until(lambda: s.read("logs/access").count("\n") >= load.count(), "all lines are there", 10)
    lines = s.read("logs/access").splitlines()
    assert len(lines) == load.count()
    for line in lines:
        assert re.fullmatch(r'127\.0\.0\.1 "GET /hello HTTP/1\.1" 200 \d+ end', line), line


def test_errors_can_go_to_stderr(server):
    s = server(PROBE_ROUTES, {"probe": PROBE}, start=False)
    s.write("instar.conf", s.config_text().replace("ErrorLog logs/error_log", "ErrorLog stderr"))
    s.start()
    s.get("/say?words=aloud")
    until(lambda: "aloud" in s.read("stderr"), "it is on stderr")
