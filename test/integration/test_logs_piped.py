# SPDX-License-Identifier: Apache-2.0
"""Logs that a command reads."""
import json
import os
import signal
import sys
import time

from harness import numbered, processes
from harness.env import sized, until
from harness.http import Broken
from harness.modules import PROBE, PROBE_ROUTES
from harness.numbered import Numbered, check_lines

# Moves its input to a file within the kernel: whenever it is killed, each byte is in the pipe or in
# the file. Notes who it was, and that its input ended. It begins when the file OUT.go is there.
TAKE = r"""
import os, sys, time
name = sys.argv[1]
out = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644)
os.lseek(out, 0, os.SEEK_END)
with open(name + ".pids", "a") as pids:
    print(os.getpid(), os.getppid(), os.getuid(), os.getcwd(), file=pids)
while len(sys.argv) > 2 and not os.path.exists(name + ".go"):
    time.sleep(0.02)
while os.splice(0, out, 1 << 16) > 0:
    pass
with open(name + ".ended", "a") as ended:
    print(os.getpid(), file=ended)
"""


def take(s, name, waits=False):
    """The command line of such a command that writes logs/NAME."""
    s.write("take.py", TAKE)
    return f"{sys.executable} {s.root}/take.py {s.path('logs', name)}{' wait' if waits else ''}"


def runs(s, name):
    """(pid, parent, uid, folder) of each that has run, oldest first."""
    return [(int(pid), int(parent), int(uid), folder) for pid, parent, uid, folder in
            (line.split() for line in s.read(f"logs/{name}.pids").splitlines())]


def ended(s, name):
    return [int(line) for line in s.read(f"logs/{name}.ended").split()]


def piped(server, start=True, more="", fmt=numbered.FORMAT, waits=False, **options):
    s = server(numbered.CONFIG, {"numbered": numbered.MODULE}, start=False, **options)
    s.write_config(numbered.CONFIG + f'CustomLog "|{take(s, "taken", waits)}" {fmt}\n' + more)
    return s.start() if start else s


def test_it_is_a_child_of_the_master_and_outlives_reloads(server):
    s = piped(server)
    pid, parent, uid, folder = until(lambda: runs(s, "taken"), "it runs")[0]
    assert parent == s.pid and uid == os.getuid() and folder == s.root
    for first in (0, 10, 20):
        with Numbered(s.address, 10, first=first, connections=1) as load:
            load.wait()
        s.reload()
    until(lambda: s.read("logs/taken").count("\n") == 30, "all lines are there")
    check_lines(s.read("logs/taken"), 30)
    assert len(runs(s, "taken")) == 1 and processes.alive(pid)
    s.stop()
    assert ended(s, "taken") == [pid], "it read all and met the end of its input"


