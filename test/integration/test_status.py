# SPDX-License-Identifier: Apache-2.0
"""The status module's page and JSON: what they say, and to whom."""
import html.parser
import json
import os
import re
import signal
import subprocess

import pytest

from harness import http
from harness.env import INSTAR, PREFIX, until
from harness.modules import hello

MODULE = os.path.join(PREFIX, "libexec", "instar", "modules", "status")
CONFIG = f"""
GracefulShutdownTimeout 60
LoadModule status_module {MODULE}
Route GET /server-status status
Route GET /metrics metrics
Route GET /hello hello
"""
VOID = {"meta", "br", "hr", "link", "img", "input"}


class Page(html.parser.HTMLParser):
    """Checks that tags pair, and keeps the text."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.stack, self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1] == tag, (tag, self.stack)
        self.stack.pop()

    def handle_data(self, data):
        if self.stack[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def s(shared):
    return shared(CONFIG, {"hello": hello(1)})


def page(s, **more):
    answer = s.get("/server-status", **more)
    assert answer.status == 200 and answer.get("Content-Type") == "text/html; charset=utf-8"
    return Page(answer.text)


def as_json(s, target="/server-status?json", **more):
    answer = s.get(target, **more)
    assert answer.status == 200 and answer.get("Content-Type") == "application/json", answer
    return json.loads(answer.body)


def test_the_page_is_sound_html_and_runs_nothing(s):
    answer = s.get("/server-status")
    shown = Page(answer.text)
    tags = [tag for tag, _ in shown.tags]
    assert tags[0] == "html" and "main" in tags and "h1" in tags and "script" not in tags
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in shown.tags
    assert "prefers-color-scheme:dark" in answer.text
    assert "default-src 'none'" in answer.get("Content-Security-Policy")
    assert answer.get("Cache-Control") == "no-store"
    assert not any(name.startswith("on") for _, attrs in shown.tags for name in attrs)


def test_the_page_names_generation_workers_and_version(s):
    status = s.status()
    text = page(s).text
    assert f"Instar/{status['version']}, pid {status['pid']}" in text
    assert f"Generation {status['generation']} serving" in text
    for pid in s.worker_pids():
        assert str(pid) in text


def test_it_loads_itself_again_only_when_asked(s):
    assert "http-equiv" not in s.get("/server-status").text
    for asked in ("5", "5%22%3E%3Cb%3E"):
        assert ("meta", {"http-equiv": "refresh", "content": "5"}) in Page(
            s.get(f"/server-status?refresh={asked}").text).tags
    for refused in ("0", "-1", "x", "99999"):
        assert "http-equiv" not in s.get(f"/server-status?refresh={refused}").text


def test_json_is_given_to_those_who_ask_for_it(s):
    assert as_json(s, "/server-status", fields=[("Accept", "application/json")])["ok"]
    browser = s.get("/server-status", fields=[("Accept", "text/html,application/json;q=0.9")])
    assert browser.get("Content-Type").startswith("text/html")
    assert browser.get("Vary") == "Accept"


def test_json_tells_what_instarctl_tells(s):
    ours, theirs = as_json(s), s.status()
    for name in ("version", "pid", "generation"):
        assert ours[name] == theirs[name]
    assert ours["counters"].keys() == theirs["counters"].keys()
    assert ours["durations"]["bounds_us"] == theirs["durations"]["bounds_us"]
    until(lambda: [sum(told["durations"]["counts"]) == told["counters"]["requests"]
                   for told in [s.status()]] == [True], "all requests are timed")
    assert ours["last_reload"]["what"] == theirs["last_reload"]["what"] == "start"
    assert {one["pid"] for one in ours["worker_list"]} == set(s.worker_pids())
    assert ours["step"] is None
    assert ours["generations"][0]["state"] == "serving"


def test_head_has_no_body(s):
    with s.connect() as connection:
        answer = connection.request("/server-status", "HEAD")
        assert answer.status == 200 and not answer.body
        assert connection.request("/metrics").status == 200


def test_the_compilers_words_are_shown_and_harmless(s):
    s.write_module("hello", '#error "<script>alert(1)</script> & more"\n')
    assert not s.graceful()["ok"]
    answer = s.get("/server-status")
    assert "<script" not in answer.text
    text = Page(answer.text).text
    assert "refused at stage build" in text and "<script>alert(1)</script> & more" in text
    assert "serves on" in text
    last = as_json(s)["last_reload"]
    assert not last["ok"] and last["stage"] == "build" and "<script>" in last["words"]
    s.write_module("hello", hello(1))
    s.reload()
    assert "it went well" in page(s).text


def test_very_many_words_are_cut_at_a_line(s):
    s.write_module("hello", "\n".join(f"int a{i} = undeclared{i};" for i in range(1000)))
    assert not s.graceful()["ok"]
    words = as_json(s)["last_reload"]["words"]
    assert len(words) < 30000 and words.endswith("\n")
    assert "undeclared0" in words
    s.write_module("hello", hello(1))
    s.reload()


def test_what_drains_is_shown_with_its_reason_and_deadline(server):
    s = server(CONFIG, {"hello": hello(1), "nap": """
