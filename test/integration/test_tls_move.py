# SPDX-License-Identifier: Apache-2.0
"""TLS 1.3 connections move to the next generation: the same TCP connection, the same session, new
code. By Python's ssl, openssl s_client and gnutls-cli."""
import re
import socket
import ssl
import subprocess
import threading

import pytest

from harness.env import PATIENCE, sized, until
from harness.http import Broken, Connection
from harness.modules import PROBE, PROBE_ROUTES, hello, pid_of, version_of

CONFIG = """
Route GET|POST /hello hello
KeepAliveTimeout 300
MaxKeepAliveRequests 0
SSLCertificateFile "{ca}/localhost.pem"
SSLCertificateKeyFile "{ca}/localhost.key"
LogFormat "%{{SSL_CIPHER}}x %{{SSL_CLIENT_VERIFY}}x %{{SSL_CLIENT_S_DN}}x %{{SSL_TLS_SNI}}x %{{SSL_SESSION_ID}}x" tls
CustomLog logs/tls_log tls
""" + PROBE_ROUTES


def make(maker, authority, more="", **kind):
    s = maker(start=False, modules={"hello": hello(1), "probe": PROBE}, **kind)
    s.listen = f"Listen 127.0.0.1:{s.port} https"
    s.write_config(CONFIG.format(ca=authority.folder) + more.format(ca=authority.folder, port=s.port))
    return s.start()


def client(authority, certificate=None):
    return authority.client(certificate, ssl.TLSVersion.TLSv1_3)


def connect(s, context, sni="localhost"):
    return Connection(s.address, tls=context, sni=sni)


def reload_to(s, number):
    s.write_module("hello", hello(number))
    s.reload()


def assert_new(s, answer, number):
    """By the serving generation's code, and the connection goes on."""
    assert answer.status == 200 and not answer.closes
    assert version_of(answer.body) == number
    assert pid_of(answer.body) in s.worker_pids()


def logged(s, count):
    """The lines of so many requests, which may be written behind their answers."""
    until(lambda: s.read("logs/tls_log").count("\n") >= count, f"{count} lines are in the log")
    lines = s.read("logs/tls_log").splitlines()
    assert len(lines) == count
    return lines


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                   "TLS_CHACHA20_POLY1305_SHA256"])
def test_connections_live_over_many_reloads(server, authority, suite):
    count = sized(20, 1000, 10)
    s = make(server, authority, f"SSLCipherSuite TLSv1.3 {suite}\n")
    context = client(authority)
    connections = [connect(s, context) for _ in range(count)]
    for connection in connections[1:]:  # one moves before its first request
        assert version_of(connection.request("/hello").body) == 1
    for number in range(2, 6):
        reload_to(s, number)
        until(lambda: not s.old_generations(), "nothing holds the old generation")
        for connection in connections:
            assert_new(s, connection.request("/hello"), number)
            body = b"x" * 20000 * number
            assert connection.request("/echo", "POST", body=body).body == body
    assert s.status()["counters"]["adopted"] >= 4 * count
    for connection in connections:
        connection.close()
    lines = logged(s, 8 * count + count - 1)
    assert all(line.startswith(suite + " NONE - localhost ") for line in lines)
    assert len({line.split()[-1] for line in lines}) == count  # each session has kept its id


def test_long_answers_and_pipelined_requests_after_a_move(server, authority):
    size = sized(100_000_000, 1_000_000_000, 10_000_000)
    s = make(server, authority)
    with connect(s, client(authority)) as connection:
        assert version_of(connection.request("/hello").body) == 1
        reload_to(s, 2)
        connection.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        for _ in range(100):
            assert_new(s, connection.answer(), 2)
        connection.send(f"GET /stream?size={size}&length=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"\r\n\r\n" not in connection.buffer:
            assert connection.more()
        head, _, body = bytes(connection.buffer).partition(b"\r\n\r\n")
        assert f"Content-Length: {size}".encode() in head
        left = size - len(body)
        while left > 0:
            piece = connection.socket.recv(min(left, 1 << 20))
            assert piece and piece.count(b"s") == len(piece)
            left -= len(piece)
        connection.buffer.clear()
        reload_to(s, 3)
        assert_new(s, connection.request("/hello"), 3)


class Records:
    """A TLS client whose records are ours to send in pieces."""

    def __init__(self, address, context):
        self.socket = socket.create_connection(address, PATIENCE)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self._drive(self.tls.do_handshake)
        self.flush()

    def _drive(self, call):
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65536)
                if not data:
                    raise Broken("closed") from None
                self.incoming.write(data)

    def flush(self):
        self.socket.sendall(self.outgoing.read())

    def sealed(self, text):
        """The record, not sent."""
        self.tls.write(text.encode())
        return self.outgoing.read()

    def answer(self):
        """An answer with Content-Length: its body."""
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            if end and len(body) >= int(length.group(1)):
                return body
            data += self._drive(lambda: self.tls.read(65536))


