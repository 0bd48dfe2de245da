# SPDX-License-Identifier: Apache-2.0
"""Session tickets by openssl s_client: they outlive reloads and workers, and end with their keys."""
import json
import os
import signal

import pytest

from harness import tls
from harness.env import sized, until

VERSIONS = ["-tls1_2", "-tls1_3"]

PLAIN = """
SSLCertificateFile "{ca}/localhost.pem"
SSLCertificateKeyFile "{ca}/localhost.key"
"""

HOSTS = PLAIN + """
<VirtualHost *:{tls}>
    ServerName localhost
    SSLEngine On
</VirtualHost>
<VirtualHost *:{tls}>
    ServerName a.example
    SSLEngine On
    SSLCertificateFile "{ca}/a.pem"
    SSLCertificateKeyFile "{ca}/a.key"
</VirtualHost>
<VirtualHost *:{tls}>
    ServerName locked.example
    SSLEngine On
    SSLCACertificateFile "{ca}/ca.pem"
    SSLVerifyClient optional
</VirtualHost>
"""


class Client:
    """One client with one session, which it renews whenever the server gives a new ticket."""

    def __init__(self, s, folder, version, name="localhost"):
        self.s, self.version, self.name = s, version, name
        self.file = str(folder / f"session{version}-{name}")

    def connect(self, keep=True, name=None):
        """Says whether the session was resumed. keep: also a new ticket takes the old one's place."""
        known = ["-sess_in", self.file] if os.path.exists(self.file) else []
        save = ["-sess_out", self.file] if keep else []
        name = name or self.name
        text = tls.s_client(self.s, self.version, "-servername", name, *known, *save,
                            send=tls.request(name))
        assert "HTTP/1.1 200" in text, text[-1500:]
        return "Reused, " in text


def rotate(s):
    done = s.ctl("rotate-ticket-keys")
    assert done.returncode == 0, done.stderr
    assert "rotated" in done.stdout


