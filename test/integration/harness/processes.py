# SPDX-License-Identifier: Apache-2.0
"""Processes as /proc shows them. The test runner makes itself a subreaper, so that whatever a
server leaves behind becomes its child and is found."""
import ctypes
import os
import signal

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stat_of(pid):
    """(state, parent, process group), or None where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rsplit(b") ", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields[0].decode(), int(fields[1]), int(fields[2])


def alive(pid):
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """Living children."""
    found = []
    for other in all_pids():
        stat = stat_of(other)
        if stat and stat[1] == pid and stat[0] not in "ZX":
            found.append(other)
    return found


def descendants(pid):
    parents = {}
    for other in all_pids():
        stat = stat_of(other)
        if stat and stat[0] not in "ZX":
            parents.setdefault(stat[1], []).append(other)
    found, queue = [], [pid]
    while queue:
        for child in parents.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def title(pid):
    """The command line, which roles replace by their name."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def reap(pids):
    """Takes away the zombies among pids that became our children."""
    for pid in pids:
        stat = stat_of(pid)
        if stat and stat[0] == "Z" and stat[1] == os.getpid():
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def gone(pid):
    reap([pid])
    return not alive(pid)


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def rss(pid):
    """Resident bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    return 0


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