@pytest.mark.parametrize("cut", [1, 5, 20, -1])
def test_a_record_that_is_halfway_here_moves(server, authority, cut):
    s = make(server, authority)
    peer = Records(s.address, client(authority))
    request = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
    peer.socket.sendall(peer.sealed(request))
    assert version_of(peer.answer()) == 1
    for number in (2, 3):
        record = peer.sealed(request)
        peer.socket.sendall(record[:cut])
        reload_to(s, number)
        until(lambda: not s.old_generations(), "the part of a record has moved")
        peer.socket.sendall(record[cut:])
        assert version_of(peer.answer()) == number
    peer.socket.close()


def test_a_head_that_is_halfway_here_moves(server, authority):
    s = make(server, authority)
    with connect(s, client(authority)) as connection:
        connection.send("GET /hello HTTP/1.1\r\nHo")
        reload_to(s, 2)
        until(lambda: not s.old_generations(), "the part of a head has moved")
        connection.send("st: localhost\r\n\r\nGET /hello")
        assert_new(s, connection.answer(), 2)
        reload_to(s, 3)
        connection.send(" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert_new(s, connection.answer(), 3)


def test_a_busy_connection_moves_behind_its_answer(server, authority):
    s = make(server, authority)
    with connect(s, client(authority)) as connection:
        connection.send("GET /pieces?count=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.answer().text == "piece 0\n"
        connection.send("GET /nap?ms=1500 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reload_to(s, 2)
        answer = connection.answer()
        assert answer.text == "slept" and not answer.closes
        until(lambda: not s.old_generations(), "it has moved behind its answer")
        assert_new(s, connection.request("/hello"), 2)


def test_upgrades_and_rollbacks_move_them_too(server, authority):
    s = make(server, authority)
    with connect(s, client(authority)) as connection:
        assert version_of(connection.request("/hello").body) == 1
        reload_to(s, 2)
        for verb, number in (("upgrade", 2), ("rollback", 1), ("upgrade", 2)):
            outcome = s.graceful(verb)
            assert outcome["ok"], outcome
            until(lambda: not s.old_generations(), "it has moved")
            assert_new(s, connection.request("/hello"), number)


def test_a_renewed_certificate_changes_nothing_for_it(server, authority):
    """It goes on with the one that its handshake has shown, here and behind a move."""
    authority.issue("renewed", "localhost")
    s = make(server, authority)
    s.replace("localhost.", "renewed.")
    s.replace("%{SSL_CIPHER}x", "%{SSL_SERVER_M_SERIAL}x")
    s.reload()
    with connect(s, client(authority)) as connection:
        assert connection.request("/hello").status == 200
        authority.issue("renewed", "localhost")
        assert s.ctl("certs").returncode == 0
        assert connection.request("/hello").status == 200
        reload_to(s, 2)
        assert_new(s, connection.request("/hello"), 2)
    assert len(set(logged(s, 3))) == 1


def test_client_certificates_stay_known(server, authority):
    s = make(server, authority, 'SSLCACertificateFile "{ca}/ca.pem"\nSSLVerifyClient require\n')
    context = client(authority, "client")
    with connect(s, context) as connection:
        for number in range(2, 5):
            assert connection.request("/hello").status == 200
            reload_to(s, number)
        assert_new(s, connection.request("/hello"), 4)
    assert len(set(lines := logged(s, 4))) == 1
    assert " SUCCESS CN=Zoe,O=Tests localhost " in lines[0]


HOSTS = """
<VirtualHost *:{port}>
    ServerName localhost
    SSLEngine On
</VirtualHost>
<VirtualHost *:{port}>
    ServerName a.example
    SSLEngine On
</VirtualHost>
"""


def assert_old_answers_last(connection, host):
    answer = connection.request("/hello", host=host)
    assert answer.status == 200 and version_of(answer.body) == 1
    assert answer.closes and connection.at_end()


A_ENGINE = "ServerName a.example\n    SSLEngine On"


@pytest.mark.parametrize("old,new,why", [
    ("ServerName a.example", "ServerName b.example", "is gone"),
    (A_ENGINE, A_ENGINE + "\n    SSLVerifyClient optional_no_ca", "asks other things"),
    (A_ENGINE, A_ENGINE + "\n    SSLProtocol TLSv1.2", "does not speak TLS 1.3")])
def test_what_the_new_config_would_not_have_stays(server, authority, old, new, why):
    """Answered by the old code once more, and closed with that; the others move."""
    s = make(server, authority, HOSTS + "LogLevel info ssl:debug\n")
    context = client(authority)
    with connect(s, context, "a.example") as gone, connect(s, context) as other:
        assert gone.request("/hello", host="a.example").status == 200
        assert other.request("/hello").status == 200
        s.replace(old, new)
        reload_to(s, 2)
        assert_new(s, other.request("/hello"), 2)
        assert_old_answers_last(gone, "a.example")
    assert re.search(f"INS02600.*{why}", s.log())
    until(lambda: not s.old_generations(), "the old generation is gone")


def test_a_listener_that_speaks_plain_now_takes_no_session(server, authority):
    s = make(server, authority)
    with connect(s, client(authority)) as connection:
        assert connection.request("/hello").status == 200
        s.listen = s.listen.replace(" https", "")
        s.write_config()
        reload_to(s, 2)
        assert_old_answers_last(connection, "localhost")
        assert version_of(s.get("/hello").body) == 2


class Program:
    """A TLS client that is fed line by line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.output = b""
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            data = self.process.stdout.read1(65536)
            if not data:
                return
            with self.lock:
                self.output += data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def count(self, pattern):
        with self.lock:
            return len(re.findall(pattern, self.output))

    def wait_for(self, pattern, count=1):
        def come():
            assert self.process.poll() is None or self.count(pattern) >= count, self.output[-3000:]
            return self.count(pattern) >= count
        until(come, f"{pattern!r} {count} times in {self.output[-1000:]!r}")

    def command(self, key):
        """One of s_client's, which it knows by being alone in what it reads."""
        before = self.count(rb"KEYUPDATE")
        self.send(key + "\n")
        self.wait_for(rb"KEYUPDATE", before + 1)

    def ask(self, number):
        """A request, answered by code of this number, once more."""
        pattern = rb"end %d\b" % number
        before = self.count(pattern)
        self.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.wait_for(pattern, before + 1)


def s_client(s, authority, *arguments):
    return Program("openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", "-tls1_3",
                   "-servername", "localhost", "-CAfile", authority.path("ca.pem"), *arguments)


def test_openssl_changes_its_keys_before_and_after(server, authority):
    """K asks for new keys of the server's too, k does not."""
    s = make(server, authority)
    with s_client(s, authority) as program:
        program.ask(1)
        for number in range(1, 5):
            for key in "kKK":
                program.command(key)
                program.ask(number)
            program.command("K")  # and moves with the answer to it
            reload_to(s, number + 1)
            until(lambda: not s.old_generations(), "it has moved")


def test_openssl_with_a_short_max_fragment_length(server, authority):
    s = make(server, authority)
    with s_client(s, authority, "-maxfraglen", "512") as program:
        for number in range(1, 4):
            program.ask(number)  # 2 KiB
            reload_to(s, number + 1)
    assert b"data length too long" not in program.output


@pytest.mark.parametrize("priority", ["+AES-128-GCM", "+AES-256-GCM", "+CHACHA20-POLY1305"])
def test_gnutls(server, authority, priority):
    s = make(server, authority)
    with Program("gnutls-cli", "--x509cafile", authority.path("ca.pem"), "--verify-hostname",
                 "localhost", "--sni-hostname", "localhost", "-p", str(s.port), "--priority",
                 f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:{priority}", "--inline-commands",
                 "127.0.0.1") as program:
        program.wait_for(rb"Simple Client Mode")
        for number in range(1, 4):
            program.ask(number)
            program.send("^rekey^\n")
            program.wait_for(rb"[Rr]ekey", number)
            program.ask(number)
            reload_to(s, number + 1)
        program.ask(4)


class Posts:
    """Clients that POST on kept connections and count what fails."""

    def __init__(self, address, context, connections):
        self.address, self.context = address, context
        self.done, self.closed, self.failures = 0, 0, []
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True)
                        for i in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number):
        try:
            with Connection(self.address, tls=self.context,
                            sni="localhost" if self.context else None) as connection:
                count = 0
                while not self.stopping.is_set():
                    body = f"{number} {count} ".encode() * (1 + count % 50)
                    answer = connection.request("/echo", "POST", body=body)
                    assert answer.status == 200 and answer.body == body, answer
                    assert not answer.closes, f"closed after {count}"
                    count += 1
                    with self.lock:
                        self.done += 1
        except (Broken, OSError, AssertionError) as error:
            with self.lock:
                self.failures.append(f"{number}: {error!r}")

    def wait_for(self, count):
        until(lambda: self.done >= count or self.failures, f"{count} requests", PATIENCE * 20)


@pytest.mark.parametrize("tls", [False, True])
def test_no_post_fails_under_reloads(server, authority, tls):
    """Each client has one connection from the beginning to the end."""
    requests, reloads = sized(500, 100_000, 200), sized(5, 50, 3)
    s = make(server, authority)
    if not tls:
        s.stop()
        s.listen = s.listen.replace(" https", "")
        s.write_config()
        s.start()
    with Posts(s.address, client(authority) if tls else None, 10) as posts:
        for number in range(1, reloads + 1):
            posts.wait_for(requests * number // (reloads + 1))
            reload_to(s, number + 1)
        posts.wait_for(requests)
    assert posts.failures == [] and posts.done >= requests
    until(lambda: not s.old_generations(), "the old generations are gone")
