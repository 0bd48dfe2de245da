# SPDX-License-Identifier: Apache-2.0
"""TLS by real clients: openssl s_client, curl, GnuTLS where it is installed, and Python's ssl."""
import os
import re
import socket
import ssl
import subprocess

import pytest

from harness import http
from harness.env import PATIENCE, sized, until
from harness.http import Broken, Connection
from harness.modules import PROBE, PROBE_ROUTES

HOSTS = PROBE_ROUTES + """
SSLCertificateFile "{ca}/localhost.pem"
SSLCertificateKeyFile "{ca}/localhost.key"
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
    ServerName b.example
    SSLEngine On
    SSLProtocol TLSv1.2
    SSLCertificateFile "{ca}/b.pem"
    SSLCertificateKeyFile "{ca}/b.key"
</VirtualHost>
<VirtualHost *:{tls}>
    ServerName same.example
    SSLEngine On
</VirtualHost>
<VirtualHost *:{tls}>
    ServerName locked.example
    SSLEngine On
    SSLCACertificateFile "{ca}/ca.pem"
    SSLVerifyClient require
</VirtualHost>
"""


def make(maker, authority, config=HOSTS, **more):
    s = maker(start=False, modules={"probe": PROBE}, **more)
    s.tls = s.ports[1]
    s.listen += f"\nListen 127.0.0.1:{s.tls} https"
    s.write_config(config.format(ca=authority.folder, tls=s.tls, root=s.root))
    s.start()
    return s


@pytest.fixture(scope="module")
def secure(shared, authority):
    return make(shared, authority)


def ask(s, authority, target="/info", sni="localhost", host=None, version=None, certificate=None):
    return http.get(("127.0.0.1", s.tls), target, host=host or sni,
                    tls=authority.client(certificate, version), sni=sni)


def s_client(s, *arguments, send=b"GET /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.tls}", "-ign_eof",
                           *arguments], input=send, capture_output=True, timeout=PATIENCE)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_answer(secure, authority, version):
    answer = ask(secure, authority, version=version)
    assert answer.status == 200 and "secure=1" in answer.text


@pytest.mark.parametrize("option,fine", [("-tls1_2", True), ("-tls1_3", True), ("-tls1_1", False),
                                         ("-tls1", False)])
def test_openssl_s_client(secure, option, fine):
    text = s_client(secure, option, "-cipher", "ALL:@SECLEVEL=0")
    assert ("HTTP/1.1 200" in text) == fine, text[-2000:]
    assert not fine or "Compression: NONE" in text


def test_curl(secure, authority):
    done = subprocess.run(
        ["curl", "-sS", "--cacert", authority.path("ca.pem"), "--resolve",
         f"a.example:{secure.tls}:127.0.0.1", f"https://a.example:{secure.tls}/info"],
        capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "server=a.example" in done.stdout and "secure=1" in done.stdout


@pytest.mark.parametrize("priority", ["NORMAL:-VERS-ALL:+VERS-TLS1.2",
                                      "NORMAL:-VERS-ALL:+VERS-TLS1.3"])
def test_gnutls(secure, authority, priority):
    done = subprocess.run(
        ["gnutls-cli", "--x509cafile", authority.path("ca.pem"), "--priority", priority,
         "--verify-hostname", "localhost", "--sni-hostname", "localhost", "-p", str(secure.tls),
         "127.0.0.1"], input=b"GET /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        capture_output=True, timeout=PATIENCE)
    assert b"HTTP/1.1 200" in done.stdout, (done.stdout + done.stderr)[-2000:]


@pytest.mark.parametrize("sni,subject", [("localhost", "localhost"), ("a.example", "a.example"),
                                         ("A.EXAMPLE", "a.example"), ("b.example", "b.example"),
                                         ("nobody.example", "localhost"), (None, "localhost")])
def test_sni_chooses_the_certificate(secure, sni, subject):
    names = ["-servername", sni] if sni else ["-noservername"]
    text = s_client(secure, *names)
    assert re.search(rf"subject=O = Tests, CN = {subject}\n", text), text[:1500]


def test_sni_chooses_the_protocol(secure, authority):
    assert ask(secure, authority, sni="b.example", version=ssl.TLSVersion.TLSv1_2).status == 200
    with pytest.raises(Broken):
        ask(secure, authority, sni="b.example", version=ssl.TLSVersion.TLSv1_3)


def test_a_request_for_another_certificates_host_is_misdirected(secure, authority):
    assert ask(secure, authority, sni="a.example", host="b.example").status == 421
    assert ask(secure, authority, sni="a.example", host="locked.example").status == 421
    assert ask(secure, authority, sni="localhost", host="same.example").status == 200
    assert "server=same.example" in ask(secure, authority, sni="localhost",
                                        host="same.example").text


def test_a_client_certificate_is_asked_for(secure, authority):
    assert ask(secure, authority, sni="locked.example", certificate="client").status == 200
    with pytest.raises((Broken, OSError)):
        ask(secure, authority, sni="locked.example")


def test_a_foreign_client_certificate_is_refused(secure, authority, tmp_path):
    from harness.certs import Authority
    other = Authority(str(tmp_path))
    other.issue("client", "Mallory")
    context = authority.client()
    context.load_cert_chain(other.path("client.pem"), other.path("client.key"))
    with pytest.raises((Broken, OSError)):
        http.get(("127.0.0.1", secure.tls), "/info", tls=context, sni="locked.example",
                 host="locked.example")


LOGGED = HOSTS + """
LogFormat "%{{SSL_PROTOCOL}}x %{{SSL_CIPHER}}x %{{SSL_CLIENT_S_DN}}x %{{NONSENSE}}x" tls
CustomLog logs/tls_log tls
"""


def test_the_access_log_knows_the_session(server, authority):
    s = make(server, authority, LOGGED)
    ask(s, authority, sni="locked.example", certificate="client", version=ssl.TLSVersion.TLSv1_3)
    until(lambda: "TLSv1.3 TLS_AES_256_GCM_SHA384 CN=Zoe,O=Tests -" in s.read("logs/tls_log"),
          "the line is in the log")


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.0\r\n\r\n"],
                         ids=["GET", "POST"])
def test_plain_http_on_the_tls_port_gets_400(secure, request_line):
    raw = http.answers_to(("127.0.0.1", secure.tls), request_line)
    assert raw.startswith(b"HTTP/1.1 400 ") and b"Connection: close" in raw
    assert b"TLS" in raw or b"https" in raw.lower() or b"SSL" in raw


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"hello world\n", b"\x16\x03\x01\xff\xff" + b"x" * 100,
                                     b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10" + b"\1" * 40,
                                     b"\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03",
                                     b"\x17\x03\x03\0\x05hello"],
                         ids=["noughts", "words", "long record", "SSLv2", "broken hello", "data"])
