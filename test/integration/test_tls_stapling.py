# SPDX-License-Identifier: Apache-2.0
"""OCSP stapling against the openssl program's own responder, and against responders that misbehave."""
import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness import processes, tls
from harness.certs import Authority
from harness.env import until
from harness.server import free_ports

FAST = """
SSLUseStapling On
SSLStaplingStandardCacheTimeout 1
SSLStaplingErrorCacheTimeout 1
SSLStaplingResponderTimeout 1
LogLevel ssl:info
"""

PLAIN = """
SSLCertificateFile cert.pem
SSLCertificateKeyFile cert.key
""" + FAST


class Station:
    """A CA whose certificates name a responder at one port, and the responder's index."""

    def __init__(self, folder):
        self.ca = Authority(str(folder))
        self.port = free_ports(1)[0]
        self.aia = f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{self.port}/ocsp\n"
        self.states = {}
        self.ca.issue("other", "other")
        self.ca.issue("signer", "signer", extra="extendedKeyUsage=OCSPSigning\n")
        self.foreign = None

    def issue(self, name, issuer=True, aia=True, **more):
        """The files of a server certificate, with its issuer behind it."""
        pem, key = self.ca.issue(name, name, extra=self.aia if aia else "", **more)
        self.states[name] = "V"
        chain = open(pem, "rb").read()
        if issuer:
            chain += open(self.ca.path("ca.pem"), "rb").read()
        return chain, open(key, "rb").read()

    def index(self):
        lines = []
        for name, state in self.states.items():
            serial = subprocess.run(["openssl", "x509", "-in", self.ca.path(name + ".pem"), "-noout",
                                     "-serial"], capture_output=True, text=True, check=True)
            serial = serial.stdout.strip().split("=")[1]
            revoked = "260101000000Z" if state == "R" else ""
            lines.append(f"{state}\t360101000000Z\t{revoked}\t{serial}\tunknown\t/O=Tests/CN={name}\n")
        with open(self.ca.path("index.txt"), "w") as out:
            out.writelines(lines)

    @contextlib.contextmanager
    def responder(self, signer="ca"):
        """Answers until the block ends."""
        self.index()
        with open(self.ca.path("responder.log"), "ab") as log:
            process = subprocess.Popen(
                ["openssl", "ocsp", "-index", self.ca.path("index.txt"), "-port", str(self.port),
                 "-CA", self.ca.path("ca.pem"), "-rsigner", self.ca.path(signer + ".pem"), "-rkey",
                 self.ca.path(signer + ".key"), "-ndays", "1"], stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is None and listens(self.port), "the responder listens")
            yield process
        finally:
            process.kill()
            process.wait()


def listens(port):
    """Without connecting, which would be taken for a request."""
    with open("/proc/net/tcp") as four, open("/proc/net/tcp6") as six:
        return any(re.search(rf":{port:04X} [0-9A-F]+:0000 0A", line) for line in [*four, *six])


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    return Station(tmp_path_factory.mktemp("ocsp"))


@pytest.fixture
def pair(station):
    station.states.clear()
    return station.issue("localhost")


def make(server, station, pair, config=PLAIN, **more):
    return tls.make(server, station.ca, config, files={"cert.pem": pair[0], "cert.key": pair[1]}, **more)


def status(s, *arguments):
    """good, revoked, unknown; None where nothing is stapled."""
    text = tls.s_client(s, "-status", *arguments)
    assert "HTTP/1.1 200" in text, text[-1500:]
    if "OCSP response: no response sent" in text:
        return None
    assert "OCSP Response Status: successful (0x0)" in text, text[:3000]
    return re.search(r"Cert Status: (\w+)", text).group(1)


def until_status(s, wanted, *arguments):
    until(lambda: status(s, *arguments) == wanted, f"the status is {wanted}", pause=0.1)


def test_a_response_is_stapled_by_every_worker(server, station, pair):
    with station.responder():
        s = make(server, station, pair, workers=3)
        until_status(s, "good")
        for _ in range(6):
            assert status(s, "-tls1_2") == status(s, "-tls1_3") == "good"
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{s.tls}", "-status", "-CAfile",
             station.ca.path("ca.pem"), "-verify_return_error"], input=b"", capture_output=True)
        assert done.returncode == 0 and b"Cert Status: good" in done.stdout
        assert "INS02260" in s.log()
        # Nobody asks: nothing is sent.
        assert "OCSP response" not in tls.s_client(s)


def test_it_is_kept_over_a_reload_without_the_responder(server, station, pair):
    with station.responder():
        s = make(server, station, pair, PLAIN.replace("StandardCacheTimeout 1", "StandardCacheTimeout 60"))
        until_status(s, "good")
    s.reload()
    assert status(s) == "good"
    for pid in s.worker_pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(s.worker_pids()) == 2, "others are there")
    assert status(s) == "good"


def test_a_revocation_arrives(server, station, pair):
    with station.responder():
        s = make(server, station, pair)
        until_status(s, "good")
    station.states["localhost"] = "R"
    with station.responder():
        until_status(s, "revoked")
        s.write_config(s.config + "SSLStaplingReturnResponderErrors Off\n")
        s.reload()
        until(lambda: "ResponderErrors is Off" in s.log(), "it is looked at")
    assert s.log().count("INS02261") >= 1


