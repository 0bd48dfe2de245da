# SPDX-License-Identifier: Apache-2.0
"""Load that keeps account of every answer: threads that ask for a versioned page, each request on
a new connection or all on a kept one, until they are stopped."""
import threading
import time

from .http import Broken, Connection
from .modules import version_of

REQUEST = "GET {target} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"


class Load:
    def __init__(self, address, target="/hello", fresh=1, kept=1, pause=0.0, tls=None, tls_kept=0):
        self.address, self.target, self.pause, self.tls = address, target, pause, tls
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.failures = []          # (seconds since start, what)
        self.fresh = []             # (asked at, answered at, version), one list for all threads
        self.kept = []              # lists of versions, one a connection
        self.closed = 0             # kept connections that ended by Connection: close
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self._fresh, daemon=True) for _ in range(fresh)]
        self.threads += [threading.Thread(target=self._kept, daemon=True) for _ in range(kept)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def count(self):
        return len(self.fresh) + sum(len(one) for one in self.kept)

    def wait_for(self, more):
        """Until so many more answers have come."""
        goal = self.count() + more
        end = time.monotonic() + 60
        while self.count() < goal and not self.failures and time.monotonic() < end:
            time.sleep(0.01)

    def _fail(self, what):
        with self.lock:
            self.failures.append((round(time.monotonic() - self.began, 3), what))

    def _checked(self, answer):
        if answer.status != 200:
            self._fail(f"status {answer.status}")
            return None
        version = version_of(answer.body)
        if version is None:
            self._fail(f"not whole: {answer.body[:60]!r}")
        return version

    def _fresh(self):
        request = REQUEST.format(target=self.target, close="Connection: close\r\n")
        while not self.stopping.is_set():
            asked = time.monotonic()
            try:
                with Connection(self.address, tls=self.tls, sni="localhost") as connection:
                    connection.send(request)
                    version = self._checked(connection.answer())
            except (Broken, OSError) as error:
                self._fail(f"new connection: {error}")
                continue
            if version is not None:
                self.fresh.append((asked, time.monotonic(), version))
            if self.pause:
                time.sleep(self.pause)

    def _kept(self):
        while not self.stopping.is_set():
            versions = []
            self.kept.append(versions)
            try:
                with Connection(self.address, tls=self.tls, sni="localhost") as connection:
                    self._ask_on(connection, versions)
            except (Broken, OSError) as error:
                self._fail(f"kept connection, request {len(versions) + 1}: {error}")

    def _ask_on(self, connection, versions):
        request = REQUEST.format(target=self.target, close="")
        while not self.stopping.is_set():
            connection.send(request)
            answer = connection.answer()
            version = self._checked(answer)
            if version is not None:
                versions.append(version)
            if answer.closes:
                with self.lock:
                    self.closed += 1
                return
            if self.pause:
                time.sleep(self.pause)

    def out_of_order(self):
        """Requests on new connections that got older code than an answer that had already come
        when they began, and kept connections that went back."""
        wrong, newest = [], []
        best = -1
        for _, answered, version in sorted(self.fresh, key=lambda one: one[1]):
            if version > best:
                best = version
                newest.append((answered, version))
        for asked, _, version in self.fresh:
            seen = [new for when, new in newest if when < asked]
            if seen and seen[-1] > version:
                wrong.append(f"version {version} after {seen[-1]}")
        for versions in self.kept:
            if versions != sorted(versions):
                wrong.append(f"kept connection went back: {versions}")
        return wrong

    def assert_unbroken(self, at_least=1):
        self.stop()
        assert not self.failures, f"{len(self.failures)} failures: {self.failures[:5]}"
        assert self.count() >= at_least, f"only {self.count()} answers came"
