# SPDX-License-Identifier: Apache-2.0
"""Limits on what a worker may eat: at one it is replaced, and nobody notices."""
import os
import re
import threading
import time

import pytest

from harness.env import SANITIZED, sized, until
from harness.http import Broken
from harness.load import Load
from harness.modules import hello, pid_of, version_of

KEPT = "MaxKeepAliveRequests 0\nKeepAliveTimeout 120\nProbationTime 120\n"

LEAK = hello(1).replace("static int hello(", r"""#include <stdlib.h>
#include <string.h>

static void leak(ins_request *r)
{
    const char *size = ins_query(r, "leak");
    char *lost = malloc(size ? atol(size) : 1);

    if (size && lost) {
        memset(lost, 1, atol(size));
    }
    __asm__ volatile("" : : "r"(lost) : "memory");
}

static int hello(""").replace("ins_set_type", "leak(r);\n    ins_set_type")

HANG = r"""
#include <instar.h>
#include <apr_time.h>
#include <stdlib.h>
#include <unistd.h>

static __attribute__((noinline)) int hang_in_here(ins_request *r, apr_time_t until)
{
    const char *file = ins_query(r, "until");

    while (apr_time_now() < until && !(file && access(file, F_OK) == 0)) {
        usleep(1000);
    }
    return ins_printf(r, "%ld", (long)getpid()) < 0;
}

static int hang(ins_request *r)
{
    const char *ms = ins_query(r, "ms");

    if (ins_query(r, "begin")) {
        ins_puts(r, "begun");
        ins_flush(r);
    }
    return hang_in_here(r, apr_time_now() + (ms ? atol(ms) : 3600000) * 1000) ? 500 : INS_OK;
}

static int64_t hang_in_a_piece(ins_request *r, void *state, char *buf, size_t size)
{
    return hang_in_here(r, apr_time_now() + 3600000000L) ? -1 : 0;
}

static int hang_stream(ins_request *r)
{
    return ins_stream(r, hang_in_a_piece, NULL);
}

static int hang_in_a_hook(ins_request *r)
{
    if (ins_query(r, "hook")) {
        hang_in_here(r, apr_time_now() + 3600000000L);
    }
    return INS_DECLINED;
}

static const ins_handler handlers[] = {
    { "hang", hang }, { "hang_stream", hang_stream }, { 0 }
};
static const ins_hook hooks[] = { INS_HOOK(fixups, hang_in_a_hook, INS_MIDDLE), { 0 } };

INS_MODULE(hang_module) = { INS_MODULE_HEADER, .handlers = handlers, .hooks = hooks };
"""
HANG_ROUTE = "Route GET /hang hang\n"


def counter(s, name):
    return s.status()["counters"][name]


def workers(s, leaving=False):
    status = s.status()
    return {one["pid"]: one["index"] for one in status["worker_list"]
            if one["generation"] == status["generation"] and one["leaving"] == leaving}