#include <instar.h>
#include <unistd.h>
static int nap(ins_request *r) { sleep(600); return ins_puts(r, "slept"); }
INS_MODULE(nap_module) = {
    INS_MODULE_HEADER, .handlers = (const ins_handler[]) { { "nap", nap }, { 0 } },
};
"""})
    s.write_config(s.config + "Route GET /nap nap\n")
    s.reload()
    old = s.status()["generation"]
    with s.connect() as sleeper:
        sleeper.send("GET /nap HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: s.serving()["busy"] == 1, "the handler sleeps")
        s.write_module("hello", hello(2))
        s.reload()

        def draining():
            return [g for g in as_json(s)["generations"] if g["generation"] == old]

        one = until(lambda: [g for g in draining() if g["busy"] == 1], "it drains")[0]
        assert one["state"] == "draining" and one["why"] == "reload" and one["connections"] == 1
        assert 50 < one["deadline"] - one["draining"] < 70
        text = page(s).text
        assert f"Generation {old} draining" in text
        assert "(reload), waits for 1 plain and 0 TLS connections, 1 of them with a request" in text
        assert "cut in " in text
        control = [g for g in s.status()["generations"] if g["generation"] == old][0]
        assert control["why"] == "reload" and 0 < control["cut_in_ms"] <= 60000
        assert "since reload, cut in " in s.ctl("status").stdout
        s.graceful("restart")


def test_generations_that_are_over_stay_on_the_line(s):
    before = as_json(s)["generation"]
    s.reload()

    def over():
        return [g for g in as_json(s)["generations"]
                if g["generation"] == before and g["state"] == "exited"]

    gone = until(over, "it has drained")[0]
    assert gone["started"] <= gone["serving"] <= gone["draining"] <= gone["ended"]
    assert f"Generation {before} exited" in page(s).text


def test_a_rollback_is_shown_until_the_next_reload(server):
    s = server(CONFIG, {"hello": hello(1)})
    first = s.status()["generation"]
    assert as_json(s)["rollback_of"] is None
    s.write_module("hello", hello(2))
    s.reload()
    assert s.graceful("rollback")["ok"]
    assert until(lambda: as_json(s)["rollback_of"], "it is told") == first
    assert f"What serves is what generation {first} served" in page(s).text
    assert "instar_serving_rollback 1\n" in s.get("/metrics").text
    s.reload()
    until(lambda: "instar_serving_rollback 0\n" in s.get("/metrics").text, "it is over")
    assert "rolled back" not in page(s).text


# ---- Who may look -----------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded", "Via"])
def test_who_comes_by_a_proxy_is_not_local(s, field):
    for target in ("/server-status", "/server-status?json", "/metrics"):
        assert s.get(target, fields=[(field, "192.0.2.7")]).status == 403


def test_allowed_networks_replace_the_default(server):
    s = server(CONFIG + """
StatusAllow 192.0.2.0/24 2001:db8::/32
<Location /metrics>
    StatusAllow 127.0.0.0/30 192.0.2.1
</Location>
<Location /all>
    StatusAllow all
</Location>
Route GET /all status
""", {"hello": hello(1)})
    assert s.get("/server-status").status == 403
    assert s.get("/metrics").status == 200
    assert s.get("/all", fields=[("Via", "1.1 proxy")]).status == 200


def test_a_unix_socket_is_local(server):
    s = server(CONFIG, {"hello": hello(1)}, ports=2)
    s.write_config(s.config + f"Listen unix:{s.path('run/web.sock')}\n")
    s.reload()
    assert http.get(s.path("run/web.sock"), "/server-status").status == 200


@pytest.mark.parametrize("value", ["nobody", "192.0.2.0/33", "192.0.2", "2001:db8::/129", "::1/x",
                                   "192.0.2.0/"])
def test_nonsense_is_refused_with_the_place(s, value):
    good = s.config
    s.write_config(good + f"StatusAllow {value}\n")
    outcome = s.graceful()
    s.write_config(good)
    assert not outcome["ok"] and outcome["stage"] == "config"
    error = outcome["errors"][0]
    assert error["line"] == s.line_of("instar.conf", "Route GET /hello") + 1
    assert f'"{value}" is neither local, all, an address nor a network' in error["message"]


def test_one_process_alone_tells_too(server):
    s = server(CONFIG, {"hello": hello(1)}, start=False)
    with open(s.path("stderr"), "ab") as stderr:
        process = subprocess.Popen([INSTAR, "-d", s.root, "-f", "instar.conf", "-X"],
                                   stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    try:
        def answers():
            assert process.poll() is None, s.log()
            try:
                return as_json(s)
            except http.Broken:
                return None
        told = until(answers, "it serves")
        assert told["generations"][0]["state"] == "serving" and told["pid"] == process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