def test_garbage_ends_the_connection(secure, authority, garbage):
    with socket.create_connection(("127.0.0.1", secure.tls), PATIENCE) as raw:
        raw.sendall(garbage)
        raw.shutdown(socket.SHUT_WR)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert ask(secure, authority).status == 200


def test_a_failed_handshake_is_logged_with_its_client(server, authority):
    s = make(server, authority, HOSTS + "LogLevel info\n")
    with socket.create_connection(("127.0.0.1", s.tls), PATIENCE) as raw:
        port = raw.getsockname()[1]
        raw.sendall(b"\x17\x03\x03\0\x05hello")
        raw.recv(100)
    until(lambda: re.search(rf"\[ssl:info\] .* \[client 127\.0\.0\.1:{port}\] INS01407: ", s.log()),
          "the line is there")


def test_large_bodies_both_ways(secure, authority):
    body = os.urandom(sized(1000000, 20000000, 300000))
    with Connection(("127.0.0.1", secure.tls), tls=authority.client(), sni="localhost") as connection:
        assert connection.request("/echo", "POST", body=body).body == body
    with Connection(("127.0.0.1", secure.tls), tls=authority.client(), sni="localhost") as connection:
        assert len(connection.request(f"/stream?size={len(body)}").body) == len(body)
        assert connection.request("/info").status == 200


def test_pipelining_and_keep_alive(secure, authority):
    with Connection(("127.0.0.1", secure.tls), tls=authority.client(), sni="localhost") as connection:
        connection.send("".join(f"GET /info?{i} HTTP/1.1\r\nHost: localhost\r\n\r\n" for i in range(50)))
        for i in range(50):
            assert f"args={i}\n" in connection.answer().text
        for i in range(20):
            assert f"keepalives={50 + i}\n" in connection.request("/info").text


