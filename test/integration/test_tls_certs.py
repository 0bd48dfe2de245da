# SPDX-License-Identifier: Apache-2.0
"""Renewed certificates: taken by all workers of the running generation, by instarctl certs or
because their files are watched; and several certificates for one host."""
import contextlib
import json
import os
import re
import signal
import time

import pytest

from harness import http, tls
from harness.certs import run
from harness.env import sized, until
from harness.http import Connection
from harness.load import Load
from harness.modules import hello

ONE = """
SSLCertificateFile cert.pem
SSLCertificateKeyFile "{root}/cert.key"
"""

TWO = ONE + """
<VirtualHost *:{tls}>
    ServerName localhost
    SSLEngine On
</VirtualHost>
<VirtualHost *:{tls}>
    ServerName other.example
    SSLEngine On
    SSLCertificateFile other.pem
    SSLCertificateKeyFile other.key
</VirtualHost>
"""

WATCHED = ONE + "SSLCertificateReload On\nLogLevel debug\n"


def issue(authority, name, **more):
    """The bytes of a certificate and its key for this common name."""
    pem, key = authority.issue(name, name, **more)
    with open(pem, "rb") as one, open(key, "rb") as other:
        return one.read(), other.read()


@pytest.fixture(scope="session")
def pairs(authority):
    return {name: issue(authority, name) for name in ("first", "second", "third", "fourth")}


def put(s, pair, name="cert"):
    s.write(name + ".pem", pair[0])
    path = s.write(name + ".key", pair[1])
    os.chmod(path, 0o600)  # readable by the master alone, where that is root


def make(server, authority, pairs, config=ONE, **more):
    files = {"cert.pem": pairs["first"][0], "cert.key": pairs["first"][1],
             "other.pem": pairs["second"][0], "other.key": pairs["second"][1]}
    return tls.make(server, authority, config, files=files, **more)


def certs(s, code=0):
    done = s.ctl("--json", "certs")
    assert done.returncode == code, (done.stdout, done.stderr, s.log()[-2000:])
    return json.loads(done.stdout)


def shown(s, times=6, name="localhost"):
    """The subjects that several connections see: all workers have the chance to answer."""
    return {tls.subject(s, "-servername", name) for _ in range(times)}


# ---- instarctl certs ------------------------------------------------------------------


def test_all_workers_take_it_without_a_reload(server, authority, pairs):
    s = make(server, authority, pairs, TWO, workers=3)
    before = s.serving()
    with Connection(("127.0.0.1", s.tls), tls=authority.client(), sni="localhost") as kept:
        assert kept.request("/info").status == 200
        put(s, pairs["third"])
        outcome = certs(s)
        assert outcome["ok"] and outcome["renewed"] == 1 and outcome["unchanged"] == 1
        assert outcome["workers"] == 3 and outcome["generation"] == before["generation"]
        assert shown(s) == {"third"}
        assert shown(s, 2, "other.example") == {"second"}
        assert kept.request("/info").status == 200, "an old connection goes on with what it has"
    after = s.serving()
    assert after["generation"] == before["generation"]
    assert after["worker_pids"] == before["worker_pids"]
    again = certs(s)
    assert again["renewed"] == 0 and again["unchanged"] == 2


def test_the_words_for_a_person(server, authority, pairs):
    s = make(server, authority, pairs)
    put(s, pairs["third"])
    done = s.ctl("certs")
    assert done.returncode == 0
    assert re.fullmatch(r"certificates: 1 renewed, 0 unchanged, in 2 workers of generation \d+ "
                        r"\(\d+ ms\)\n", done.stdout), done.stdout
    s.write("cert.key", "")
    done = s.ctl("certs")
    assert done.returncode == 1
    assert "cert.key holds no usable private key" in done.stdout + done.stderr
    assert "certificates not renewed: 1 error; the old ones serve on" in done.stdout + done.stderr
    assert "INS01253" in s.log() and "INS01254" in s.log()


def test_a_respawned_worker_has_the_new_ones(server, authority, pairs):
    s = make(server, authority, pairs)
    put(s, pairs["third"])
    certs(s)
    old = set(s.worker_pids())
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(s.worker_pids()) == 2 and not old & set(s.worker_pids()), "others are there")
    assert shown(s) == {"third"}