def test_only_good_is_stapled_where_errors_are_not_returned(server, station, pair):
    station.states["localhost"] = "R"
    with station.responder():
        s = make(server, station, pair, PLAIN + "SSLStaplingReturnResponderErrors Off\n")
        until(lambda: "ResponderErrors is Off" in s.log(), "it is looked at")
        assert status(s) is None


def test_a_responder_may_come_late(server, station, pair):
    s = make(server, station, pair)
    until(lambda: "INS02261" in s.log(), "it is said")
    assert status(s) is None
    with station.responder():
        until_status(s, "good")


def test_a_delegate_may_sign_and_nobody_else(server, station, pair):
    with station.responder("other"):
        s = make(server, station, pair)
        until(lambda: "is not signed by the certificate's issuer" in s.log(), "it is refused")
        assert status(s) is None
    with station.responder("signer"):
        until_status(s, "good")


class Bad(http.server.BaseHTTPRequestHandler):
    """Answers with what the test has put into its class, one after the other, the last again."""
    answers = []
    hosts = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.hosts.append(self.headers["Host"])
        code, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(code)
        self.send_header("Content-Type", "application/ocsp-response")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def bad_responder(port):
    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True
        daemon_threads = True
    with Server(("127.0.0.1", port), Bad) as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            one.shutdown()
            thread.join()


def test_what_is_no_response_is_not_stapled(server, station, pair):
    try_later = bytes.fromhex("30030a0103")
    Bad.answers = [(200, b"garbage"), (500, b"sorry"), (200, b"\x30\x84\x7f\xff\xff\xff" + b"x" * 9999),
                   (200, b"x" * 100000), (200, try_later)]
    with bad_responder(station.port):
        s = make(server, station, pair)
        until(lambda: "trylater" in s.log(), "all have been looked at")
        assert s.log().count("INS02261") >= 5 and "INS02260" not in s.log()
        assert status(s) is None
    assert set(Bad.hosts) == {f"127.0.0.1:{station.port}"}, "a virtual host is found by this"


def test_a_responder_that_hangs_holds_nobody_up(server, station, pair):
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", station.port))
        silent.listen(64)
        silent.settimeout(30)
        s = make(server, station, pair, PLAIN.replace("ResponderTimeout 1", "ResponderTimeout 300"))
        held, _ = silent.accept()
        assert status(s) is None
        assert "INS02261" not in s.log(), "it is being waited for, but not by a client"
        s.write_config(s.config.replace("ResponderTimeout 300", "ResponderTimeout 1"))
        s.reload()
        until(lambda: re.search("INS02261.*timeout", s.log()), "it is given up")
        held.close()
    with station.responder():
        until_status(s, "good")


def test_a_renewed_certificate_gets_a_response_of_its_own(server, station, pair):
    with station.responder():
        s = make(server, station, pair)
        until_status(s, "good")
    chain, key = station.issue("localhost")  # another serial number
    with station.responder():
        s.write("cert.pem", chain)
        s.write("cert.key", key)
        assert json.loads(s.ctl("--json", "certs").stdout)["renewed"] == 1
        until_status(s, "good")


def test_each_certificate_of_a_host_has_its_own(server, station, pair):
    chain, key = station.issue("heavy", rsa=True)
    station.states["heavy"] = "R"
    with station.responder():
        s = make(server, station, pair, start=False)
        s.write("rsa.pem", chain)
        s.write("rsa.key", key)
        s.write_config(s.config + "SSLCertificateFile rsa.pem\nSSLCertificateKeyFile rsa.key\n")
        s.start()
        until_status(s, "good", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
        until_status(s, "revoked", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")


def test_the_address_may_be_given(server, station):
    station.states.clear()
    pair = station.issue("localhost", aia=False)
    with station.responder():
        s = make(server, station, pair)
        assert "names no OCSP responder" in s.log()
        assert status(s) is None
        s.write_config(s.config + f"SSLStaplingForceURL http://127.0.0.1:{station.port}/\n")
        s.reload()
        until_status(s, "good")


def test_without_its_issuer_nothing_is_stapled(server, station):
    pair = station.issue("localhost", issuer=False)
    s = make(server, station, pair)
    assert "issuer's certificate does not stand behind it" in s.log()
    assert status(s) is None


def staplers(s):
    return [pid for pid in processes.descendants(s.pid) if "stapler" in processes.title(pid)]


def test_the_fetching_process_is_replaced_and_ends(server, station, pair):
    s = make(server, station, pair)
    first = until(lambda: staplers(s), "it is there")
    assert len(first) == 1
    s.reload()
    until(lambda: len(staplers(s)) == 1 and staplers(s) != first, "the new generation has its own")
    s.write_config(s.config.replace("SSLUseStapling On", ""))
    s.reload()
    until(lambda: not staplers(s), "it is gone")


@pytest.mark.parametrize("line", ["SSLStaplingForceURL https://127.0.0.1/", "SSLStaplingForceURL ocsp",
                                  "SSLStaplingResponderTimeout 0", "SSLUseStapling maybe"])
def test_wrong_settings_are_named(server, line):
    s = server(line + "\n", start=False)
    done = s.run("-t")
    number = s.line_of("instar.conf", line)
    assert done.returncode == 1 and f"instar.conf:{number}:" in done.stderr