def test_a_client_resumes_across_reloads_and_workers(server, authority, tmp_path):
    s = tls.make(server, authority, PLAIN, workers=3)
    clients = [Client(s, tmp_path, version) for version in VERSIONS]
    assert not any(client.connect() for client in clients)
    pids = set()
    for _ in range(sized(12, 50, 5)):
        s.reload()
        pids.update(s.worker_pids())
        for client in clients:
            assert client.connect(), s.log()[-2000:]
    assert len(pids) >= 3 * sized(12, 50, 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_respawned_worker_knows_the_keys(server, authority, tmp_path, version):
    s = tls.make(server, authority, PLAIN, workers=1)
    client = Client(s, tmp_path, version)
    client.connect()
    rotate(s)
    old = s.worker_pids()
    os.kill(old[0], signal.SIGKILL)
    until(lambda: s.worker_pids() and s.worker_pids() != old, "another worker is there")
    assert client.connect()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_ends_with_the_second_rotation(server, authority, tmp_path, version):
    s = tls.make(server, authority, PLAIN)
    client = Client(s, tmp_path, version)
    assert not client.connect()
    assert client.connect(keep=False)
    rotate(s)
    assert client.connect(keep=False)
    rotate(s)
    assert not client.connect(keep=False)
    # A full handshake gave a new one meanwhile, had it been kept.
    assert not client.connect()
    assert client.connect()


def test_a_ticket_of_the_last_key_is_renewed(server, authority, tmp_path):
    s = tls.make(server, authority, PLAIN)
    client = Client(s, tmp_path, "-tls1_3")
    client.connect()
    for _ in range(4):
        rotate(s)
        assert client.connect(), "each resumption gives a ticket of the new key"


def test_tls_1_2_renews_only_what_is_old(server, authority, tmp_path):
    """s_client does not save a renewed TLS 1.2 ticket, but shows it."""
    s = tls.make(server, authority, PLAIN)
    client = Client(s, tmp_path, "-tls1_2")
    client.connect()

    def renewed():
        text = tls.s_client(s, "-tls1_2", "-servername", "localhost", "-sess_in", client.file, "-msg")
        assert "Reused, " in text
        return "NewSessionTicket" in text

    assert not renewed()
    rotate(s)
    assert renewed()


def test_keys_rotate_by_themselves(server, authority, tmp_path):
    s = tls.make(server, authority, PLAIN + "SSLSessionTicketKeyRotation 1s\n")
    client = Client(s, tmp_path, "-tls1_3")
    client.connect()
    until(lambda: not client.connect(keep=False), "the ticket has ended", pause=0.3)
    s.write_config(s.config.replace("SSLSessionTicketKeyRotation 1s", "SSLSessionTicketKeyRotation 0"))
    s.reload()
    rotations = json.loads(s.ctl("--json", "rotate-ticket-keys").stdout)["rotations"]
    assert rotations >= 3
    client.connect()
    assert client.connect(keep=False)
    assert json.loads(s.ctl("--json", "rotate-ticket-keys").stdout)["rotations"] == rotations + 1


@pytest.mark.parametrize("value", ["soon", "0.5", "500ms", "-1"])
def test_a_wrong_rotation_is_named(server, value):
    s = server(f"SSLSessionTicketKeyRotation {value}\n", start=False)
    done = s.run("-t")
    assert done.returncode == 1
    line = s.line_of("instar.conf", "SSLSessionTicketKeyRotation")
    assert f"instar.conf:{line}:" in done.stderr, done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_stays_with_its_host(server, authority, tmp_path, version):
    s = tls.make(server, authority, HOSTS)
    client = Client(s, tmp_path, version)
    client.connect()
    assert client.connect(keep=False)
    assert not client.connect(keep=False, name="a.example")
    assert not client.connect(keep=False, name="locked.example")
    assert client.connect(keep=False)


KEYED = PLAIN + 'SSLSessionTicketKeyFile "{root}/new.key"\nSSLSessionTicketKeyFile "{root}/old.key"\n'


@pytest.mark.parametrize("size", [48, 80])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_fleet_shares_key_files(server, authority, tmp_path, version, size):
    """Two servers; the key moves on by being put behind the new one."""
    first, second, third = (os.urandom(size) for _ in range(3))
    files = {"new.key": first, "old.key": second}
    a = tls.make(server, authority, KEYED, files=files)
    b = tls.make(server, authority, KEYED, files=files)
    client = Client(a, tmp_path, version)
    assert not client.connect()
    client.s = b
    assert client.connect(keep=False)
    rotate(b)  # says nothing to files
    assert client.connect(keep=False)
    b.write("new.key", third)
    b.write("old.key", first)
    b.reload()
    assert client.connect(), "a ticket of the second file's key is accepted"
    client.s = a
    if version == "-tls1_3":  # s_client saves a renewed ticket of this version alone
        assert not client.connect(keep=False), "it was renewed by the new key, which is not here"


def test_key_files_are_judged(server, authority):
    s = tls.make(server, authority, KEYED, files={"new.key": os.urandom(48), "old.key": os.urandom(80)})
    s.write("old.key", os.urandom(49))
    outcome = s.graceful()
    assert outcome["exit"] == 1 and outcome["stage"] == "start"
    assert "48 or 80" in outcome["errors"][0]["message"] and "old.key" in outcome["errors"][0]["message"]
    os.unlink(s.path("old.key"))
    outcome = s.graceful()
    assert "No such file" in outcome["errors"][0]["message"]


def test_keys_are_in_no_core_dump(server, authority):
    """Each mapping of the keys is marked as not to be dumped, and workers cannot write there."""
    s = tls.make(server, authority, PLAIN)
    for pid in [s.pid, *s.worker_pids()]:
        with open(f"/proc/{pid}/smaps") as text:
            blocks = text.read().split("\n")
        maps = [i for i, line in enumerate(blocks) if "instar-ticket-keys" in line]
        assert len(maps) == (2 if pid == s.pid else 1)
        for i in maps:
            flags = next(line for line in blocks[i:] if line.startswith("VmFlags:")).split()
            assert "dd" in flags
            if pid != s.pid:
                assert " r--s " in blocks[i] and "mw" not in flags
