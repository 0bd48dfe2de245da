# SPDX-License-Identifier: Apache-2.0
"""A server of its own for a test: a folder with config and modules, the process, its control
socket, and an account of what it leaves behind."""
import errno
import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

from . import http, processes
from .env import INSTAR, INSTARCTL, PATIENCE, SANITIZED, until

CONFIG = """
ServerRoot "{root}"
DefaultRuntimeDir run
ErrorLog logs/error_log
LogLevel info
ServerName localhost
{user}
BuildDirectory "{build}"
Workers {workers}
{listen}
"""

REPORTS = re.compile(
    r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|check failed|Assertion")


# Below those that the kernel gives to clients, which could take one before its server does; each
# process of a parallel run has a range of its own.
PORTS_EACH = 2000
FIRST_PORT = 10000 + PORTS_EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
next_ports = itertools.cycle(range(FIRST_PORT, FIRST_PORT + PORTS_EACH))


def is_free(port):
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as one:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
    return True


def free_ports(count):
    """Ports that nobody listens on, in both families."""
    return list(itertools.islice(filter(is_free, next_ports), count))


class Server:
    """Not started yet. config is what stands behind the basic directives; modules maps names
    (hello: hello_module, modules/hello.c) to sources."""

    def __init__(self, build, config="", modules=None, workers=2, listen=None, ports=4, user=True,
                 mode=0o755):
        self.root = tempfile.mkdtemp(prefix="instar-test-", dir="/tmp")
        os.chmod(self.root, mode)
        for folder in ("logs", "run", "modules"):
            os.mkdir(self.path(folder))
        self.build, self.workers = build, workers
        self.user = "User nobody" if user and os.getuid() == 0 else ""
        self.ports = free_ports(ports)
        self.port = self.ports[0]
        self.listen = f"Listen 127.0.0.1:{self.port}" if listen is None else listen
        self.modules = {}
        self.config = config
        self.process = None
        self.nofile = None   # a bound on its descriptors
        self.known = set()   # every process that was seen to be the server's
        self.expect_reports = False
        for name, source in (modules or {}).items():
            self.write_module(name, source)
        self.write_config()

    # ---- Files ----------------------------------------------------------------

    def path(self, *names):
        return os.path.join(self.root, *names)

    def write(self, name, text):
        """A file in the server's folder, replaced at once as editors do."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())
        os.rename(path + ".new", path)
        return path

    def write_module(self, name, source):
        self.modules[name] = source
        return self.write(f"modules/{name}.c", source)

    def config_text(self):
        text = CONFIG.format(root=self.root, build=self.build, workers=self.workers,
                             listen=self.listen, user=self.user)
        for name in self.modules:
            text += f"LoadModule {name}_module modules/{name}.c\n"
        return text + self.config

    def write_config(self, config=None):
        if config is not None:
            self.config = config
        return self.write("instar.conf", self.config_text())

    def replace(self, old, new):
        """Edits the config file's own part."""
        assert old in self.config, old
        self.write_config(self.config.replace(old, new))

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def log(self):
        return self.read("logs/error_log") + self.read("stderr")

    def line_of(self, name, text):
        """The number of the line in which text stands first."""
        for number, line in enumerate(self.read(name).splitlines(), 1):
            if text in line:
                return number
        raise AssertionError(f"{text!r} is not in {name}")

    # ---- The process ------------------------------------------------------------

    def command(self, *arguments):
        return [INSTAR, "-d", self.root, "-f", "instar.conf", *arguments]

    def run(self, *arguments, timeout=PATIENCE * 2, **more):
        """instar with arguments, until it ends."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, **more)

    def start(self, *arguments, wait=True):
        with open(self.path("stderr"), "ab") as stderr:
            self.process = subprocess.Popen(self.command("-DFOREGROUND", *arguments),
                                            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            start_new_session=True, preexec_fn=self._limits)
        if wait:
            until(self._serving, "the server serves")
        return self

    def _limits(self):
        if self.nofile:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))

    def _serving(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        # Its own: a server that is still dying may hold the control socket's path.
        if not os.path.exists(self.path("run")):
            return False
        status = self.status()
        return status is not None and status.get("generation") and status["pid"] == self.pid

    @property
    def pid(self):
        """The master's."""
        if self.process is not None:
            return self.process.pid
        return int(self.read("run/httpd.pid"))

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE):
        """Stops it and returns its status; nothing of it may be left."""
        self.remember()
        status = None
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(number)
            try:
                status = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"it does not stop:\n{self.log()[-4000:]}") from None
            self.process = None
        return status

    def remember(self):
        """Notes which processes are the server's now."""
        if self.process is not None and self.process.poll() is None:
            self.known.update(processes.descendants(self.process.pid))

    def leftovers(self):
        """Processes of this server that live although it has stopped."""
        processes.reap(self.known)
        return [pid for pid in self.known if processes.alive(pid)]

    def destroy(self):
        """Ends whatever is left, and says what was wrong."""
        wrong = []
        try:
            if self.process is not None:
                self.stop()
        except AssertionError as error:
            wrong.append(str(error))
            self.remember()
            processes.kill(self.process.pid)
            self.process.wait()
        try:
            until(lambda: not self.leftovers(), "all processes are gone", 10)
        except AssertionError:
            names = [f"{pid} {processes.title(pid)}" for pid in self.leftovers()]
            wrong.append(f"left behind: {names}")
            for pid in self.leftovers():
                processes.kill(pid)
        if not self.expect_reports:
            found = [line for line in self.log().splitlines() if REPORTS.search(line)]
            if found:
                wrong.append("reports: " + "\n".join(found[:20]))
        if not wrong:
            shutil.rmtree(self.root, ignore_errors=True)
        return wrong

    # ---- Control ----------------------------------------------------------------

    def ctl_command(self, *arguments):
        return [INSTARCTL, "-d", self.root, "-f", "instar.conf", *arguments]

    @staticmethod
    def spawn(command):
        """A command that is not waited for, nor heard."""
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def ctl(self, *arguments, timeout=PATIENCE * 2, **more):
        """instarctl with this server's -d and -f."""
        return subprocess.run(self.ctl_command(*arguments), capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, **more)

    def status(self):
        done = self.ctl("--json", "status")
        if done.returncode != 0:
            return None
        return json.loads(done.stdout)

    def graceful(self, verb="graceful"):
        """The reload's outcome as JSON, with the exit code as "exit"."""
        done = self.ctl("--json", verb)
        try:
            outcome = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"no JSON: {done.returncode} {done.stdout!r} {done.stderr!r}") from None
        outcome["exit"] = done.returncode
        return outcome

    def reload(self):
        """A reload that succeeds."""
        outcome = self.graceful()
        assert outcome["exit"] == 0 and outcome["ok"], outcome
        return outcome

    def serving(self):
        """The serving generation, as status tells of it."""
        status = self.status()
        assert status, self.log()
        for generation in status["generations"]:
            if generation["generation"] == status["generation"]:
                return generation
        raise AssertionError(f"no serving generation: {status}")

    def worker_pids(self):
        return self.serving()["worker_pids"]

    def old_generations(self):
        status = self.status()
        return [one for one in status["generations"] if one["generation"] != status["generation"]]

    # ---- Talking to it ------------------------------------------------------------

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def connect(self, **more):
        return http.Connection(self.address, **more)

    def get(self, target="/", **more):
        return http.get(self.address, target, **more)

    def occupy(self, target):
        """A connection whose request a worker of the serving generation has: it is read as soon
        as it is accepted."""
        before = self.serving()["connections"]
        connection = self.connect()
        connection.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: self.serving()["connections"] > before, "the request is being answered")
        return connection

    def slack(self, seconds):
        """A time bound, relaxed where everything is slow."""
        return seconds * (6 if SANITIZED else 1)