BAD = [  # file, what it becomes (None: it goes), what is said
    ("cert.key", "key of another", "does not match"),
    ("cert.pem", "certificate of another", "does not match"),
    ("cert.pem", b"hello\n", "holds no usable certificate"),
    ("cert.key", b"", "no usable private key"),
    ("cert.pem", "half", "holds no usable certificate"),
    ("cert.pem", None, "No such file"),
    ("cert.key", None, "No such file"),
    ("cert.pem", "folder", "it is a directory"),
]


def spoil(s, pairs, file, content):
    if content in ("key of another", "certificate of another"):
        s.write(file, pairs["third"][0 if file.endswith("pem") else 1])
    elif content == "half":
        s.write(file, pairs["third"][0][:len(pairs["third"][0]) // 2])
    elif isinstance(content, bytes):
        s.write(file, content)
    else:
        os.unlink(s.path(file))
        if content == "folder":
            os.mkdir(s.path(file))


def test_what_is_bad_is_refused_whole(server, authority, pairs):
    """One bad file: the other host's good new certificate is not taken either."""
    s = make(server, authority, pairs, TWO)
    put(s, pairs["fourth"], "other")
    for file, content, words in BAD:
        spoil(s, pairs, file, content)
        outcome = certs(s, 1)
        assert not outcome["ok"] and outcome["renewed"] == 0
        error = outcome["errors"][0]
        named = "cert.key" if words == "does not match" else file
        assert words in error["message"] and s.path(named) in error["message"], (content, error)
        assert error["file"] == s.path("instar.conf") and error["line"]
        assert shown(s, 1) == {"first"} and shown(s, 1, "other.example") == {"second"}
        if content == "folder":
            os.rmdir(s.path(file))
        put(s, pairs["first"])
    assert certs(s)["renewed"] == 1
    assert shown(s, 3, "other.example") == {"fourth"}


def test_a_bad_one_is_repaired(server, authority, pairs):
    s = make(server, authority, pairs)
    s.write("cert.pem", pairs["third"][0])
    certs(s, 1)
    s.write("cert.key", pairs["third"][1])
    assert certs(s)["renewed"] == 1
    assert shown(s) == {"third"}
    s.reload()
    assert certs(s)["renewed"] == 0 and shown(s, 3) == {"third"}


def test_a_server_without_tls_has_nothing_to_renew(server):
    s = server()
    outcome = certs(s)
    assert outcome["ok"] and outcome["renewed"] == outcome["unchanged"] == 0
    s.stop()
    assert s.ctl("certs").returncode == 3


def test_key_files_of_tickets_are_read_too(server, authority, pairs, tmp_path):
    s = tls.make(server, authority, ONE + "SSLSessionTicketKeyFile ticket.key\n",
                 files={"cert.pem": pairs["first"][0], "cert.key": pairs["first"][1],
                        "ticket.key": os.urandom(80)})
    session = str(tmp_path / "session")
    tls.s_client(s, "-tls1_3", "-sess_out", session)
    assert "Reused, " in tls.s_client(s, "-tls1_3", "-sess_in", session)
    s.write("ticket.key", os.urandom(80))
    assert certs(s)["renewed"] == 1
    assert "Reused, " not in tls.s_client(s, "-tls1_3", "-sess_in", session)


def test_authorities_of_clients_are_renewed(server, authority, pairs, tmp_path):
    from harness.certs import Authority
    other = Authority(str(tmp_path))
    other.issue("client", "Mallory")
    s = tls.make(server, authority, ONE + "SSLCACertificateFile ca.pem\nSSLVerifyClient require\n",
                 files={"cert.pem": pairs["first"][0], "cert.key": pairs["first"][1],
                        "ca.pem": open(authority.path("ca.pem"), "rb").read()})
    context = authority.client()
    context.load_cert_chain(other.path("client.pem"), other.path("client.key"))

    def ask():
        return http.get(("127.0.0.1", s.tls), "/info", tls=context, sni="localhost").status
    with pytest.raises((http.Broken, OSError)):
        ask()
    with open(other.path("ca.pem"), "rb") as ca:
        s.write("ca.pem", ca.read())
    certs(s)
    assert ask() == 200


def test_nothing_fails_meanwhile(server, authority, pairs):
    s = server(start=False, modules={"hello": hello(1)})
    s.tls = s.ports[1]
    s.listen += f"\nListen 127.0.0.1:{s.tls} https"
    s.write_config("Route GET /hello hello\n" + ONE.format(root=s.root))
    put(s, pairs["first"])
    s.start()
    with Load(("127.0.0.1", s.tls), fresh=2, kept=1, tls=authority.client(), pause=0.002) as load:
        for i in range(sized(6, 40, 4)):
            name = ("second", "third", "first")[i % 3]
            put(s, pairs[name])
            outcome = certs(s)
            assert outcome["renewed"] == 1
            assert tls.subject(s, "-servername", "localhost") == name
            load.wait_for(5)
    load.assert_unbroken(20)


def test_rounds_and_reloads_do_not_lose_each_other(server, authority, pairs):
    """Whatever runs at the same time: in the end everybody has the last files."""
    s = make(server, authority, pairs)
    for i in range(sized(4, 20, 2)):
        name = ("third", "fourth")[i % 2]
        put(s, pairs[name])
        s.send(signal.SIGHUP)
        outcome = certs(s)
        assert outcome["ok"]
        s.reload()
        assert shown(s, 4) == {name}


# ---- Watched files ----------------------------------------------------------------------


def until_shown(s, name):
    until(lambda: shown(s, 3) == {name}, f"{name} is shown", pause=0.2)


def test_a_renamed_over_pair_is_noticed(server, authority, pairs):
    s = make(server, authority, pairs, WATCHED)
    generation = s.status()["generation"]
    for name in ("third", "fourth"):
        put(s, pairs[name])
        until_shown(s, name)
    assert s.status()["generation"] == generation
    assert re.search(r"\[master:notice\] .*INS01252: certificates: 1 renewed", s.log())
    s.reload()
    put(s, pairs["third"])
    until_shown(s, "third")


def test_a_pair_may_arrive_one_after_the_other(server, authority, pairs):
    s = make(server, authority, pairs, WATCHED)
    began = time.monotonic()
    s.write("cert.pem", pairs["third"][0])
    until(lambda: "INS01255" in s.log(), "it was looked at, and did not fit")
    assert shown(s, 3) == {"first"}
    s.write("cert.key", pairs["third"][1])
    until_shown(s, "third")
    if time.monotonic() - began < 2:
        assert "INS01253" not in s.log(), "nothing was wrong for long"


def test_what_stays_wrong_is_said(server, authority, pairs):
    s = make(server, authority, pairs, WATCHED)
    with open(s.path("cert.key"), "wb") as key:  # in place
        key.write(pairs["third"][1])
    until(lambda: "INS01254" in s.log(), "it is said")
    assert "does not match the certificate" in s.log()
    assert shown(s, 3) == {"first"}
    s.write("cert.pem", pairs["third"][0])
    until_shown(s, "third")


def test_links_that_are_pointed_elsewhere_are_noticed(server, authority, pairs):
    """As certbot does it: live/ has links into archive/, each replaced by itself."""
    s = make(server, authority, pairs, start=False)
    for number, name in enumerate(("first", "third"), 1):
        s.write(f"archive/fullchain{number}.pem", pairs[name][0])
        s.write(f"archive/privkey{number}.pem", pairs[name][1])
    os.mkdir(s.path("live"))

    def link(number):
        for kind in ("privkey", "fullchain"):
            path = s.path("live", kind + ".pem")
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink(f"../archive/{kind}{number}.pem", path)
    link(1)
    s.write_config(s.config.replace("cert.pem", "live/fullchain.pem").replace(
        "cert.key", "live/privkey.pem") + "SSLCertificateReload On\n")
    s.start()
    link(2)
    until_shown(s, "third")


def test_a_folder_behind_a_link_is_noticed(server, authority, pairs):
    """As orchestrators mount secrets: cert.pem -> ..data/cert.pem, ..data -> a dated folder."""
    s = make(server, authority, pairs, start=False)

    def fill(folder, pair):
        s.write(f"secret/{folder}/cert.pem", pair[0])
        s.write(f"secret/{folder}/cert.key", pair[1])
        os.symlink(folder, s.path("secret/..new"))
        os.rename(s.path("secret/..new"), s.path("secret/..data"))
    fill("..2026_01", pairs["first"])
    for name in ("cert.pem", "cert.key"):
        os.symlink("..data/" + name, s.path("secret", name))
    s.write_config(s.config.replace("cert.pem", "secret/cert.pem").replace(
        "cert.key", "secret/cert.key") + "SSLCertificateReload On\n")
    s.start()
    fill("..2026_02", pairs["third"])
    until_shown(s, "third")
    fill("..2026_03", pairs["fourth"])
    until_shown(s, "fourth")


def watches(s):
    """Does the master watch anything?"""
    for fd in os.listdir(f"/proc/{s.pid}/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{s.pid}/fd/{fd}") == "anon_inode:inotify":
                return True
    return False


def test_nothing_is_watched_unless_asked_for(server, authority, pairs):
    s = make(server, authority, pairs)
    assert not watches(s)
    s.write_config(s.config + "SSLCertificateReload On\n")
    s.reload()
    assert watches(s)
    put(s, pairs["third"])
    until_shown(s, "third")
    s.write_config(s.config.replace("SSLCertificateReload On", ""))
    s.reload()
    assert not watches(s)


# ---- Chains, and several certificates ------------------------------------------------------


def test_a_chain_in_the_file_is_shown(server, authority, tmp_path):
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        str(tmp_path / "middle.key"), "-out", str(tmp_path / "middle.csr"), "-subj", "/O=Tests/CN=Middle")
    (tmp_path / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\n")
    run("x509", "-req", "-in", str(tmp_path / "middle.csr"), "-CA", authority.path("ca.pem"), "-CAkey",
        authority.path("ca.key"), "-CAcreateserial", "-CAserial", str(tmp_path / "serial"), "-days", "30",
        "-extfile", str(tmp_path / "ca.ext"), "-out", str(tmp_path / "middle.pem"))
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        str(tmp_path / "leaf.key"), "-out", str(tmp_path / "leaf.csr"), "-subj", "/O=Tests/CN=Leaf")
    (tmp_path / "leaf.ext").write_text("subjectAltName=DNS:localhost\n")
    run("x509", "-req", "-in", str(tmp_path / "leaf.csr"), "-CA", str(tmp_path / "middle.pem"), "-CAkey",
        str(tmp_path / "middle.key"), "-CAcreateserial", "-CAserial", str(tmp_path / "serial2"), "-days",
        "30", "-extfile", str(tmp_path / "leaf.ext"), "-out", str(tmp_path / "leaf.pem"))
    chain = (tmp_path / "leaf.pem").read_bytes() + (tmp_path / "middle.pem").read_bytes()
    s = tls.make(server, authority, ONE, files={"cert.pem": (tmp_path / "leaf.pem").read_bytes(),
                                                "cert.key": (tmp_path / "leaf.key").read_bytes()})
    trust = ["-CAfile", authority.path("ca.pem"), "-verify_return_error"]
    assert "HTTP/1.1 200" not in tls.s_client(s, *trust)
    s.write("cert.pem", chain)
    assert certs(s)["renewed"] == 1
    text = tls.s_client(s, *trust, "-showcerts")
    assert "HTTP/1.1 200" in text and text.count("-----BEGIN CERTIFICATE-----") == 2
    s.write("cert.pem", chain[:-100])
    assert "holds no usable certificate" in certs(s, 1)["errors"][0]["message"]


BOTH = """
SSLCertificateFile cert.pem
SSLCertificateKeyFile cert.key
SSLCertificateFile rsa.pem
SSLCertificateKeyFile rsa.key
"""


def kind(s, *arguments):
    found = re.search(r"^Peer signature type: (\S+)", tls.s_client(s, *arguments), re.M)
    return found.group(1) if found else None


def test_the_client_decides_between_rsa_and_ecdsa(server, authority, pairs):
    rsa = issue(authority, "heavy", rsa=True)
    s = tls.make(server, authority, BOTH, files={
        "cert.pem": pairs["first"][0], "cert.key": pairs["first"][1], "rsa.pem": rsa[0], "rsa.key": rsa[1]})

    def both(ecdsa, heavy):
        assert kind(s, "-tls1_3", "-sigalgs", "ECDSA+SHA256") == "ECDSA"
        assert kind(s, "-tls1_3", "-sigalgs", "RSA-PSS+SHA256") == "RSA-PSS"
        assert tls.subject(s, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") == ecdsa
        assert tls.subject(s, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256") == heavy
    both("first", "heavy")
    put(s, issue(authority, "heavier", rsa=True), "rsa")
    assert certs(s)["renewed"] == 1
    both("first", "heavier")
    put(s, pairs["third"])
    certs(s)
    both("third", "heavier")


def test_two_certificates_of_one_kind_are_an_error(server, authority, pairs):
    s = tls.make(server, authority, BOTH, start=False, files={
        "cert.pem": pairs["first"][0], "cert.key": pairs["first"][1],
        "rsa.pem": pairs["third"][0], "rsa.key": pairs["third"][1]})
    done = s.run("-t")
    assert done.returncode == 1
    assert "rsa.pem: this server has another certificate with a key of the same type" in done.stderr
