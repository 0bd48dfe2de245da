# SPDX-License-Identifier: Apache-2.0
"""ixs: the scaffold it makes passes its own test, and check says what is wrong where."""
import os
import subprocess

import pytest

from harness import env

IXS = os.path.join(env.PREFIX, "bin", "ixs")
GOOD = "#include <instar.h>\nINS_MODULE(good_module) = { INS_MODULE_HEADER };\n"


def ixs(*arguments, folder=None):
    return subprocess.run([IXS, *arguments], capture_output=True, text=True, cwd=folder,
                          stdin=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ixs")
    # The compiler's user must be able to enter it.
    for parent in (path, *path.parents[:2]):
        os.chmod(parent, 0o755)
    return path


def test_new_makes_a_module_that_passes_its_test(folder):
    made = ixs("new", "first_try", folder=folder)
    assert made.returncode == 0, made.stderr
    test = subprocess.run([str(folder / "first_try" / "test")], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert test.returncode == 0, test.stdout + test.stderr
    assert test.stdout.count("ok: ") == 2


def test_new_does_not_overwrite(folder):
    assert ixs("new", "twice", folder=folder).returncode == 0
    assert ixs("new", "twice", folder=folder).returncode == 1


@pytest.mark.parametrize("name", ["", "Upper", "9lives", "a-b", "a b", "../up"])
def test_new_refuses_names_that_are_no_identifiers(folder, name):
    assert ixs("new", name, folder=folder).returncode == 2
    assert not list(folder.iterdir())


def test_check_accepts_a_module(folder):
    (folder / "good.c").write_text(GOOD)
    done = ixs("check", "good.c", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "good_module compiles and loads" in done.stdout


def test_check_accepts_a_folder_with_a_blank_in_its_name(folder):
    (folder / "a module").mkdir()
    (folder / "a module" / "good.c").write_text(GOOD)
    done = ixs("check", "a module", folder=folder)
    assert done.returncode == 0, done.stderr


def test_check_names_file_and_line(folder):
    (folder / "bad.c").write_text(GOOD + "int broken(void) { return missing; }\n")
    done = ixs("check", "bad.c", folder=folder)
    assert done.returncode == 1
    assert "bad.c:3:" in done.stderr + done.stdout


def test_check_passes_flags_and_libraries(folder):
    (folder / "flags.c").write_text(GOOD + "int value(void) { return VALUE; }\n")
    assert ixs("check", "flags.c", folder=folder).returncode == 1
    done = ixs("check", "flags.c", "--", "-DVALUE=7", "-lm", folder=folder)
    assert done.returncode == 0, done.stderr


def test_check_wants_a_module(folder):
    (folder / "none.c").write_text("int nothing;\n")
    done = ixs("check", "none.c", folder=folder)
    assert done.returncode == 1 and "INS_MODULE" in done.stderr


def test_query_tells_the_paths():
    assert ixs("-q", "PREFIX").stdout == env.PREFIX + "\n"
    everything = dict(line.split("=", 1) for line in ixs("-q").stdout.splitlines())
    assert os.path.exists(os.path.join(everything["INCLUDEDIR"], "instar.h"))
    assert os.access(everything["INSTAR"], os.X_OK)
    assert ixs("-q", "NOTHING").returncode == 2


def test_usage_is_an_exit_code_of_its_own():
    assert ixs().returncode == 2
    assert ixs("dance").returncode == 2
