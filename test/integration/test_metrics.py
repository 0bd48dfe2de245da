# SPDX-License-Identifier: Apache-2.0
"""/metrics: what is counted, and that no counter ever goes down."""
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

from harness import http, processes
from harness.env import PREFIX, sized, until
from harness.metrics import scrape
from harness.modules import hello
from harness.server import free_ports

MODULE = os.path.join(PREFIX, "libexec", "instar", "modules", "status")
CONFIG = f"""
LoadModule status_module {MODULE}
Route GET /metrics metrics
Route GET /server-status status
Route GET|POST|PUT|DELETE|PATCH /hello hello
Route GET /nap nap
"""
NAP = r"""
#include <instar.h>
#include <unistd.h>

static int nap(ins_request *r)
{
    usleep(30000);
    return ins_puts(r, "slept\n");
}

INS_MODULE(nap_module) = {
    INS_MODULE_HEADER, .handlers = (const ins_handler[]) { { "nap", nap }, { 0 } },
};
"""


@pytest.fixture(scope="module")
def s(shared):
    return shared(CONFIG, {"hello": hello(1), "nap": NAP})


def test_the_format_is_prometheus_own(s):
    metrics = scrape(s)
    for name, kind in metrics.types.items():
        assert name.startswith("instar_")
        assert (kind == "counter") == name.endswith("_total"), name
        assert kind in ("counter", "gauge", "histogram")
    assert metrics.samples['instar_build_info{version="%s"}' % s.status()["version"]] == 1
    assert abs(metrics["start_time_seconds"] - (time.time() - s.status()["uptime"])) < 3
    assert metrics["serving_generation"] == s.status()["generation"]
    assert metrics['generations{state="serving"}'] == 1
    assert metrics['workers{state="serving"}'] == 2
    assert {name for name in metrics.samples if name.startswith("instar_worker_threads")} == {
        'instar_worker_threads{worker="0"}', 'instar_worker_threads{worker="1"}'}