def test_records_may_come_in_any_pieces(secure, authority):
    """A TLS client over a relay that sends one byte at a time."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", secure.tls), PATIENCE) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def turn(action):
            while True:
                try:
                    result = action()
                except ssl.SSLWantReadError:
                    result = None
                for byte in outgoing.read():
                    raw.sendall(bytes([byte]))
                if result is not None:
                    return result
                incoming.write(raw.recv(65536))

        turn(lambda: tls.do_handshake() or True)
        turn(lambda: tls.write(b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        assert turn(lambda: tls.read(65536)).startswith(b"HTTP/1.1 200")


def test_the_server_says_goodbye(secure, authority):
    with Connection(("127.0.0.1", secure.tls), tls=authority.client(), sni="localhost") as connection:
        connection.send("GET /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.answer().status == 200
        # Python raises SSLEOFError where close_notify is missing.
        assert connection.socket.recv(100) == b""


# ---- Sessions ---------------------------------------------------------------------


def resumed(s, sessions, version, extra=()):
    """Connects by a saved session if there is one; says whether it was resumed, and saves anew."""
    known = ["-sess_in", sessions] if os.path.exists(sessions) else []
    text = s_client(s, version, "-servername", "localhost", "-sess_out", sessions, *known, *extra)
    assert "HTTP/1.1 200" in text, text[-1500:]
    return "Reused, " in text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_resume_at_any_worker(secure, tmp_path, version):
    sessions = str(tmp_path / "session")
    assert not resumed(secure, sessions, version)
    for _ in range(8):
        assert resumed(secure, sessions, version)


KEYED = PROBE_ROUTES + """
SSLCertificateFile "{ca}/localhost.pem"
SSLCertificateKeyFile "{ca}/localhost.key"
SSLSessionTicketKeyFile "{root}/ticket.key"
"""


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_resume_across_reloads_by_a_key_file(server, authority, tmp_path, version):
    s = server(start=False, modules={"probe": PROBE})
    s.tls = s.ports[1]
    s.listen += f"\nListen 127.0.0.1:{s.tls} https"
    s.write("ticket.key", os.urandom(80))
    s.write_config(KEYED.format(ca=authority.folder, root=s.root))
    s.start()
    sessions = str(tmp_path / "session")
    assert not resumed(s, sessions, version)
    for _ in range(3):
        s.reload()
        assert resumed(s, sessions, version)
    s.write("ticket.key", os.urandom(80))
    s.reload()
    assert not resumed(s, sessions, version)


def test_tickets_can_be_off(server, authority, tmp_path):
    s = make(server, authority, KEYED.replace('SSLSessionTicketKeyFile "{root}/ticket.key"',
                                              "SSLSessionTickets Off"))
    sessions = str(tmp_path / "session")
    assert not resumed(s, sessions, "-tls1_2")
    assert not resumed(s, sessions, "-tls1_2")


# ---- Settings ----------------------------------------------------------------------


def test_ciphers_and_their_order_are_as_configured(server, authority):
    s = make(server, authority, PROBE_ROUTES + """
SSLEngine On
SSLCertificateFile "{ca}/localhost.pem"
SSLCertificateKeyFile "{ca}/localhost.key"
SSLCipherSuite ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256
SSLCipherSuite TLSv1.3 TLS_CHACHA20_POLY1305_SHA256
SSLHonorCipherOrder On
""", listen="")
    text = s_client(s, "-tls1_2", "-cipher",
                    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305")
    assert "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305" in text
    assert "Cipher is TLS_CHACHA20_POLY1305_SHA256" in s_client(s, "-tls1_3")
    text = s_client(s, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert "HTTP/1.1 200" not in text


def test_renegotiation_is_refused(secure):
    text = s_client(secure, "-tls1_2", send=b"R\nGET /info HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "HTTP/1.1 200" not in text


def test_a_renewed_certificate_is_used_after_a_reload(server, authority):
    s = make(server, authority, KEYED.replace('SSLSessionTicketKeyFile "{root}/ticket.key"', ""))
    assert "CN = localhost" in s_client(s)
    s.write_config(s.config.replace("localhost.pem", "a.pem").replace("localhost.key", "a.key"))
    s.reload()
    assert "CN = a.example" in s_client(s)


def test_each_bad_certificate_is_named(server, authority, tmp_path):
    s = make(server, authority, KEYED.replace('SSLSessionTicketKeyFile "{root}/ticket.key"', ""))
    good = s.config
    junk = tmp_path / "junk.pem"
    junk.write_text("hello\n")
    cases = [("localhost.pem", "missing.pem", "SSLCertificateFile", "No such file"),
             ("localhost.key", "missing.key", "SSLCertificateKeyFile", "No such file"),
             ("localhost.key", "a.key", "SSLCertificateKeyFile", "does not match"),
             (f"{authority.folder}/localhost.pem", str(junk), "SSLCertificateFile", "PEM")]
    for old, new, directive, words in cases:
        s.write_config(good.replace(old, new))
        outcome = s.graceful()
        assert outcome["exit"] == 1 and outcome["stage"] == "start", outcome
        error = outcome["errors"][0]
        assert words in error["message"] and new.split("/")[-1] in error["message"]
        assert error["line"] == s.line_of("instar.conf", directive + " ")
        assert error["file"] == s.path("instar.conf")
        assert ask(s, authority).status == 200
    s.write_config(good)
    s.reload()


def test_verifying_below_the_host_is_a_config_error(server, authority):
    s = server(PROBE_ROUTES + "<Location /x>\nSSLVerifyClient require\n</Location>\n",
               {"probe": PROBE}, start=False)
    done = s.run("-t")
    assert done.returncode == 1
    line = s.line_of("instar.conf", "SSLVerifyClient")
    assert f"instar.conf:{line}:" in done.stderr + done.stdout