def test_one_that_is_removed_meets_the_end_when_nobody_writes_any_more(server):
    s = piped(server)
    with s.connect() as connection:
        os.chmod(s.path("logs"), 0o777)
        held = s.path("logs/held")
        connection.send(f"GET /hold?until={held} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: os.path.isdir(held), "the request is there")
        s.write_config(numbered.CONFIG)
        s.reload()
        assert not ended(s, "taken"), "the old generation still has a line to write"
        os.rmdir(held)
        assert connection.answer().status == 200
    until(lambda: ended(s, "taken"), "it has ended")
    assert s.read("logs/taken").count("\n") == 1
    until(lambda: not processes.alive(runs(s, "taken")[0][0]), "it was reaped")


def test_no_line_is_lost_or_torn_when_it_is_killed(server):
    count, kills = sized(20_000, 400_000, 6_000), sized(3, 10, 2)
    s = piped(server)
    with Numbered(s.address, count, pause=0.002 if count <= 20_000 else 0.01, connections=4) as load:
        for number in range(kills):
            load.wait_for(count * (number + 1) // (kills + 2))
            until(lambda: len(runs(s, "taken")) == number + 1, "it runs")
            os.kill(runs(s, "taken")[-1][0], signal.SIGKILL)
        load.wait()
    until(lambda: s.read("logs/taken").count("\n") >= count, "all lines are there", 60)
    check_lines(s.read("logs/taken"), count)
    until(lambda: len(runs(s, "taken")) == kills + 1, "it was started again each time")
    assert s.status()["counters"]["log_lost"] == 0
    assert s.log().count("INS01233") == kills


def test_lines_wait_while_it_sleeps_and_what_does_not_fit_is_counted(server):
    count = 2_000
    s = piped(server, waits=True, more="LogBufferSize 64K\n", workers=1,
              fmt=f'"%q %s %{{generation}}P end {"x" * 2000}"')
    with Numbered(s.address, count, connections=2) as load:
        assert load.wait() == count, "requests do not wait for it"
    lost = until(lambda: s.status()["counters"]["log_lost"], "the loss is counted")
    assert 0 < lost < count - 50, "the pipe and the buffers hold some"
    assert "INS02203" in s.log()
    s.write("logs/taken.go", "")
    until(lambda: s.read("logs/taken").count("\n") == count - lost, "what waited has come")
    until(lambda: f"is written again; {lost} lines were lost" in s.log(), "its end is said")
    check_lines(s.read("logs/taken").replace(" " + "x" * 2000, ""), count, lost)


def test_a_generation_does_not_end_before_its_lines_are_out(server):
    s = piped(server, waits=True, workers=1, more="LogBufferSize 4M\n",
              fmt=f'"%q %s %{{generation}}P end {"x" * 2000}"')
    count = 800  # more than the pipe takes, less than the buffers
    with Numbered(s.address, count, connections=2) as load:
        load.wait()
    s.reload()
    time.sleep(1.5)  # longer than a worker that is told to stop would try
    assert s.old_generations(), "it waits for the command"
    s.write("logs/taken.go", "")
    until(lambda: not s.old_generations(), "it has ended")
    until(lambda: s.read("logs/taken").count("\n") == count, "all lines are there")
    check_lines(s.read("logs/taken").replace(" " + "x" * 2000, ""), count)


def test_a_shell_and_a_program_that_is_not_there(server):
    s = server(numbered.CONFIG, {"numbered": numbered.MODULE}, start=False)
    s.write_config(numbered.CONFIG +
                   f'CustomLog "|$cat | tr a-z A-Z >>logs/upper" {numbered.FORMAT}\n')
    s.start()
    s.get("/ok?n=1")
    s.config += 'CustomLog "||/nowhere/logger x" common\n'
    s.write_config()
    for verb in ("configtest", "graceful"):
        outcome = s.graceful(verb)
        assert outcome["exit"] == 1 and outcome["stage"] == "start", outcome
        error = outcome["errors"][0]
        assert "/nowhere/logger" in error["message"] and "cannot be run: No such file" in error["message"]
        assert error["line"] == s.line_of("instar.conf", "/nowhere")
    s.stop()
    assert s.read("logs/upper").startswith("?N=1 200 "), s.read("logs/upper")


def test_one_process_alone_can_have_one(server):
    s = piped(server, start=False)
    s.start("-X", wait=False)

    def answers():
        try:
            return s.get("/ok?n=0").status == 200
        except Broken:
            return False
    until(answers, "it serves")
    s.stop()
    until(lambda: ended(s, "taken"), "the command has met the end of its input")
    check_lines(s.read("logs/taken"), 1)


def test_an_error_log_can_go_to_a_command(server):
    s = server(PROBE_ROUTES, {"probe": PROBE}, start=False)
    s.write("instar.conf", s.config_text().replace("ErrorLog logs/error_log",
                                                   f'ErrorLog "|{take(s, "taken")}"'))
    s.start()
    s.get("/say?words=aloud")
    until(lambda: "aloud" in s.read("logs/taken"), "it is there")
    assert s.ctl("graceful").returncode == 0
    s.stop()
    text = s.read("logs/taken")
    assert "stopping now" in text and "the server has stopped" in text
    assert len(runs(s, "taken")) == 1 and len(ended(s, "taken")) == 1


def test_long_lines_of_several_workers_stay_whole(server):
    s = piped(server, fmt="json", workers=2)
    rest = f"User-Agent: {'agent%22 ' * 600}\r\nReferer: http://a/{'r' * 3000}\r\n"
    with Numbered(s.address, 600, connections=4, batch=5, rest=rest) as load:
        load.wait()
    until(lambda: s.read("logs/taken").count("\n") == 600, "all lines are there")
    for line in s.read("logs/taken").splitlines():
        entry = json.loads(line)
        assert len(line) < 4096 and entry["status"] == 200
        assert entry["user_agent"].endswith("...") and entry["referer"].endswith("...")
