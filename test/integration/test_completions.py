# SPDX-License-Identifier: Apache-2.0
"""Completion in shells: bash as it is installed; fish and zsh where they are there."""
import os
import re
import shutil
import subprocess

import pytest

from harness.env import INSTAR, INSTARCTL, PREFIX
from harness.modules import hello

IXS = os.path.join(PREFIX, "bin", "ixs")


def installed(*names):
    return os.path.join(PREFIX, "share", *names)


def verbs():
    done = subprocess.run([INSTARCTL, "--verbs"], capture_output=True, text=True, check=True)
    return dict(line.split("\t") for line in done.stdout.splitlines())


def bash(program, *words):
    """What bash offers for the last of words."""
    script = (f'source "{installed("bash-completion", "completions", os.path.basename(program))}"\n'
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
              f'_{os.path.basename(program)} && printf "%s\\n" "${{COMPREPLY[@]}}"\n')
    done = subprocess.run(["bash", "-u", "-c", script, "bash", program, *words],
                          capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def fish(program, line):
    name = os.path.basename(program)
    script = (f'set PATH {os.path.dirname(program)} $PATH; '
              f'source {installed("fish", "vendor_completions.d", name + ".fish")}; '
              f'complete -C "{name} {line}"')
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True,
                          check=True)
    assert done.stderr == "", done.stderr
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def test_help_tells_every_verb():
    told = subprocess.run([INSTARCTL, "--help"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  ([a-z][a-z-]+)", told, re.M) == list(verbs())
    assert all(verbs().values())


def test_the_manual_tells_every_verb():
    with open(installed("man", "man8", "instarctl.8"), encoding="utf-8") as text:
        told = set(re.findall(r"^\.It Cm ([a-z-]+)", text.read(), re.M))
    assert told == set(verbs())


def test_bash_completes_every_verb():
    assert bash(INSTARCTL, "") == list(verbs())
    assert bash(INSTARCTL, "gra") == ["graceful", "graceful-stop"]
    assert bash(INSTARCTL, "--json", "-f", "x.conf", "sta") == ["start", "status"]


def test_bash_completes_options_of_the_verb():
    assert bash(INSTARCTL, "top", "-") == ["-n", "-i"]
    assert bash(INSTARCTL, "routes", "/x", "--m") == ["--method"]
    assert "DELETE" in bash(INSTARCTL, "routes", "/x", "--method", "")
    assert bash(INSTARCTL, "status", "") == []
    assert bash(INSTARCTL, "top", "-n", "") == []


def test_bash_asks_the_server_for_logs_and_generations(server):
    s = server("CustomLog logs/access_log \"%U\"\nRoute GET /hello hello\n", {"hello": hello(1)})
    where = ["-d", s.root, "-f", "instar.conf"]
    assert bash(INSTARCTL, *where, "tail", "") == [
        "error", "access", s.path("logs/error_log"), s.path("logs/access_log")]
    assert str(s.status()["generation"]) in bash(INSTARCTL, *where, "rollback", "")


def test_bash_completes_the_servers_own_options():
    told = subprocess.run([INSTAR, "-h"], capture_output=True, text=True, check=True).stdout
    assert sorted(bash(INSTAR, "-")) == sorted(set(re.findall(r"^  (-\w)", told, re.M)))
    known = re.search(r"\[-k ([a-z|-]+)\]", told)[1].split("|")
    assert sorted(bash(INSTAR, "-k", "")) == sorted(known)
    assert bash(INSTAR, "-k", "graceful-") == ["graceful-stop"]


def test_bash_completes_ixs():
    assert bash(IXS, "") == ["new", "check", "-q", "-h"]
    assert "MODULESDIR" in bash(IXS, "-q", "MOD")


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is no dependency of the tests")
def test_fish_completes_the_same(server):
    assert sorted(fish(INSTARCTL, "")) == sorted(verbs())
    assert sorted(fish(INSTARCTL, "gra")) == ["graceful", "graceful-stop"]
    assert "-n" in fish(INSTARCTL, "top -")
    assert "graceful-stop" in fish(INSTAR, "-k ")
    s = server("Route GET /hello hello\n", {"hello": hello(1)})
    assert s.path("logs/error_log") in fish(INSTARCTL, f"-d {s.root} -f instar.conf tail ")


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is no dependency of the tests")
@pytest.mark.parametrize("name", ["_instar", "_instarctl", "_ixs"])
def test_zsh_can_read_its_files(name):
    path = installed("zsh", "site-functions", name)
    done = subprocess.run(["zsh", "-n", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    with open(path, encoding="utf-8") as text:
        assert text.readline() == f"#compdef {name[1:]}\n"
