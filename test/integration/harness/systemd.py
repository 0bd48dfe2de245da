# SPDX-License-Identifier: Apache-2.0
"""Two service managers: one that only speaks sd_notify(3) and sd_listen_fds(3), as their manual
pages have it, and the real one in a namespace of its own."""
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from . import processes
from .env import PATIENCE, until

SYSTEMD = "/usr/lib/systemd/systemd"


class Notified:
    """A notification socket, and what came."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = path if path.startswith("@") else os.path.abspath(path)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.settimeout(0.1)
        self.messages = []      # (time, {name: value})
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.ended.is_set():
            try:
                text = self.socket.recv(65536).decode()
            except socket.timeout:
                continue
            fields = dict(line.split("=", 1) for line in text.splitlines())
            self.messages.append((time.monotonic(), fields))

    def states(self):
        """READY, RELOADING and STOPPING, in order."""
        return [name for _, fields in list(self.messages)
                for name in ("READY", "RELOADING", "STOPPING") if fields.get(name) == "1"]

    def status(self):
        return [fields["STATUS"] for _, fields in list(self.messages) if "STATUS" in fields][-1]

    def count(self, name):
        return sum(name in fields for _, fields in list(self.messages))

    def last(self, name):
        return [fields[name] for _, fields in list(self.messages) if name in fields][-1]

    def until_states(self, states):
        until(lambda: self.states() == states, f"{states}, not {self.states()}")

    def close(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()


def launcher(sockets, names, environment, pid="self"):
    """Shell words that put sockets to 3, 4 ... and exec what follows, as a manager's child does."""
    passed = [one.fileno() for one in sockets]
    script = ("import os, sys\n"
              f"passed = {passed!r}\n"
              "high = [os.dup(fd) for fd in passed]\n"
              "for i, fd in enumerate(passed): os.close(fd)\n"
              "high = [__import__('fcntl').fcntl(fd, 0, 100) for fd in high]\n"
              "for i, fd in enumerate(high): os.dup2(fd, 3 + i)\n"
              f"os.environ.update({environment!r})\n"
              "if passed:\n"
              "    os.environ['LISTEN_FDS'] = str(len(passed))\n"
              f"    os.environ['LISTEN_FDNAMES'] = {':'.join(names)!r}\n"
              f"    os.environ['LISTEN_PID'] = str(os.getpid()) if {pid!r} == 'self' else {pid!r}\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    return ["/usr/bin/python3", "-c", script]


# ---- The real one ------------------------------------------------------------

# A group of its own, as the root of what it sees: it touches no other process.
BOOT = """#!/bin/sh
set -e
if [ "${{1-}}" != inside ]; then
    mkdir {group}
    echo 0 >{group}/cgroup.procs
    exec unshare --cgroup "$0" inside
fi
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd
if [ -d /sys/fs/cgroup/systemd ]; then
    umount -R /sys/fs/cgroup
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH={folder}/units \\
    SYSTEMD_LOG_TARGET=console {systemd} --system --unit=test.target --log-target=console </dev/null
"""
TARGETS = ("test", "sysinit", "basic", "sockets", "shutdown", "network-online", "nss-lookup",
           "multi-user")
TARGET = "[Unit]\nDefaultDependencies=no\n"


class Systemd:
    """A systemd that is the first process of a pid namespace, with units of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="instar-systemd-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        os.mkdir(os.path.join(self.folder, "units"))
        for name in TARGETS:
            self.unit(name + ".target", TARGET)
        top = "/sys/fs/cgroup/systemd"
        self.group = os.path.join(top if os.path.isdir(top) else "/sys/fs/cgroup",
                                  os.path.basename(self.folder))
        boot = os.path.join(self.folder, "boot")
        with open(boot, "w", encoding="ascii") as out:
            out.write(BOOT.format(folder=self.folder, systemd=SYSTEMD, group=self.group))
        os.chmod(boot, 0o755)
        self.log = open(os.path.join(self.folder, "log"), "w+b")
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc", boot],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def unit(self, name, text):
        path = os.path.join(self.folder, "units", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def first(self):
        """systemd's pid as we see it; None before it is there."""
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
                pid = int(children.read().split()[0])
            with open(f"/proc/{pid}/comm") as comm:
                return pid if comm.read().strip() == "systemd" else None
        except (OSError, IndexError):
            return None

    def run(self, *command, timeout=PATIENCE * 2):
        return subprocess.run(["nsenter", "-t", str(self.first()), "-m", "-p", *command],
                              capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def ctl(self, *arguments):
        return self.run("systemctl", "--no-pager", *arguments)

    def show(self, unit, name):
        return self.ctl("show", "-P", name, unit).stdout.strip()

    def up(self):
        """Whether it runs; False where namespaces are not to be had."""
        def settled():
            if self.process.poll() is not None:
                return "ended"
            if self.first() and self.ctl("is-system-running").stdout.strip() in ("running",
                                                                                 "degraded"):
                return "runs"
            return None
        try:
            return until(settled, "systemd runs", 15, 0.05) == "runs"
        except AssertionError:
            return False

    @staticmethod
    def _remove(folder):
        try:
            os.rmdir(folder)
        except OSError:
            return not os.path.exists(folder)
        return True

    def close(self):
        first = self.first()
        processes.kill(first if first else self.process.pid)    # and all that it started with it
        self.process.wait()
        self.log.close()
        for folder, _, _ in os.walk(self.group, topdown=False):
            until(lambda: self._remove(folder), "its control groups are empty")
        shutil.rmtree(self.folder, ignore_errors=True)
