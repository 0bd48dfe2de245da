# SPDX-License-Identifier: Apache-2.0
"""Requests that can be found again in a log: each has a number, is sent once, in batches on kept
connections, and its answer is counted. What a server that closes did not answer is sent again."""
import re
import socket
import threading
import time

# Its answers end in a mark that can be counted.
MODULE = r"""
#include <instar.h>
#include <apr_tables.h>
#include <sys/stat.h>
#include <unistd.h>

static int ok(ins_request *r)
{
    ins_puts(r, "end-of-answer\n");
    return INS_OK;
}

static int quiet(ins_request *r)
{
    apr_table_setn(r->subprocess_env, "quiet", "1");
    return ok(r);
}

/* Makes a folder when it has begun, and answers when that is gone. */
static int hold(ins_request *r)
{
    const char *name = ins_query(r, "until");

    if (mkdir(name, 0755) != 0) {
        return 500;
    }
    while (access(name, F_OK) == 0) {
        usleep(5000);
    }
    return ok(r);
}

static const ins_handler handlers[] = { { "ok", ok }, { "quiet", quiet }, { "hold", hold }, { 0 } };

INS_MODULE(numbered_module) = { INS_MODULE_HEADER, .handlers = handlers };
"""
CONFIG = "Route GET /ok ok\nRoute GET /quiet quiet\nRoute GET /hold hold\nMaxKeepAliveRequests 0\n"
MARK = b"end-of-answer\n"
FORMAT = '"%q %s %{generation}P end"'
LINE = re.compile(r"\?n=(\d+) 200 \d+ end")


class Numbered:
    """count requests over some connections, from number first on."""

    def __init__(self, address, count, first=0, connections=2, batch=25, pause=0.0, rest=""):
        self.address, self.batch, self.pause, self.rest = address, batch, pause, rest
        self.stopping = threading.Event()
        self.failures = []
        self.answered = [0] * connections
        share = count // connections
        self.ranges = [(first + share * i, first + share * (i + 1) if i + 1 < connections
                        else first + count) for i in range(connections)]
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True)
                        for i in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def done(self):
        return sum(self.answered)

    def wait(self, timeout=600):
        """Until all are answered; their number."""
        end = time.monotonic() + timeout
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        assert not any(thread.is_alive() for thread in self.threads), f"only {self.done()} answers"
        assert not self.failures, self.failures[:5]
        return self.done()

    def wait_for(self, count, timeout=120):
        """Until so many are answered, or all."""
        end = time.monotonic() + timeout
        while self.done() < count and any(t.is_alive() for t in self.threads):
            assert not self.failures, self.failures[:5]
            assert time.monotonic() < end, f"only {self.done()} answers"
            time.sleep(0.005)

    def _run(self, index):
        at, end = self.ranges[index]
        try:
            while at < end and not self.stopping.is_set():
                with socket.create_connection(self.address, 60) as connection:
                    at = self._on(connection, index, at, end)
        except (OSError, ValueError) as error:
            self.failures.append(f"request {at}: {error!r}")

    def _on(self, connection, index, at, end):
        """The first number that was not answered on this connection."""
        while at < end and not self.stopping.is_set():
            upto = min(at + self.batch, end)
            connection.sendall("".join(
                f"GET /ok?n={n} HTTP/1.1\r\nHost: localhost\r\n{self.rest}\r\n"
                for n in range(at, upto)).encode())
            got, closed = self._answers(connection, upto - at)
            at += got
            self.answered[index] += got
            if closed:
                break
            if self.pause:
                time.sleep(self.pause)
        return at

    @staticmethod
    def _answers(connection, wanted):
        data = b""
        while data.count(MARK) < wanted:
            more = connection.recv(1 << 16)
            if not more:
                return data.count(MARK), True
            data += more
        if data.count(b"HTTP/1.1 200 ") != wanted or not data.endswith(MARK):
            raise ValueError(f"not {wanted} good answers: {data[-200:]!r}")
        return wanted, b"\r\nConnection: close\r\n" in data


def check_lines(text, wanted, lost=0):
    """Every number from 0 on once, no line torn; lost of them may be missing."""
    numbers = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        assert match, f"torn: {line!r}"
        numbers.append(int(match[1]))
    assert text.endswith("\n") or not text, text[-100:]
    assert len(set(numbers)) == len(numbers), "a line is there twice"
    assert len(numbers) == wanted - lost, f"{len(numbers)} lines of {wanted}, {lost} lost"
    if not lost:
        assert min(numbers) == 0 and max(numbers) == wanted - 1
