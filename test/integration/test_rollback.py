# SPDX-License-Identifier: Apache-2.0
"""What has served is kept, exactly, and can be made to serve again."""
import fcntl
import json
import os
import random
import subprocess
import time

import pytest

from harness import processes
from harness.env import sized, until
from harness.load import Load
from harness.modules import hello, version_of

ROUTE = "Route GET /hello hello\nMaxKeepAliveRequests 0\n"


def answers(s):
    return version_of(s.get("/hello").body)


def rollback(s, *number):
    done = s.ctl("--json", "rollback", *[str(one) for one in number])
    outcome = json.loads(done.stdout)
    outcome["exit"] = done.returncode
    return outcome


def history(s):
    done = s.ctl("--json", "generations")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["history"]


def serve_versions(s, *versions):
    for version in versions:
        s.write_module("hello", hello(version))
        assert s.reload()["compiled"] == ["hello_module"]


def test_twice_in_a_row_goes_back_twice(server):
    s = server(ROUTE, {"hello": hello(1)})
    serve_versions(s, 2, 3)
    for target in (2, 1):
        outcome = rollback(s)
        assert outcome["exit"] == 0 and outcome["ok"], outcome
        assert outcome["rolled_back_to"] == target and outcome["compiled"] == []
        assert answers(s) == target
    outcome = rollback(s)
    assert outcome["exit"] == 1 and not outcome["ok"]
    assert "kept: 3, 2, 1" in outcome["errors"][0]["message"], outcome
    assert answers(s) == 1 and outcome["generation"] == 5


def test_a_rollback_by_number(server):
    s = server(ROUTE, {"hello": hello(1)})
    serve_versions(s, 2, 3)
    assert rollback(s, 1)["ok"] and answers(s) == 1
    assert rollback(s, 3)["ok"] and answers(s) == 3
    assert rollback(s, 4)["ok"] and answers(s) == 1, "4 was a rollback to 1"
    outcome = rollback(s, 77)
    assert outcome["exit"] == 1 and "generation 77" in outcome["errors"][0]["message"]
    assert s.ctl("rollback", "seven").returncode == 2


def test_a_reload_reads_the_disk_again(server):
    s = server(ROUTE, {"hello": hello(1)})
    serve_versions(s, 2)
    assert s.status()["rollback_of"] is None
    assert rollback(s)["ok"]
    status = s.status()
    assert status["rollback_of"] == 1
    assert "the config on disk is not what serves" in s.ctl("status").stdout
    s.reload()
    assert answers(s) == 2 and s.status()["rollback_of"] is None
    # What served before is the manifest that was rolled back to.
    assert rollback(s)["rolled_back_to"] == 1


def test_a_reload_that_changed_nothing_is_no_step_back(server):
    s = server(ROUTE, {"hello": hello(1)})
    serve_versions(s, 2)
    s.reload()
    s.reload()
    assert rollback(s)["rolled_back_to"] == 1
    assert answers(s) == 1


def test_the_config_comes_back_without_a_look_at_the_disk(server):
    """Included files, a folder, <IfFile>, ${VAR} of the environment, -c and -D."""
    s = server("", {"hello": hello(1)}, start=False)
    os.makedirs(s.path("conf.d"))
    s.write("conf.d/a.conf", "Route GET /a hello\n")
    s.write("flag", "")
    s.write_config("Include conf.d/*.conf\n<IfFile flag>\nRoute GET /flag hello\n</IfFile>\n"
                   "<IfDefine GIVEN>\nRoute GET /given hello\n</IfDefine>\n"
                   "Route GET /${STORE_WORD} hello\n")
    os.environ["STORE_WORD"] = "word"
    try:
        s.start("-DGIVEN", "-c", "Route GET /line hello")
    finally:
        del os.environ["STORE_WORD"]
    paths = ("/a", "/flag", "/given", "/word", "/line")
    assert [s.get(path).status for path in paths] == [200] * 5
    s.write_config("Route GET /other hello\n")
    os.remove(s.path("conf.d/a.conf"))
    os.remove(s.path("flag"))
    s.reload()
    assert [s.get(path).status for path in ("/other",) + paths] == [200, 404, 404, 404, 404, 200]
    assert rollback(s)["ok"]
    assert [s.get(path).status for path in paths] == [200] * 5
    assert s.get("/other").status == 404
    changed = [one for one in history(s) if one["generation"] == 2][0]["changed"]
    assert "instar.conf" in changed and "conf.d/a.conf" in changed


