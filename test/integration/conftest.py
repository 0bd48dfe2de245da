# SPDX-License-Identifier: Apache-2.0
"""Fixtures. `server` makes servers that are stopped and looked over after the test."""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness import certs, env, processes  # noqa: E402
from harness.server import Server  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with INSTAR_LONG")
    if not os.access(env.INSTAR, os.X_OK):
        pytest.exit(f"{env.INSTAR} is not there: name the installation by INSTAR_PREFIX", 2)
    processes.become_subreaper()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not env.LONG:
            item.add_marker(pytest.mark.skip(reason="only with INSTAR_LONG=1"))


@pytest.fixture(scope="session")
def build_directory():
    """Shared by the servers: what is compiled once need not be compiled again."""
    folder = tempfile.mkdtemp(prefix="instar-builds-", dir="/tmp")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Maker:
    """Makes servers and looks them over in the end."""

    def __init__(self, build):
        self.build = build
        self.servers = []

    def __call__(self, config="", modules=None, start=True, build=None, **more):
        server = Server(build or self.build, config, modules, **more)
        self.servers.append(server)
        return server.start() if start else server

    def finish(self):
        wrong = []
        for server in self.servers:
            log = server.log()
            found = server.destroy()
            if found:
                wrong += found + [log[-3000:], f"(see {server.root})"]
        assert not wrong, "\n".join(wrong)


@pytest.fixture
def server(build_directory):
    maker = Maker(build_directory)
    yield maker
    maker.finish()


@pytest.fixture(scope="module")
def shared(build_directory):
    """As server, for all tests of a file."""
    maker = Maker(build_directory)
    yield maker
    maker.finish()


@pytest.fixture(scope="session")
def authority():
    folder = tempfile.mkdtemp(prefix="instar-ca-", dir="/tmp")
    ca = certs.Authority(folder)
    ca.issue("localhost", "localhost")
    ca.issue("a", "a.example")
    ca.issue("b", "b.example", rsa=True)
    ca.issue("client", "Zoe")
    yield ca
    shutil.rmtree(folder, ignore_errors=True)