def memory_of(pid):
    """What WorkerMemoryLimit is about, in bytes; None once it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return 1024 * sum(int(line.split()[1]) for line in status
                              if line.startswith(("RssAnon:", "VmSwap:")))
    except (FileNotFoundError, ProcessLookupError):
        return None


def idle_connections(s, count, target="/hello"):
    """Kept connections that have been answered once, with the pids that answered."""
    found = []
    for _ in range(count):
        connection = s.connect()
        found.append((connection, pid_of(connection.request(target).body)))
    return found


def assert_they_live_on(idle):
    """Each answers on the same TCP connection, from another process."""
    for connection, pid in idle:
        answer = connection.request("/hello")
        assert answer.status == 200 and version_of(answer.body) is not None, answer
        assert pid_of(answer.body) != pid and not answer.closes
        connection.close()


def assert_no_crash(s):
    status = s.status()
    for name in ("deaths_exit", "deaths_crash", "deaths_killed"):
        assert status["counters"][name] == 0, name
    assert not status["probation"] or status["probation"]["crashes"] == 0


@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_that_eats_memory_is_replaced(server, count):
    s = server("Route GET /hello hello\n" + KEPT, {"hello": LEAK}, workers=count)
    with Load(s.address) as load:
        load.wait_for(200)
    load.assert_unbroken()
    limit = max(memory_of(pid) for pid in workers(s)) + (64 << 20)
    s.write_config(s.config + f"WorkerMemoryLimit {limit}\n")
    s.reload()                      # the replaced are a generation's on probation
    idle = idle_connections(s, 20)
    first = workers(s)
    with Load(s.address, "/hello?leak=400000", fresh=1, kept=2, pause=0.001) as load:
        until(lambda: not set(first) & (set(workers(s)) | set(workers(s, leaving=True))),
              "the first workers are gone")
    load.assert_unbroken(at_least=100)
    assert load.closed == 0, "a kept connection moves, it is not closed"
    assert_they_live_on(idle)
    assert sorted(workers(s).values()) == list(range(count))
    assert counter(s, "replaced_memory") >= count
    assert_no_crash(s)
    log = s.log()
    assert re.search(r"INS02360: \d+ KB of memory are used here, WorkerMemoryLimit is \d+ KB", log)
    assert re.search(r"INS02350: worker \d+ \(pid \d+\) is replaced by pid \d+: WorkerMemory", log)


def test_a_limit_that_is_too_low_costs_no_request_and_little_else(server):
    began = time.monotonic()
    s = server("Route GET /hello hello\nWorkerMemoryLimit 1M\n" + KEPT, {"hello": hello(1)})
    with Load(s.address, pause=0.005) as load:
        until(lambda: "that limit is too low" in s.log(), "it is said")
        load.wait_for(200)
    load.assert_unbroken()
    replaced = counter(s, "replaced_memory")
    took = time.monotonic() - began
    most, pause, free_at = 1, 0.25, 0.25  # 250 ms, 500 ms, ... 5 s
    while free_at < took:
        most, pause = most + 1, min(pause * 2, 5)
        free_at += pause
    assert replaced <= most, took
    assert_no_crash(s)


def test_a_worker_is_replaced_after_so_many_connections(server):
    s = server("Route GET /hello hello\nMaxConnectionsPerChild 50\n" + KEPT, {"hello": hello(1)})
    idle = idle_connections(s, 10)
    first = workers(s)
    with Load(s.address, fresh=2, kept=2, pause=0.001) as load:
        until(lambda: not set(first) & (set(workers(s)) | set(workers(s, leaving=True))),
              "the first workers are gone")
        replaced = counter(s, "replaced_connections")
        until(lambda: counter(s, "replaced_connections") > replaced, "and their successors go")
    load.assert_unbroken(at_least=150)
    assert load.closed == 0
    assert_they_live_on(idle)
    assert sorted(workers(s).values()) == [0, 1]
    assert_no_crash(s)


def test_a_long_handler_is_logged_once_with_its_stack(server):
    s = server(HANG_ROUTE + "HandlerTimeout 200ms\n", {"hang": HANG})
    target = f"/hang?until={s.path('go')}&words=%22a%0a"
    with s.connect() as connection:
        connection.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: "INS02356" in s.log(), "its stack is logged")
        time.sleep(0.5)  # and not once more
        s.write("go", "")
        assert connection.answer().status == 200
    log = s.log()
    lines = [line for line in log.splitlines() if "INS02355" in line]
    assert len(lines) == 1, lines
    number = s.line_of("instar.conf", HANG_ROUTE.strip())
    assert re.search(r"\[client 127\.0\.0\.1:\d+\] INS02355: worker 1\.[01]: hang of hang_module "
                     r"\(Route GET /hang, .*instar\.conf:%d\) has run for [0-9.]+ s: " % number,
                     lines[0]), lines
    assert f"GET {target} HTTP/1.1" in lines[0]
    stack = [line for line in log.splitlines() if "INS02356" in line]
    assert len(stack) == 1
    assert re.search(r"hang_in_here\+0x[0-9a-f]+ \(hang_module, [^ ]+\.so\+0x[0-9a-f]+\) < "
                     r"hang\+0x[0-9a-f]+ \(hang_module, ", stack[0]), stack
    assert counter(s, "handlers_late") == 1
    assert s.get(target, timeout=60).status == 200
    assert counter(s, "replaced_handler") == 0


def test_a_hook_and_a_piece_of_a_stream_are_watched_too(server):
    s = server("Route GET /stream hang_stream\nHandlerTimeout 200ms\n", {"hang": HANG})
    for target, status, words in (
            ("/none?hook=1&", 404, "a hook, for a request without a route, has run"),
            ("/stream?", 200, "hang_stream of hang_module (Route GET /stream")):
        go = s.path("go" + str(status))
        with s.connect() as connection:
            connection.send(f"GET {target}until={go} HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: s.log().count("INS02356") == (1 if status == 404 else 2), "it is logged")
            s.write(os.path.basename(go), "")
            assert connection.answer().status == status
        assert words in s.log()
    assert "hang_in_a_hook+0x" in s.log() and "hang_in_a_piece+0x" in s.log()


def test_a_handler_that_hangs_goes_and_nothing_else(server):
    s = server("Route GET /hello hello\n" + HANG_ROUTE + KEPT
               + f"HandlerTimeout 0\nHandlerKillTimeout {5 if SANITIZED else 3}\n",
               {"hello": hello(1), "hang": HANG}, workers=1)
    idle = idle_connections(s, 10)
    slow = []
    with Load(s.address, fresh=1, kept=1, pause=0.002) as load:
        with s.connect() as silent, s.connect() as begun:
            silent.send("GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
            begun.send("GET /hang?begin=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            # They are in flight when the worker is replaced.
            until(lambda: counter(s, "replaced_handler") or ask_slow(s, slow), "it is replaced")
            answer = silent.answer()
            assert answer.status == 503 and answer.closes
            with pytest.raises(Broken):
                begun.answer()
        for thread, _ in slow:
            thread.join()
        until(lambda: not workers(s, leaving=True), "it has gone")
    load.assert_unbroken()
    assert load.closed == 0
    assert [status for _, found in slow for status in found] == [200] * len(slow)
    for connection, pid in idle:
        body = connection.request("/hello").body
        assert version_of(body) == 1 and pid_of(body) in workers(s) and pid_of(body) != pid
        connection.close()
    assert counter(s, "replaced_handler") == 1
    assert counter(s, "handlers_killed") == 2
    assert counter(s, "handlers_late") == 2, "HandlerKillTimeout is a HandlerTimeout, too"
    assert s.log().count("INS02362") == 2
    assert_no_crash(s)


def ask_slow(s, slow):
    """Adds a request that takes a moment; only so many that a few threads are free."""
    found = []

    def ask():
        try:
            found.append(s.get("/hang?ms=300", timeout=60).status)
        except (Broken, OSError) as error:
            found.append(error)
    if len(slow) < 60:
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        slow.append((thread, found))
        time.sleep(0.05)


def test_replaced_workers_and_reloads_at_the_same_time(server):
    s = server("Route GET /hello hello\nMaxConnectionsPerWorker 20\nMaxDrainingGenerations 16\n"
               + KEPT, {"hello": hello(1)})
    with Load(s.address, fresh=2, kept=2, pause=0.001) as load:
        for version in range(2, sized(6, 40, sanitized=4)):
            s.write_module("hello", hello(version))
            s.reload()
            load.wait_for(100)
    load.assert_unbroken(at_least=200)
    assert load.closed == 0
    assert not load.out_of_order()
    assert_no_crash(s)
    until(lambda: not s.old_generations(), "the old ones drain")


def test_the_directives_say_what_is_wrong(server):
    s = server(HANG_ROUTE, {"hang": HANG}, start=False)
    for line, words in (
            ("WorkerMemoryLimit 1000", "WorkerMemoryLimit: must be 0 (none) or a size of at least 1M"),
            ("WorkerMemoryLimit much", "a number of bytes, or with a unit"),
            ("MaxConnectionsPerWorker -1", "MaxConnectionsPerWorker"),
            ("HandlerTimeout soon", "HandlerTimeout: must be a time"),
            ("HandlerKillTimeout -3", "HandlerKillTimeout: must be a time")):
        s.write_config(HANG_ROUTE + line + "\n")
        done = s.run("-t")
        assert done.returncode != 0 and words in done.stderr, done.stderr
        assert "instar.conf" in done.stderr