def test_the_histogram_is_cumulative_and_whole(s):
    metrics = scrape(s)
    buckets = [value for name, value in metrics.samples.items()
               if name.startswith("instar_request_duration_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == metrics["request_duration_seconds_count"]
    assert 'instar_request_duration_seconds_bucket{le="0.0001"}' in metrics.samples
    assert 'instar_request_duration_seconds_bucket{le="+Inf"}' in metrics.samples


def risen(s, act):
    before = scrape(s).samples
    act()
    after = scrape(s).samples
    return {name: after[name] - before.get(name, 0) for name in after}


def test_requests_are_counted_by_method_and_class(s):
    def act():
        with s.connect() as connection:
            for method in ("GET", "HEAD", "POST", "PUT", "PUT", "DELETE", "PATCH"):
                connection.request("/hello", method)
            for _ in range(3):
                assert connection.request("/nowhere").status == 404

    rise = risen(s, act)
    # The first of the two scrapes is counted, the second is not yet.
    expected = {"requests_total": 11, 'requests_by_method_total{method="GET"}': 5,
                'requests_by_method_total{method="HEAD"}': 1,
                'requests_by_method_total{method="POST"}': 1,
                'requests_by_method_total{method="PUT"}': 2,
                'requests_by_method_total{method="DELETE"}': 1,
                'requests_by_method_total{method="other"}': 1,
                'responses_total{class="4xx"}': rise['instar_responses_total{class="4xx"}'],
                "connections_accepted_total": 2, "refused_requests_total": 0}
    assert {name: rise["instar_" + name] for name in expected} == expected
    # A HEAD that no route answers and the like may be of either class: together it is all.
    assert sum(rise[f'instar_responses_total{{class="{c}xx"}}'] for c in range(1, 6)) == 11
    assert rise['instar_responses_total{class="4xx"}'] >= 3


def test_each_request_is_timed(s):
    # Those that were answered are timed in a moment, at the end of the loop's turn.
    def timed():
        metrics = scrape(s)
        return metrics["request_duration_seconds_count"] >= before["requests_total"] + 3

    before = scrape(s)
    for _ in range(3):
        s.get("/hello")
    until(timed, "they are timed")

def test_what_is_refused_is_counted(s):
    def act():
        http.answers_to(s.address, b"nonsense\r\n\r\n")

    assert risen(s, act)["instar_refused_requests_total"] == 1


def test_a_slow_request_is_in_a_slow_class(s):
    def act():
        s.get("/nap")

    def slow(metrics):
        below = metrics['request_duration_seconds_bucket{le="0.025"}']
        return metrics["request_duration_seconds_count"] - below

    before = scrape(s)
    act()
    until(lambda: slow(scrape(s)) >= slow(before) + 1, "it is in a slow class")
    until(lambda: scrape(s)["request_duration_seconds_sum"] >=
          before["request_duration_seconds_sum"] + 0.03, "and in the sum")


def test_reloads_are_counted_by_outcome_and_stage(s):
    def act():
        s.write_module("nap", "this is no C\n")
        assert not s.graceful()["ok"]
        s.write_module("nap", NAP + "/* changed */\n")
        s.reload()

    rise = risen(s, act)
    assert rise['instar_reloads_total{outcome="ok"}'] == 1
    assert rise['instar_reloads_total{outcome="failed"}'] == 1
    assert rise['instar_reload_failures_total{stage="build"}'] == 1
    assert rise["instar_modules_compiled_total"] >= 1
    assert scrape(s)["last_reload_success"] == 1


def test_a_workers_death_is_counted_by_cause_and_its_counts_stay(s):
    for number, cause in ((signal.SIGKILL, "killed"), (signal.SIGABRT, "crash")):
        before = scrape(s)
        pid = s.worker_pids()[0]
        os.kill(pid, number)
        name = f'worker_deaths_total{{cause="{cause}"}}'
        until(lambda: scrape(s)[name] == before[name] + 1, "the death is counted")
        until(lambda: len(s.worker_pids()) == 2, "it is replaced")
        assert scrape(s)["requests_total"] > before["requests_total"]


def test_handshakes_are_counted(server, authority):
    port = free_ports(1)[0]
    s = server(CONFIG + f"""
Listen 127.0.0.1:{port} https
<VirtualHost 127.0.0.1:{port}>
    ServerName localhost
    SSLEngine On
    SSLCertificateFile {authority.path("localhost.pem")}
    SSLCertificateKeyFile {authority.path("localhost.key")}
</VirtualHost>
""", {"hello": hello(1), "nap": NAP})

    def act():
        context = authority.client()
        with http.Connection(("127.0.0.1", port), tls=context, sni="localhost") as first:
            assert first.request("/hello").status == 200  # and the tickets have come
            session = first.socket.session
            metrics = until(lambda: [m for m in [scrape(s)]
                                     if m['connections{state="serving",kind="tls"}'] == 1],
                            "the connection is among those that speak TLS")[0]
            assert metrics["connections_accepted_tls_total"] == 1
        raw = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
            assert again.session_reused
            again.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while again.recv(65536):
                pass
        assert b"400" in http.answers_to(("127.0.0.1", port), b"GET / HTTP/1.0\r\n\r\n")

    before = scrape(s).samples
    act()

    def done():
        after = scrape(s).samples
        rise = {name: after[name] - before[name] for name in after}
        return [rise['instar_tls_handshakes_total{kind="full"}'],
                rise['instar_tls_handshakes_total{kind="resumed"}'],
                rise["instar_tls_handshake_failures_total"]] == [1, 1, 1]

    until(done, "one handshake was full, one resumed, one failed")


# ---- Never down -----------------------------------------------------------------------------


class Scraper(threading.Thread):
    """Scrapes without a pause; remembers each fall of a counter."""

    def __init__(self, server):
        super().__init__()
        self.server, self.ended = server, threading.Event()
        self.falls, self.errors, self.count, self.highest = [], [], 0, {}

    def run(self):
        while not self.ended.is_set():
            try:
                found = scrape(self.server).counters()
            except http.Broken:
                continue  # its worker was killed
            except AssertionError as error:
                self.errors.append(error)
                return
            for name, value in found.items():
                if value < self.highest.get(name, 0):
                    self.falls.append((name, self.highest[name], value))
                self.highest[name] = value
            if not self.highest.keys() <= found.keys():
                self.errors.append("a counter is missing")
            self.count += 1

    def end(self):
        self.ended.set()
        self.join()


class Load(threading.Thread):
    def __init__(self, server):
        super().__init__()
        self.server, self.ended = server, threading.Event()
        self.answered = self.broken = 0

    def run(self):
        while not self.ended.is_set():
            try:
                with self.server.connect() as connection:
                    while not self.ended.is_set():
                        assert connection.request("/hello").status == 200
                        self.answered += 1
            except http.Broken:
                self.broken += 1

    def end(self):
        self.ended.set()
        self.join()


def kill_a_worker(s):
    pids = s.worker_pids()
    processes.kill(pids[0])
    until(lambda: pids[0] not in s.worker_pids() and len(s.worker_pids()) == 2, "it is replaced")


def test_no_counter_ever_goes_down(server):
    s = server(CONFIG, {"hello": hello(1), "nap": NAP})
    threads = [Scraper(s), Scraper(s), Load(s), Load(s)]
    start = scrape(s)["requests_total"]
    for thread in threads:
        thread.start()
    try:
        for i in range(sized(10, 30, 4)):
            # Every third one is an upgrade in place: the counters go along.
            outcome = s.graceful("upgrade" if i % 3 == 1 else "graceful")
            assert outcome["ok"], outcome
            if i % 2 == 0:
                kill_a_worker(s)
    finally:
        for thread in threads:
            thread.end()
    scrapers, loads = threads[:2], threads[2:]
    assert [one.falls for one in scrapers] == [[], []]
    assert [one.errors for one in scrapers] == [[], []]
    assert all(one.count > 3 for one in scrapers)
    answered = sum(one.answered for one in loads)
    total = scrape(s)["requests_total"] - start
    # Each answer that came was counted before, also by those who were killed then.
    assert total >= answered + sum(one.count for one in scrapers)
    assert answered > 0


# ---- The real one ---------------------------------------------------------------------------


def ask_prometheus(port, query):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


@pytest.mark.long
def test_a_real_prometheus_sees_no_reset(server):
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        pytest.skip("needs Debian's package prometheus, which is no dependency of the tests")
    s = server(CONFIG, {"hello": hello(1), "nap": NAP})
    checked = subprocess.run(["promtool", "check", "metrics"], input=s.get("/metrics").text,
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and not checked.stderr, checked.stderr
    port = free_ports(1)[0]
    config = s.write("prometheus.yml", f"""
global: {{ scrape_interval: 1s }}
scrape_configs:
  - job_name: instar
    static_configs: [ {{ targets: [ "127.0.0.1:{s.port}" ] }} ]
""")
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={s.path('tsdb')}",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True)
    load = Load(s)
    load.start()

    def samples():
        try:
            found = ask_prometheus(port, "count_over_time(instar_requests_total[10m])")
        except OSError:
            return 0
        return float(found[0]["value"][1]) if found else 0

    try:
        until(lambda: samples() > 2, "it scrapes")
        for i in range(30):
            s.reload()
            if i % 3 == 0:
                kill_a_worker(s)
            time.sleep(0.5)
        enough = samples() + 2
        until(lambda: samples() >= enough, "it has seen the end")
        names = {name.split("{")[0] for name in scrape(s).counters()}
        assert len(names) > 20
        for name in sorted(names):
            resets = ask_prometheus(port, f"resets({name}[10m])")
            assert resets and all(float(one["value"][1]) == 0 for one in resets), (name, resets)
        up = ask_prometheus(port, 'min_over_time(up{job="instar"}[10m])')
        rate = ask_prometheus(port, "increase(instar_requests_total[10m])")
        assert up and float(rate[0]["value"][1]) > 0
    finally:
        load.end()
        prometheus.terminate()
        prometheus.wait()
