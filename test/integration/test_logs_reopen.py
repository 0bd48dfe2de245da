# SPDX-License-Identifier: Apache-2.0
"""Rotation: files that are renamed, and `instarctl reopen`, under load, over reloads."""
import json
import os
import threading

from harness import numbered
from harness.env import sized, until
from harness.numbered import Numbered, check_lines

ACCESS = f"CustomLog logs/access {numbered.FORMAT}\n"


def reopen(s):
    done = s.ctl("--json", "reopen")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["ok"] and not answer["errors"], done.stdout
    return answer


def rotate(s, name, number):
    """Renames and reopens. The old file, with its size at the moment of the answer."""
    old = s.path("logs", f"{name}.{number}")
    os.rename(s.path("logs", name), old)
    reopen(s)
    return old, os.path.getsize(old)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_every_line_once_over_reloads_and_rotations(server):
    count = sized(20_000, 1_000_000, 4_000)
    reloads, rotations = sized(5, 30, 3), sized(3, 10, 2)
    s = server(numbered.CONFIG + ACCESS, {"numbered": numbered.MODULE})
    old = []
    pause = 0 if count > 100_000 else 0.002
    with Numbered(s.address, count, pause=pause, connections=4) as load:
        steps = reloads + rotations
        for step in range(steps):
            load.wait_for(count * (step + 1) // (steps + 2))
            if step * rotations // steps != (step + 1) * rotations // steps:
                old.append(rotate(s, "access", len(old)))
            else:
                s.reload()
        assert load.wait() == count
    until(lambda: sum(text_of(path).count("\n") for path, _ in old) +
          s.read("logs/access").count("\n") >= count, "all lines are there")
    assert len(old) == rotations
    for path, size in old:
        assert os.path.getsize(path) == size, f"{path} was written behind the answer of reopen"
    check_lines("".join(text_of(path) for path, _ in old) + s.read("logs/access"), count)
    generations = {line.split()[2] for path, _ in old for line in text_of(path).splitlines()}
    assert len(generations) > 1, generations


def test_a_draining_generation_goes_on_in_the_new_file(server):
    s = server(numbered.CONFIG + 'CustomLog logs/access "%U %{generation}P"\n',
               {"numbered": numbered.MODULE})
    first = s.status()["generation"]
    held = threading.Thread(target=lambda: s.get(f"/hold?until={s.path('logs/held')}"))
    os.chmod(s.path("logs"), 0o777)
    held.start()
    until(lambda: os.path.isdir(s.path("logs/held")), "the request is there")
    s.reload()
    assert s.old_generations(), "the old generation drains"
    old, size = rotate(s, "access", 1)
    error_old, error_size = rotate(s, "error_log", 1)
    os.rmdir(s.path("logs/held"))
    held.join()
    until(lambda: f"/hold {first}" in s.read("logs/access"), "its line is in the new file")
    assert os.path.getsize(old) == size and os.path.getsize(error_old) == error_size
    until(lambda: "has drained" in s.read("logs/error_log"), "the master writes to the new file")


def test_a_respawned_worker_writes_to_the_new_file(server):
    s = server(numbered.CONFIG + ACCESS, {"numbered": numbered.MODULE}, workers=1)
    rotate(s, "access", 1)
    pid = s.worker_pids()[0]
    os.kill(pid, 9)
    until(lambda: [other for other in s.worker_pids() if other != pid], "another worker is there")
    with Numbered(s.address, 10, connections=1) as load:
        load.wait()
    until(lambda: s.read("logs/access").count("\n") == 10, "its lines are in the new file")
    assert not s.read("logs/access.1")


def test_what_cannot_be_opened_is_said_and_the_old_file_stays(server):
    s = server(numbered.CONFIG + f"CustomLog logs/deep/access {numbered.FORMAT}\n",
               {"numbered": numbered.MODULE}, start=False)
    os.mkdir(s.path("logs/deep"))
    s.start()
    os.rename(s.path("logs/deep"), s.path("logs/elsewhere"))
    done = s.ctl("reopen")
    assert done.returncode == 1 and "logs/deep/access: cannot be opened" in done.stderr, done
    with Numbered(s.address, 10, connections=1) as load:
        load.wait()
    until(lambda: s.read("logs/elsewhere/access").count("\n") == 10, "the old file is written on")
    assert "INS01241" in s.log()


def test_two_who_ask_at_once_are_both_answered(server):
    s = server(numbered.CONFIG + ACCESS, {"numbered": numbered.MODULE})
    answers = []
    asking = [threading.Thread(target=lambda: answers.append(reopen(s))) for _ in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert len(answers) == 4 and all(one["reopened"] == 2 for one in answers), answers