def test_what_is_kept_survives_the_server(server):
    s = server(ROUTE, {"hello": hello(1)})
    serve_versions(s, 2)
    s.stop()
    s.start()
    assert s.status()["generation"] == 3 and answers(s) == 2
    assert [one["what"] for one in history(s)] == ["start", "reload", "start"]
    assert rollback(s)["rolled_back_to"] == 1 and answers(s) == 1
    # A damaged file is not believed, and does not stop a start.
    s.stop()
    for name in os.listdir(s.path("run/generations")):
        with open(s.path("run/generations", name), "r+b") as file:
            file.truncate(os.path.getsize(file.name) // 2)
    s.start()
    assert answers(s) == 2 and "is damaged" in s.log()
    assert rollback(s)["exit"] == 1


def test_a_store_that_cannot_be_written_stops_nothing(server):
    s = server(ROUTE, {"hello": hello(1)}, start=False)
    s.write("run/generations", "a file where the folder should be")
    s.start()
    serve_versions(s, 2)
    assert answers(s) == 2
    assert "what serves could not be written down: Not a directory" in s.log()
    assert rollback(s)["exit"] == 1
    os.remove(s.path("run/generations"))
    serve_versions(s, 3, 4)
    assert rollback(s)["rolled_back_to"] == 3 and answers(s) == 3
    s.stop()
    s.start("-c", "StartFrom last")
    assert answers(s) == 3


def test_objects_stay_for_as_long_as_a_manifest_is_kept(server, tmp_path):
    os.chmod(tmp_path, 0o755)
    build = tmp_path / "build"
    s = server(ROUTE + "KeepGenerations 2\n", {"hello": hello(1)}, build=str(build))
    serve_versions(s, 2, 3)
    until(lambda: not s.old_generations(), "nothing of 1 and 2 lives")
    for name in os.listdir(build):
        os.utime(build / name, (1, 1))
    serve_versions(s, 4)
    # Whoever waits for the outcome has it before the master tidies up.
    until(lambda: len([name for name in os.listdir(build) if name.endswith(".so")]) == 2,
          "two objects are kept")
    until(lambda: sorted(name for name in os.listdir(s.path("run/generations"))
                         if name.endswith(".manifest")) == ["3.manifest", "4.manifest"],
          "two manifests are kept")
    assert rollback(s)["rolled_back_to"] == 3 and answers(s) == 3
    outcome = rollback(s, 1)
    assert outcome["exit"] == 1 and "KeepGenerations" in outcome["errors"][0]["message"]
    # One that is gone by another's hand is named.
    for name in os.listdir(build):
        if name.endswith(".so"):
            os.remove(build / name)
    outcome = rollback(s, 4)
    assert outcome["exit"] == 1 and "hello_module is gone" in outcome["errors"][0]["message"]
    assert answers(s) == 3


def test_generations_tell_what_became_of_each(server):
    s = server(ROUTE, {"hello": hello(1)})
    s.write_module("hello", hello(2))
    s.reload()
    s.write_module("hello", "broken")
    assert s.graceful()["exit"] == 1
    rollback(s)
    until(lambda: not s.old_generations(), "the old one has drained")
    told = [(one["generation"], one["what"], one["outcome"], one["stage"]) for one in history(s)]
    assert told == [(3, "rollback", "serving", None), (None, "reload", "failed", "build"),
                    (2, "reload", "rolled back", None), (1, "start", "ended", None)]
    text = s.ctl("generations").stdout
    assert "failed at stage build" in text and "compiled hello_module" in text, text
    # Failed reloads are bounded too.
    for _ in range(12):
        assert s.graceful()["exit"] == 1
    assert len([one for one in history(s) if one["outcome"] == "failed"]) == 10


def test_rollbacks_under_load(server):
    s = server(ROUTE, {"hello": hello(1)})
    serve_versions(s, 2)
    master = s.pid
    with Load(s.address, fresh=1, kept=2) as load:
        for i in range(sized(4, 20)):
            assert rollback(s, i % 2 + 1)["ok"]
            load.wait_for(10)
    load.assert_unbroken(40)
    assert s.pid == master


# ---- Starting ------------------------------------------------------------------


def start_again(s, *arguments):
    s.process.wait()
    s.process = None
    return s.start(*arguments)


def test_start_from_last(server):
    s = server(ROUTE + "StartFrom last\n", {"hello": hello(1)})
    serve_versions(s, 2)
    # One that the parser refuses, and one that only the generation can.
    for broken in ("</Location>\n", "this is no config\n"):
        s.write_config(broken)
        s.remember()
        processes.kill(s.pid)
        start_again(s)
        assert answers(s) == 2
    assert "the config and modules of generation 2 (StartFrom last)" in s.log()
    assert "the config on disk is not what serves" in s.ctl("status").stdout
    assert s.graceful()["exit"] == 1 and answers(s) == 2
    # Source code that no longer compiles does not matter either.
    s.write_config(ROUTE + "StartFrom last\n")
    s.write_module("hello", "broken")
    s.stop()
    s.start()
    assert answers(s) == 2
    # With nothing in the store it is the config on disk.
    s.stop()
    for name in os.listdir(s.path("run/generations")):
        os.remove(s.path("run/generations", name))
    s.write_module("hello", hello(5))
    s.start()
    assert answers(s) == 5


def test_who_asked_is_told_when_it_is_written_down(server):
    """So that a kill -9 behind it does not bring back what served before."""
    s = server(ROUTE + "StartFrom last\n", {"hello": hello(1)})
    s.write_module("hello", hello(2))
    folder = os.open(s.path("run/generations"), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)       # as a disk that is slow
    reload = subprocess.Popen(s.ctl_command("--json", "graceful"), stdout=subprocess.PIPE)
    until(lambda: answers(s) == 2, "the new one serves")
    time.sleep(1)
    os.close(folder)
    outcome = json.loads(reload.communicate(timeout=60)[0])
    assert outcome["ok"] and outcome["ms"] >= 900, outcome
    processes.kill(s.pid)
    s.process.wait()
    s.write_module("hello", "nonsense")
    s.start()
    assert answers(s) == 2


def test_start_from_config_refuses_a_bad_one(server):
    s = server(ROUTE, {"hello": hello(1)})
    s.stop()
    s.write_config("this is no config\n")
    assert s.run().returncode == 1
    # The command line may ask for what served last.
    s.start("-c", "StartFrom last")
    assert answers(s) == 1


def test_a_master_killed_at_any_moment_comes_up_again(server):
    """With what served last, or with the config on disk; never with neither."""
    chance = random.Random(7)
    for source in ("last", "config"):
        s = server(ROUTE + f"StartFrom {source}\n", {"hello": hello(1)})
        version = 1
        for _ in range(sized(4, 50, 2)):
            version += 1
            s.write_module("hello", hello(version))
            s.remember()
            asked = s.spawn(s.ctl_command("graceful" if chance.random() < 0.5 else "rollback"))
            time.sleep(chance.random() * 0.15)
            s.remember()
            processes.kill(s.pid)
            start_again(s)
            asked.wait()
            assert answers(s) in range(1, version + 1)
        assert "is damaged" not in s.log() and "holds no number" not in s.log()
