# SPDX-License-Identifier: Apache-2.0
"""Reloads: new code answers, and nobody outside notices anything else."""
import os
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import http, processes
from harness.env import sized, until
from harness.http import Broken, Connection
from harness.load import Load
from harness.modules import PROBE, PROBE_ROUTES, hello, pid_of, version_of

ROUTE = "Route GET /hello hello\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n"


def version(s):
    return version_of(s.get("/hello").body)


def test_edit_and_sighup_brings_new_code(server):
    s = server(ROUTE, {"hello": hello(1)})
    assert version(s) == 1
    for number in (2, 3):
        s.write_module("hello", hello(number))
        s.send(signal.SIGHUP)
        until(lambda: version(s) == number, "the new code answers")


def test_usr1_reloads_too(server):
    s = server(ROUTE, {"hello": hello(1)})
    s.write_module("hello", hello(2))
    s.send(signal.SIGUSR1)
    until(lambda: version(s) == 2, "the new code answers")


def test_graceful_tells_what_came_of_it(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    first = s.status()["generation"]
    s.write_module("hello", hello(2))
    outcome = s.reload()
    assert outcome["generation"] > first
    assert [os.path.basename(name).split(".")[0].replace("_module", "")
            for name in outcome["compiled"]] == ["hello"]
    assert outcome["unchanged"] == 1 and outcome["ms"] >= 0
    assert version(s) == 2
    outcome = s.reload()
    assert outcome["compiled"] == [] and outcome["unchanged"] == 2
    text = s.ctl("graceful")
    assert text.returncode == 0 and "serving in" in text.stdout and "0 modules" in text.stdout


def test_a_new_header_is_noticed(server):
    source = hello("NUMBER").replace('"NUMBER"', '"7"')
    source = source.replace("#define VERSION", '#include "number.h"\n#define UNUSED')
    s = server(ROUTE, start=False)
    s.write("modules/number.h", '#define VERSION "1"\n')
    s.write_module("hello", source)
    s.write_config()
    s.start()
    assert version(s) == 1
    s.write("modules/number.h", '#define VERSION "2"\n')
    assert len(s.reload()["compiled"]) == 1
    assert version(s) == 2


def test_signals_during_a_reload_become_one_more(server):
    s = server(ROUTE, {"hello": hello(1)})
    first = s.status()["generation"]
    for number in range(2, 40):
        s.write_module("hello", hello(number))
        s.send(signal.SIGHUP)
    until(lambda: version(s) == 39, "the last code answers")
    assert s.status()["generation"] - first <= 38


def test_a_config_change_is_served(server):
    s = server(ROUTE, {"hello": hello(1)})
    assert s.get("/other").status == 404
    s.write_config(s.config + "Route GET /other hello\n")
    s.reload()
    assert s.get("/other").status == 200
    s.write_config(ROUTE)
    s.reload()
    assert s.get("/other").status == 404


def storm(s, load, rounds, gap, workers=None):
    for number in range(2, rounds + 2):
        if workers:
            s.workers = workers[number % len(workers)]
        s.write_module("hello", hello(number))
        s.write_config()
        if number % 2:
            s.send(signal.SIGHUP)
            until(lambda: load.failures or version(s) == number, f"version {number} answers")
        else:
            s.reload()
        load.wait_for(5)
        time.sleep(gap)


def test_no_client_notices_reloads_under_load(server):
    """Worker counts change along the way."""
    rounds = sized(15, 100, 6)
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    with Load(s.address, fresh=2, kept=2) as load:
        load.wait_for(20)
        storm(s, load, rounds, sized(0.0, 0.2), workers=[1, 8, 3, 8, 1])
    load.assert_unbroken(20)
    assert load.out_of_order() == []
    assert load.fresh[-1][2] == rounds + 1


def test_no_tls_client_notices_reloads_under_load(server, authority):
    rounds = sized(6, 50, 3)
    s = server(start=False, modules={"hello": hello(1)})
    s.listen = f"Listen 127.0.0.1:{s.port} https"
    s.write_config(ROUTE + f'SSLCertificateFile "{authority.path("localhost.pem")}"\n'
                           f'SSLCertificateKeyFile "{authority.path("localhost.key")}"\n')
    s.start()
    tls = authority.client()

    with Load(s.address, fresh=1, kept=2, tls=tls) as load:
        load.wait_for(10)
        for number in range(2, rounds + 2):
            s.write_module("hello", hello(number))
            s.reload()
            load.wait_for(10)
    load.assert_unbroken(10)
    assert load.out_of_order() == []


def test_requests_in_flight_are_finished_by_the_old_code(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    with s.occupy("/nap?ms=3000") as slow:
        s.write_module("hello", hello(2))
        outcome = s.reload()
        assert version(s) == 2
        assert sum(one["connections"] for one in outcome["draining"]) >= 1
        assert slow.answer().text == "slept"
    until(lambda: not s.old_generations(), "the old generation is gone")


def test_a_half_received_request_is_not_lost(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    with s.connect() as slow:
        slow.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        with s.connect() as other:
            other.send("GET /hel")
            time.sleep(0.1)
            s.reload()
            other.send("lo HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.answer().status == 200
        slow.send("world")
        assert slow.answer().text == "helloworld"


def test_a_long_download_goes_on_through_reloads(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    size = 30000000
    with s.connect() as connection:
        connection.send(f"GET /stream?size={size}&length=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.more()
        for number in (2, 3):
            s.write_module("hello", hello(number))
            s.send(signal.SIGHUP)
            until(lambda: version(s) == number, "the new code answers")
        assert len(connection.answer().body) == size


def test_idle_kept_connections_move_to_the_new_code(server):
    """The same connection, not closed, answered by the new generation's process."""
    count = sized(50, 2000, 30)
    s = server(ROUTE, {"hello": hello(1)})
    connections = [s.connect() for _ in range(count)]
    for connection in connections:
        assert version_of(connection.request("/hello").body) == 1
    for number in (2, 3):
        s.write_module("hello", hello(number))
        s.reload()
        until(lambda: not s.old_generations(), "the old generation is gone")
        workers = set(s.worker_pids())
        for connection in connections:
            answer = connection.request("/hello")
            assert version_of(answer.body) == number and not answer.closes
            assert pid_of(answer.body) in workers
    status = s.status()
    assert status["counters"]["adopted"] >= 2 * count
    for connection in connections:
        connection.close()


def test_a_moved_connection_remembers_its_requests(server):
    s = server(PROBE_ROUTES + "MaxKeepAliveRequests 4\n", {"probe": PROBE})
    with s.connect() as connection:
        assert "keepalives=0\n" in connection.request("/info").text
        assert "keepalives=1\n" in connection.request("/info").text
        s.reload()
        answer = connection.request("/info")
        assert "keepalives=2\n" in answer.text and not answer.closes
        assert connection.request("/info").closes


def test_a_reload_is_over_when_what_was_idle_has_moved(server):
    """No wait in between: the outcome comes when the connections are with the new code."""
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    connections = [s.connect() for _ in range(100)]
    for number in range(1, 6):
        s.write_module("hello", hello(number))
        s.reload()
        for connection in connections:
            assert version_of(connection.request("/hello").body) == number
    for connection in connections:
        connection.close()


def test_idle_unix_connections_move_too(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    path = s.path("run", "web.sock")
    s.listen += f"\nListen unix:{path}"
    s.write_config()
    s.start()
    with Connection(path) as connection:
        assert version_of(connection.request("/hello").body) == 1
        s.write_module("hello", hello(2))
        s.reload()
        assert version_of(connection.request("/hello").body) == 2


@pytest.mark.parametrize("tls_version", ["TLSv1_2", "TLSv1_3"])
def test_idle_tls_connections_are_never_closed_under_the_client(server, authority, tls_version):
    import ssl
    s = server(start=False, modules={"hello": hello(1)})
    s.listen = f"Listen 127.0.0.1:{s.port} https"
    s.write_config(ROUTE + f'SSLCertificateFile "{authority.path("localhost.pem")}"\n'
                           f'SSLCertificateKeyFile "{authority.path("localhost.key")}"\n')
    s.start()
    context = authority.client(version=getattr(ssl.TLSVersion, tls_version))
    connections = [Connection(s.address, tls=context, sni="localhost") for _ in range(10)]
    for connection in connections:
        assert version_of(connection.request("/hello").body) == 1
    s.write_module("hello", hello(2))
    s.reload()
    moves = tls_version == "TLSv1_3"
    if moves:
        until(lambda: not s.old_generations(), "the old generation is gone")
    for connection in connections:
        answer = connection.request("/hello")
        assert answer.status == 200 and version_of(answer.body) == (2 if moves else 1)
        assert answer.closes != moves and (moves or connection.at_end())
        connection.close()
    until(lambda: not s.old_generations(), "the old generation is gone")


def test_the_drain_deadline_ends_what_does_not_end(server):
    s = server(ROUTE + PROBE_ROUTES + "GracefulShutdownTimeout 1\n",
               {"hello": hello(1), "probe": PROBE})
    with s.occupy("/nap?ms=20000") as slow:
        s.reload()
        until(lambda: not s.old_generations(), "the old generation is cut", s.slack(10))
        with pytest.raises(Broken):
            slow.answer()


def test_restart_is_a_reload_that_does_not_wait(server):
    s = server(ROUTE + PROBE_ROUTES, {"hello": hello(1), "probe": PROBE})
    with s.occupy("/nap?ms=20000") as slow:
        s.write_module("hello", hello(2))
        outcome = s.graceful("restart")
        assert outcome["exit"] == 0, outcome
        assert version(s) == 2
        until(lambda: not s.old_generations(), "the old generation is cut", s.slack(10))


def test_restart_cuts_what_drains_already(server):
    """Whatever old code is still doing, of whichever generation."""
    s = server(ROUTE + PROBE_ROUTES + "MaxDrainingGenerations 1\n",
               {"hello": hello(1), "probe": PROBE})
    with s.occupy("/nap?ms=60000") as slow:
        s.reload()
        assert [one["connections"] for one in s.old_generations()] == [1]
        outcome = s.graceful("restart")
        assert outcome["exit"] == 0 and "notes" not in outcome, outcome  # it has waited for nobody
        until(lambda: not s.old_generations(), "the old generations are cut", s.slack(10))
        with pytest.raises(Broken):
            slow.answer()


def test_draining_generations_are_capped(server):
    s = server(ROUTE + PROBE_ROUTES + "MaxDrainingGenerations 2\nGracefulShutdownTimeout 300\n",
               {"hello": hello(1), "probe": PROBE})
    slow, counts, stopping = [], [], threading.Event()

    def count():
        while not stopping.is_set():
            counts.append(sum(one["state"] == "draining" for one in s.old_generations()))
    counter = threading.Thread(target=count, daemon=True)
    counter.start()
    for number in range(2, 5):
        slow.append(s.occupy("/nap?ms=60000"))
        s.write_module("hello", hello(number))
        s.reload()
        assert version(s) == number
        until(lambda: len(s.old_generations()) <= 2, "the oldest is cut")
    stopping.set()
    counter.join()
    assert max(counts) == 2, "there are never more"
    for connection in slow:
        connection.close()
    s.stop(signal.SIGTERM)


def test_no_process_is_left_of_old_generations(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    for number in range(2, 6):
        s.write_module("hello", hello(number))
        s.reload()
    until(lambda: not s.old_generations(), "the old generations are gone")
    # the generation and its workers
    until(lambda: len(processes.descendants(s.pid)) == 3, "three processes are left")


# ---- Listeners and users ------------------------------------------------------------


def works(port, host="127.0.0.1"):
    try:
        return http.get((host, port), "/hello", timeout=10).status == 200
    except (Broken, OSError):
        return False


def refused(port, host="127.0.0.1"):
    try:
        Connection((host, port)).close()
        return False
    except Broken as broken:
        return broken.kind == "refused"


def test_listeners_come_and_go(server):
    s = server(ROUTE, {"hello": hello(1)})
    one, two, three = s.ports[:3]
    with Load(s.address) as load:
        s.listen = f"Listen 127.0.0.1:{one}\nListen 127.0.0.1:{two}"
        s.write_config()
        s.reload()
        assert works(one) and works(two)
        s.listen = f"Listen 127.0.0.1:{one}\nListen 127.0.0.1:{three}"
        s.write_config()
        s.reload()
        assert works(one) and works(three)
        until(lambda: refused(two), "the port that is gone is closed")
        load.wait_for(20)
    load.assert_unbroken()


def test_an_address_widens_and_narrows_under_load(server):
    """127.0.0.1:P becomes P, on all addresses, and back."""
    s = server(ROUTE, {"hello": hello(1)})
    with Load(s.address) as load:
        for _ in range(sized(2, 20, 1)):
            s.listen = f"Listen {s.port}"
            s.write_config()
            s.reload()
            assert works(s.port) and works(s.port, "127.0.0.2")
            load.wait_for(20)
            s.listen = f"Listen 127.0.0.1:{s.port}"
            s.write_config()
            s.reload()
            assert works(s.port)
            until(lambda: refused(s.port, "127.0.0.2"), "the other address is closed")
            load.wait_for(20)
    load.assert_unbroken()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as six:
            six.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_is_listened_on(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    s.listen += f"\nListen [::1]:{s.port}"
    s.write_config()
    s.start()
    assert works(s.port) and works(s.port, "::1")


def test_a_unix_socket_comes_and_goes(server):
    s = server(ROUTE, {"hello": hello(1)})
    path = s.path("run", "web.sock")
    plain = s.listen
    s.listen = plain + f"\nListen unix:{path}"
    s.write_config()
    s.reload()
    assert http.get(path, "/hello").status == 200
    s.reload()
    assert http.get(path, "/hello").status == 200
    s.listen = plain
    s.write_config()
    s.reload()
    until(lambda: not os.path.exists(path), "the socket's file is gone")


@pytest.mark.skipif(os.getuid() != 0, reason="only root changes users")
def test_the_user_changes_with_a_reload(server):
    s = server(ROUTE, {"hello": hello(1)})

    def users():
        found = set()
        for pid in s.worker_pids():
            with open(f"/proc/{pid}/status") as text:
                found.update(one.split()[1] for one in text if one.startswith("Uid:"))
        return found

    import pwd
    assert users() == {str(pwd.getpwnam("nobody").pw_uid)}
    with Load(s.address) as load:
        s.user = "User daemon\nGroup daemon"
        s.write_config()
        s.reload()
        assert users() == {str(pwd.getpwnam("daemon").pw_uid)}
        load.wait_for(20)
    load.assert_unbroken()


def test_worker_count_is_as_configured(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=1)
    for count in (4, 1, 2):
        s.workers = count
        s.write_config()
        s.reload()
        assert len(s.worker_pids()) == count


def test_connections_that_wait_while_workers_shrink_are_answered(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=8)
    stop = threading.Event()
    failures = []

    def burst():
        while not stop.is_set():
            connections = []
            try:
                connections = [Connection(s.address) for _ in range(30)]
                for connection in connections:
                    connection.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                for connection in connections:
                    if connection.answer().status != 200:
                        failures.append("status")
            except (Broken, OSError) as error:
                failures.append(str(error))
            for connection in connections:
                connection.close()

    threads = [threading.Thread(target=burst) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(sized(6, 40, 3)):
        s.workers = 1 if i % 2 == 0 else 8
        s.write_config()
        s.reload()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]


# ---- What a reload costs -------------------------------------------------------------


@pytest.mark.parametrize("count", [sized(20, 500, 8)])
def test_one_changed_module_is_one_compile(server, count):
    modules = {f"m{i}": hello(1).replace("hello_module", f"m{i}_module").replace(
        '"hello", hello', f'"h{i}", hello') for i in range(count)}
    s = server("Route GET /hello h0\n", modules, build=None)
    s.write_module("m0", modules["m0"].replace('"1"', '"2"'))
    outcome = s.reload()
    assert len(outcome["compiled"]) == 1 and outcome["unchanged"] == count - 1
    assert version(s) == 2


def test_master_is_flat_over_many_reloads(server):
    rounds, warm = sized(60, 1000, 15), sized(20, 20, 8)
    s = server(ROUTE, {"hello": hello(1)}, workers=1)
    rss = fds = None
    for number in range(rounds):
        s.write_module("hello", hello(number % 5))
        s.reload()
        if number == warm:
            until(lambda: not s.old_generations(), "the old generations are gone")
            rss, fds = processes.rss(s.pid), processes.descriptors(s.pid)
    until(lambda: not s.old_generations(), "the old generations are gone")
    allowed = sized(1.03, 1.01, 1.3)
    assert processes.descriptors(s.pid) == fds
    assert processes.rss(s.pid) <= rss * allowed, (rss, processes.rss(s.pid))


def test_a_reload_without_changes_is_quick(server):
    s = server(ROUTE, {"hello": hello(1)}, workers=1)
    took = []
    for _ in range(5):
        before = pid_of(s.get("/hello").body)
        began = time.monotonic()
        s.send(signal.SIGHUP)
        until(lambda: pid_of(s.get("/hello").body) != before, "the new worker answers", pause=0)
        took.append(time.monotonic() - began)
    assert min(took) < s.slack(0.5), took


def test_random_signals_do_not_confuse_it(server):
    rng = random.Random(7)
    s = server(ROUTE, {"hello": hello(1)}, workers=2)
    with Load(s.address) as load:
        number = 1
        for _ in range(sized(25, 200, 10)):
            number += 1
            s.write_module("hello", hello(number))
            for _ in range(rng.randrange(1, 4)):
                s.send(rng.choice([signal.SIGHUP, signal.SIGUSR1]))
                time.sleep(rng.random() * 0.03)
        until(lambda: load.failures or version(s) == number, "the last code answers")
    load.assert_unbroken()
    assert load.out_of_order() == []


def test_curl_sees_new_code_on_the_same_connection_settings(server):
    """As the README does it, with curl."""
    s = server(ROUTE, {"hello": hello(1)})
    url = f"http://127.0.0.1:{s.port}/hello"
    first = subprocess.run(["curl", "-sS", url], capture_output=True, check=True).stdout
    s.write_module("hello", hello(2))
    s.reload()
    second = subprocess.run(["curl", "-sS", url], capture_output=True, check=True).stdout
    assert version_of(first) == 1 and version_of(second) == 2
